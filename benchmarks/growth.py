"""How the stages grow: small synthetic photos through the workflow's own rules, a line a number of photos.

    python benchmarks/growth.py [--photos 1000 10000 100000] [--cores 2] [--folder FOLDER] [--search …] [--only-search]

Each run renders its photos (64 x 48 pixels, all different) and runs a study of them: first up to the catalog and the
pixels of every shard, then, with two experiments of two folds and one epoch, up to the report. It prints a row a run
and writes benchmarks/results/growth.json. Seconds of a stage are those of its jobs added up; `listing` is a run with
nothing to do, in which the main process lists all photos.

`--search` are numbers of photos whose search for copies is measured on made-up fingerprints (searching.py), each of
photos that differ and, up to 100,000, of photos that share a background; a million takes some minutes.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
from manihot.core import files  # noqa: E402

STUDY = """
data: {{many: {{source: csv, photos: {folder}/photos, labels: {folder}/labels.csv}}}}
photos: {{shards: {shards}}}
splits: {{main: {{dataset: many, folds: 2, test: {tested}, test_as_found: {tested}}}}}
experiments:
  one: {{split: main, draw: as_found, size: 32, batch_size: 128, epochs: 1, learning_rate: 1e-4}}
  two: {{based_on: one, learning_rate: 1e-3}}
"""
# Rules of each stage that is reported.
STAGES = {
    "catalog_shard": ["catalog_shard"],
    "build_catalog": ["build_catalog"],
    "cache_pixels": ["cache_pixels"],
    "splits": ["split_photos", "sample_photos"],
    "training": ["train_fold", "predict_fold"],
    "scores": ["ensemble_folds", "score_model", "compare_models", "summarise_scores", "choose_model"],
    "report": ["build_report"],
}


def render(folder: Path, photos: int) -> None:
    """Render blurred noise as JPEG, a photo a number, with labels of two classes."""
    (folder / "photos").mkdir(parents=True)

    def one(number: int) -> None:
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        image = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)
        image.save(folder / "photos" / f"{number}.jpg", quality=85)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(photos), chunksize=256))
    rows = [(f"{number}.jpg", number % 2) for number in range(photos)]
    files.write_rows(folder / "labels.csv", ["image_id", "label"], rows)


def run(folder: Path, cores: int, *targets: str) -> float:
    """Seconds of a run up to the targets."""
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)),
        *("--cores", str(cores), "--configfile", str(folder / "study.yaml"), "--", *targets),
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    return time.perf_counter() - start


def costs(folder: Path, rules: list[str]) -> tuple[float, float]:
    """Seconds of the jobs of some rules, added up, and the peak memory of one of them in MB."""
    paths = [path for rule in rules for path in (folder / "results/costs" / rule).rglob("*.csv")]
    rows = [row for path in paths for row in files.read_rows(path)]
    return sum(float(row["seconds"]) for row in rows), max(float(row["peak_memory_mb"]) for row in rows)


def measure(folder: Path, photos: int, cores: int) -> dict[str, float]:
    """A row of the table."""
    start = time.perf_counter()
    render(folder, photos)
    drawing = time.perf_counter() - start
    shards = max(2, photos // 12_500)
    study = STUDY.format(folder=folder, shards=shards, tested=photos // 10)
    (folder / "study.yaml").write_text(study)
    cached = ["results/catalog/many.csv", *(f"results/pixels/many/32px/{shard}.json" for shard in range(shards))]
    row = {"photos": photos, "shards": shards, "drawing": drawing, "wall": run(folder, cores, *cached)}
    row["listing"] = run(folder, cores, *cached)
    row["wall_report"] = run(folder, cores, "results/report.html")
    for stage, rules in STAGES.items():
        row[stage], row[f"{stage}_mb"] = costs(folder, rules)
    with (folder / "results/catalog/many/duplicates.csv").open() as pairs:
        row["pairs"] = sum(1 for _ in csv.reader(pairs)) - 1
    for name in ("catalog", "pixels"):
        size = sum(p.stat().st_size for p in (folder / "results" / name).rglob("*") if p.is_file())
        row[f"{name}_bytes_a_photo"] = size / photos
    return {key: round(value, 3) for key, value in row.items()}


def searches(numbers: list[int]) -> list[dict[str, float]]:
    """A row a search for copies among made-up fingerprints."""
    rows = []
    for number in numbers:
        for kind in ("different", "alike") if number <= 100_000 else ("different",):
            command = [sys.executable, str(ROOT / "benchmarks/searching.py"), str(number), kind]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append(json.loads(text))
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure every number of photos that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where photos and results go (default: a temporary folder)")
    parser.add_argument("--search", type=int, nargs="+", default=[10_000, 100_000], help="of made-up fingerprints")
    parser.add_argument("--only-search", action="store_true", help="leave the rest of the result as it is")
    given = parser.parse_args()
    target = ROOT / "benchmarks" / "results" / "growth.json"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    found = {"search": searches(given.search), "search_commit": commit}
    if given.only_search:
        files.write_json(target, files.read_json(target) | found)
        return
    rows = []
    for photos in given.photos:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            rows.append(measure(Path(folder), photos, given.cores))
        if len(rows) == 1:
            print(" ".join(f"{key:>22}" for key in rows[0]))
        print(" ".join(f"{value:>22}" for value in rows[-1].values()), flush=True)
    files.write_json(target, {"cores": given.cores, "commit": commit, "rows": rows, **found})
    print(f"written: {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
