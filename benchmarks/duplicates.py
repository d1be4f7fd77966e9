"""How many copies the search for duplicates finds, kind by kind, and how many pairs it makes up.

    python benchmarks/duplicates.py [--photos 300]

Copies are made of photos of the sample (`../shared/data/cassava`, every fifth), a kind of change at a time, and looked for
among them and all other photos of it. What is found in the photos as they are, in two other sets and in drawn photos
of one scene is listed pair by pair: look at each. Writes benchmarks/results/duplicates.json.
"""

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT.parent / "shared" / "data"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]
import copies  # noqa: E402

from manihot.catalog import confirm  # noqa: E402
from manihot.catalog.duplicates import KINDS, Found, Photos, duplicate_pairs  # noqa: E402
from manihot.catalog.fingerprints import Describer, joined  # noqa: E402
from manihot.catalog.inspect import perceptual_hashes  # noqa: E402
from manihot.core import files  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "duplicates.json"


def silent(done: int, total: int, text: str) -> None:
    """No progress."""


def known(images: Iterable[Image.Image], seconds: list[float], start: int = 0) -> Photos:
    """What the search knows of photos in memory; adds the seconds that a fingerprint takes to `seconds`."""
    look, small, shown = Describer(), [], []
    for index, image in enumerate(images):
        look(index, image)
        small.append(np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)))
        shown.append(confirm.shown(image))
    seconds.append(look.seconds / len(small))
    thumbnails = np.stack(small)
    digests = np.array([f"{start + index:08}" for index in range(len(small))])
    return Photos(digests, perceptual_hashes(thumbnails), look.prints(thumbnails), shown.__getitem__)


def both(one: Photos, other: Photos) -> Photos:
    """Two sets as one."""
    count = len(one.digests)
    return Photos(
        np.concatenate([one.digests, other.digests]),
        np.concatenate([one.hashes, other.hashes]),
        joined(one.prints, other.prints),
        lambda number: one.show(number) if number < count else other.show(number - count),
    )


def of_kinds(found: Found) -> dict[str, int]:
    """Pairs by kind."""
    return {kind: int((found.pairs["kind"] == kind).sum()) for kind in KINDS}


def images_of(paths: list[Path]) -> Iterable[Image.Image]:
    """Photos, opened one at a time."""
    for path in paths:
        with Image.open(path) as image:
            yield image.convert("RGB")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=300)
    given = parser.parse_args()
    seconds: list[float] = []

    sets: dict[str, dict[str, Any]] = {}
    sample = sorted((SAMPLE / "cassava/images").iterdir())
    others = {name: sorted((SAMPLE / name / "images").rglob("*.*")) for name in ("species", "corn")}
    whole = known(images_of(sample), seconds)
    searched = {"cassava": (whole, [path.name for path in sample])}
    for name, paths in others.items():
        searched[name] = known(images_of(paths), seconds), [str(p.relative_to(SAMPLE / name)) for p in paths]
    drawn = [copies.scene(number) for number in range(300)]
    searched["one scene, drawn"] = known(drawn, seconds), [str(number) for number in range(300)]
    for name, (photos, names) in searched.items():
        start = time.perf_counter()
        found = duplicate_pairs(photos, silent)
        pairs = [[names[p.a], names[p.b], p.kind, p.angle, p.scale] for p in found.pairs.itertuples()]
        sets[name] = {
            "photos": len(names), "compared": found.compared, "crowded": found.crowded, "pairs": pairs,
            "kinds": of_kinds(found), "seconds": round(time.perf_counter() - start, 2),
        }  # fmt: skip
        print(name, {key: value for key, value in sets[name].items() if key != "pairs"}, flush=True)

    step = len(sample) // given.photos
    chosen = np.arange(0, len(sample), step)[: given.photos]
    rows: list[dict[str, Any]] = []
    originals = list(images_of([sample[number] for number in chosen]))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    for group, kinds in copies.CHANGES.items():
        for kind in kinds:
            changed = (copies.change(group, kind, number, image) for number, image in enumerate(originals))
            start = time.perf_counter()
            photos = both(whole, known(changed, seconds, len(sample)))
            making = time.perf_counter() - start
            start = time.perf_counter()
            found = duplicate_pairs(photos, silent)
            place = dict(zip(chosen.tolist(), range(len(sample), len(sample) + len(chosen)), strict=True))
            right = [place.get(pair.a) == pair.b for pair in found.pairs.itertuples()]
            rows.append({
                "group": group, "kind": kind, "copies": len(chosen), "found": sum(right),
                "false": len(right) - sum(right), "kinds": of_kinds(found),
                "seconds": round(time.perf_counter() - start, 2), "making": round(making, 1),
            })  # fmt: skip
            print({key: value for key, value in rows[-1].items() if key != "kinds"}, of_kinds(found), flush=True)
            record = {
                "commit": commit, "machine": platform.machine(), "rows": rows, "sets": sets,
                "fingerprint_ms": round(1000 * float(np.median(seconds)), 2),
            }  # fmt: skip
            files.write_json(RESULT, record)
    print(f"written: {RESULT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
