"""Folders of somebody's photos, as `make study` is given them."""

from pathlib import Path

from PIL import Image


def photo(path: Path, size: tuple[int, int] = (120, 90), grey: int = 0) -> None:
    """Write a grey photo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey,) * 3).save(path)


def classes(folder: Path, size: tuple[int, int] = (120, 90), **counts: int) -> None:
    """Write photos that differ, in a sub-folder a class."""
    for place, (label, count) in enumerate(counts.items()):
        for number in range(count):
            photo(folder / label.replace("_", " ") / f"{number}.png", (size[0] + place, size[1]), number)


def table(path: Path, header: str, rows: list[str]) -> None:
    """Write a labels file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
