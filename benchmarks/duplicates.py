"""How many copies the search for duplicates finds, kind by kind, and how many pairs it makes up.

    python benchmarks/duplicates.py [--photos 300] [--part sets|copies|fingerprints|all]

Copies are made of photos of the sample (`../shared/data/cassava`, evenly chosen), a kind of change at a time, and
looked for among all photos of it. What is found in the photos as they are, in two other sets and in drawn photos
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


def of_sets(sample: list[Path]) -> dict[str, Any]:
    """What is found in photos as they are."""
    seconds: list[float] = []
    searched = {"cassava": (known(images_of(sample), seconds), [path.name for path in sample])}
    for name in ("species", "corn"):
        paths = sorted((SAMPLE / name / "images").rglob("*.*"))
        searched[name] = known(images_of(paths), seconds), [str(path.relative_to(SAMPLE / name)) for path in paths]
    drawn = [copies.scene(number) for number in range(300)]
    searched["one scene, drawn"] = known(drawn, seconds), [str(number) for number in range(300)]
    sets: dict[str, Any] = {}
    for name, (photos, names) in searched.items():
        start = time.perf_counter()
        found = duplicate_pairs(photos, silent)
        pairs = [[names[p.a], names[p.b], p.kind, p.angle, p.scale] for p in found.pairs.itertuples()]
        sets[name] = {
            "photos": len(names), "compared": found.compared, "crowded": found.crowded, "pairs": pairs,
            "kinds": of_kinds(found), "seconds": round(time.perf_counter() - start, 2),
        }  # fmt: skip
        print(name, {key: value for key, value in sets[name].items() if key != "pairs"}, flush=True)
    return {"sets": sets}


def of_fingerprints(sample: list[Path]) -> dict[str, Any]:
    """Milliseconds of a core that the features of a photo take."""
    seconds: list[float] = []
    known(images_of(sample[::5]), seconds)
    return {"fingerprint_ms": round(1000 * seconds[0], 2)}


def of_copies(sample: list[Path], photos: int) -> dict[str, Any]:
    """What is found of copies, a kind of change at a time."""
    chosen = np.arange(0, len(sample), len(sample) // photos)[:photos]
    whole, rows = known(images_of(sample), []), []
    originals = list(images_of([sample[number] for number in chosen]))
    for group, kinds in copies.CHANGES.items():
        for kind in kinds:
            changed = (copies.change(group, kind, number, image) for number, image in enumerate(originals))
            together = both(whole, known(changed, [], len(sample)))
            start = time.perf_counter()
            found = duplicate_pairs(together, silent)
            place = dict(zip(chosen.tolist(), range(len(sample), len(sample) + len(chosen)), strict=True))
            right = [place.get(pair.a) == pair.b for pair in found.pairs.itertuples()]
            row = {
                "group": group, "kind": kind, "copies": len(chosen), "found": sum(right),
                "false": len(right) - sum(right), "seconds": round(time.perf_counter() - start, 2),
            }  # fmt: skip
            rows.append({**row, "kinds": of_kinds(found)})
            print(row, of_kinds(found), flush=True)
    return {"rows": rows}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--part", choices=["sets", "copies", "fingerprints", "all"], default="all")
    given = parser.parse_args()
    sample = sorted((SAMPLE / "cassava/images").iterdir())
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    measured: dict[str, Any] = {"commit": commit, "machine": platform.machine()}
    if given.part in ("sets", "all"):
        measured |= of_sets(sample)
    if given.part in ("copies", "all"):
        measured |= of_copies(sample, given.photos)
    if given.part in ("fingerprints", "all"):
        measured |= of_fingerprints(sample)
    # The two parts may run beside each other.
    files.write_json(RESULT, (files.read_json(RESULT) if RESULT.is_file() else {}) | measured)
    print(f"written: {RESULT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
