"""A large photo folder to try a whole study on, for its time and not for its accuracy.

    python benchmarks/stand_in.py FOLDER [--photos 7500] [--side 400] [--processes 2]
    make study PHOTOS=FOLDER && make report STUDY=config/mine.yaml

Writes FOLDER/{class}/{n}.jpg: five classes, the four of the sample's corn photos and one of its species, each original
repeated with changes (a part cut out, turned, brightened) that the search for copies does not take for one. Photos
of one leaf are therefore on both sides of every split: an accuracy measured on them says nothing.
"""

import argparse
import multiprocessing
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import SHARED
from PIL import Image, ImageEnhance, ImageOps

NEW_CLASS = "pinus_flexilis"


def originals() -> dict[str, list[Path]]:
    """The photos of each class."""
    corn, species = SHARED / "corn", SHARED / "species"
    found: dict[str, list[Path]] = {}
    for row in pd.read_csv(corn / "train.csv").itertuples():
        path = corn / "images" / str(row.image_id)
        found.setdefault(str(row.label), []).append(path if path.is_file() else corn / str(row.image_id))
    table = pd.read_csv(species / "train.csv")
    found[NEW_CLASS] = [species / str(name) for name in table.loc[table["label"] == NEW_CLASS, "image"]]
    return found


def write(task: tuple[Path, Path, int, int]) -> None:
    """Write one changed photo: its original, where it goes, its seed and its side in pixels."""
    source, target, seed, side = task
    generator = np.random.default_rng(seed)
    with Image.open(source) as opened:
        photo = ImageOps.exif_transpose(opened).convert("RGB")
    photo = photo.rotate(generator.uniform(-40, 40), Image.Resampling.BILINEAR)
    width, height = photo.size
    share = np.sqrt(generator.uniform(0.1, 0.2))
    left, top = generator.uniform(0.1, 0.9 - share) * width, generator.uniform(0.1, 0.9 - share) * height
    box = (left, top, min(width, left + share * width), min(height, top + share * height))
    photo = photo.resize((side, side), Image.Resampling.BICUBIC, box=box)
    photo = ImageEnhance.Color(ImageEnhance.Brightness(photo).enhance(generator.uniform(0.7, 1.3))).enhance(
        generator.uniform(0.8, 1.2)
    )
    photo.save(target, quality=90)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=7500)
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    classes = originals()
    tasks = []
    for label, paths in classes.items():
        (asked.folder / label).mkdir(parents=True)
        for number in range(asked.photos // len(classes)):
            target = asked.folder / label / f"{number:05}.jpg"
            tasks.append((paths[number % len(paths)], target, len(tasks), asked.side))
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        for _ in pool.imap_unordered(write, tasks, chunksize=50):
            pass


if __name__ == "__main__":
    main()
