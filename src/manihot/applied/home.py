"""Where the files of a model lie, and which model of a study was chosen; without torch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.names import RECORD
from manihot.core.text import did_you_mean

# In place of a model's name: the one that its study chose.
BEST = "best"


@dataclass(frozen=True)
class Home:
    """Where the files of a model lie: its `folder`, and its `name` there, `results/models/{name}` of a run's folder.

    Paths in records are as seen from the folder of the run. What lies in the model's own folder may be moved with it.
    """

    folder: Path
    name: str

    def find(self, path: str, what: str) -> Path:
        """The file that a record calls `path`.

        Raises:
            StudyError: it is not there, or leads out of the folder of the run; the message begins with `what`.
        """
        relative = Path(os.path.normpath(path))
        if relative.is_absolute() or relative.parts[:1] == ("..",):
            raise StudyError(f"{what} is {path}, outside the folder of the run: take the model from its study again")
        own = Path("results", "models", self.name)
        if relative.is_relative_to(own):
            found = self.folder / relative.relative_to(own)
        else:
            found = above(self.folder, 3) / relative
        if not found.is_file():
            raise StudyError(f"{what} is not there: copy it from {relative} of the study to {found}")
        return found


def above(folder: Path, levels: int) -> Path:
    """The folder so many levels above one, whose path may begin with `..`."""
    return Path(os.path.normpath(folder.absolute())).parents[levels - 1]


def find_model(folder: Path) -> Path:
    """The folder of the model that is asked for as `folder`: itself, or, where it is called `best` and holds no model,
    that of the model that the study chose.

    Raises:
        StudyError: there is no such model.
    """
    if folder.name == BEST and not (folder / RECORD).is_file():
        folder = folder.with_name(chosen(above(folder, 2)))
    if not (folder / RECORD).is_file():
        others = [path.parent.name for path in sorted(folder.parent.glob(f"*/{RECORD}"))]
        raise StudyError(f"{folder} holds no model ({RECORD}); {did_you_mean(folder.name, others)}")
    return folder


def chosen(results: Path) -> str:
    """The name of the model that a study chose, in the split of its first model where it has several.

    Raises:
        StudyError: nothing was chosen, or it cannot be told.
    """
    made = {path.stem: _read(path) for path in sorted((results / "scores" / "choice").glob("*.json"))}
    told = _read(results / "settings" / "build_report" / "all.json")
    models = (told or {}).get("settings", {}).get("models") or [{}]
    split = models[0].get("split") if len(made) > 1 else next(iter(made), None)
    choice = made.get(split) if split is not None else None
    name = (choice or {}).get("chosen")
    if not isinstance(name, str):
        said = f"several splits, {', '.join(made)}" if len(made) > 1 else "no choice (scores/choice/)"
        others = [path.parent.name for path in sorted((results / "models").glob(f"*/{RECORD}"))]
        known = ", ".join(others) or "none yet"
        raise StudyError(
            f"{results}: which model the study chose cannot be told, there is {said}: name one of its models, {known}, "
            "or run the study (make report)"
        )
    return name


def _read(path: Path) -> Any:
    try:
        content = files.read_json(path)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
