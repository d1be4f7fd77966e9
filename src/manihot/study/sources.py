"""What a study file says of a data set: where its photos and labels are, and what is known of them besides.

The main Snakemake process imports this file at every start: no torch, no pandas here.
"""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Label = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=100)]
# YAML 1.1 reads 1e-4 as text: a number written so is meant as a number.
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
Real = Annotated[float, BeforeValidator(lambda v: float(v) if isinstance(v, str) and NUMBER.fullmatch(v) else v)]
Share = Annotated[Real, Field(ge=0, le=1)]
Positive = Annotated[Real, Field(gt=0)]


class Section(BaseModel):
    """A part of the study file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _one_group(pattern: Any) -> Any:
    if isinstance(pattern, str):
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        if groups != 1:
            raise ValueError(f"needs one group in parentheses, not {groups}: what it matches is taken")
    return pattern


Pattern = Annotated[str, BeforeValidator(_one_group)]


class Known(Section):
    """What a data set's paths tell of its photos besides the label."""

    group_pattern: Pattern | None = None
    site_pattern: Pattern | None = None
    site_from_exif: bool = False

    @property
    def patterns(self) -> dict[str, str | None]:
        """The regular expressions by what they give."""
        return {"given_group": self.group_pattern, "site": self.site_pattern}

    @property
    def facts(self) -> dict[str, str | None]:
        """The columns of the labels file by what they give."""
        return {}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        for what in ("group", "site"):
            ways = [
                key for key in (f"{what}_column", f"{what}_pattern", f"{what}_from_exif") if getattr(self, key, None)
            ]
            if len(ways) > 1:
                raise ValueError(f"takes one of the keys {' and '.join(ways)}")
        return self

    @property
    def gives(self) -> set[str]:
        """What is known of the photos besides the label: fields of `photos.facts.Label`."""
        given = {fact for told in (self.facts, self.patterns) for fact, key in told.items() if key is not None}
        given |= {"given_role"} if getattr(self, "role_folders", False) else set()
        return given | ({"site"} if self.site_from_exif else set())


class Labelled(Known):
    """What a data set that has a labels file says of it."""

    image_column: str = "image_id"
    label_column: str = "label"
    prefix: str = ""
    class_names: str | None = None
    only: list[Label] | None = None
    group_column: str | None = None
    site_column: str | None = None
    role_column: str | None = None
    fold_column: str | None = None

    @property
    def facts(self) -> dict[str, str | None]:
        """The columns of the labels file by what they give."""
        return {
            "given_group": self.group_column,
            "site": self.site_column,
            "given_role": self.role_column,
            "given_fold": self.fold_column,
        }


class CsvData(Labelled):
    """A labels file and a folder of photos."""

    source: Literal["csv"]
    photos: str
    labels: str


class FolderData(Known):
    """A folder with a sub-folder a class."""

    source: Literal["folder"]
    photos: str
    class_names: str | None = None
    only: list[Label] | None = None
    role_folders: bool = False


class DemoData(Section):
    """Synthetic photos, which the program renders; nothing but their labels is known of them."""

    gives: ClassVar[set[str]] = set()

    source: Literal["demo"]
    photos: Annotated[int, Field(ge=20)] = 600
    kind: Literal["leaves", "needles"] = "leaves"
    label_noise: Share = 0.08
    duplicates: Annotated[int, Field(ge=0)] = 6
    damaged: Annotated[int, Field(ge=0)] = 3


class ArchiveFile(Section):
    """One zip or tar file, by path or address."""

    path: str | None = None
    url: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("needs one of the keys path and url")
        return self


class ArchiveData(Labelled):
    """Zip or tar files that hold the photos and, unless they hold a folder a class, a labels file."""

    source: Literal["archive"]
    files: Annotated[list[ArchiveFile], Field(min_length=1)]
    labels: str | None = None
    photos: str = "."
    role_folders: bool = False
    max_unpacked_gb: Positive = 50.0

    @model_validator(mode="after")
    def _labels_file(self) -> Self:
        if self.role_folders and self.labels is not None:
            raise ValueError("takes one of the keys labels and role_folders")
        if self.labels is None and (columns := [fact for fact, column in self.facts.items() if column]):
            raise ValueError(f"needs the key labels for {columns[0].removeprefix('given_')}_column")
        return self


class KaggleData(Labelled):
    """The files of a Kaggle competition."""

    source: Literal["kaggle"]
    competition: str
    labels: str = "train.csv"
    photos: str = "."


Data = Annotated[CsvData | FolderData | DemoData | ArchiveData | KaggleData, Field(discriminator="source")]
