"""config/README.md explains every key of the study file, with the default that it has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from manihot.study import schema, sources
from manihot.study.load import build
from manihot.study.protocols import PROTOCOLS
from manihot.study.recipes import filled

README = (Path(__file__).parents[3] / "config" / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.+) \|$", re.MULTILINE)
# The heading of each model's table, and which table below it.
TABLES: dict[type[BaseModel], tuple[str, int]] = {
    schema.Study: ("## The study", 0),
    schema.Photos: ("## `photos`", 0),
    schema.Probes: ("## `probes`", 0),
    sources.Labelled: ("### Keys of `csv`, `archive` and `kaggle`", 0),
    sources.Known: ("### Keys of `csv`, `folder`, `archive` and `kaggle`", 0),
    sources.CsvData: ("### `source: csv`", 0),
    sources.FolderData: ("### `source: folder`", 0),
    sources.DemoData: ("### `source: demo`", 0),
    sources.ArchiveData: ("### `source: archive`", 0),
    sources.ArchiveFile: ("### `source: archive`", 1),
    sources.KaggleData: ("### `source: kaggle`", 0),
    schema.Split: ("## `splits`", 0),
    schema.NewClass: ("### `new_class`", 0),
    schema.Sampling: ("### Which photos", 0),
    schema.Learning: ("### How it learns", 0),
    schema.Experiment: ("### Only experiments", 0),
    schema.Augment: ("### `augment`", 0),
    schema.OverfitCheck: ("## `overfit`", 0),
    schema.Backbone: ("## `backbones`", 0),
    schema.Joined: ("### Backbones side by side", 0),
    schema.LogisticHead: ("### `head: {kind: logistic}`", 0),
    schema.AdamHead: ("### `head: {kind: adam}`", 0),
    schema.Booster: ("## `boosting`", 0),
    schema.External: ("## `external`", 0),
}


def rows(heading: str, place: int) -> dict[str, str]:
    """The default of each key in a table of a section."""
    [section] = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^##|\Z)", README, re.MULTILINE | re.DOTALL)
    table = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[place]
    return {key: default for key, default, _ in ROW.findall(table)}


def shown(field: FieldInfo) -> Any:
    """How the page shows the default of a key: None where it must be given or the reader fills it."""
    if field.is_required():
        return None
    if field.default is None:
        return "–"
    return "below" if isinstance(field.default, BaseModel) else field.default


def value(cell: str) -> Any:
    """What a cell of the page says, read as a study file is."""
    if not cell.startswith("`"):
        return cell
    text = cell.strip("`")
    read = yaml.safe_load(text)
    return float(text) if isinstance(read, str) and sources.NUMBER.fullmatch(text) else read


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_a_table_has_the_keys_of_its_model_and_their_defaults(model: type[BaseModel]) -> None:
    table = rows(*TABLES[model])
    own = {key: shown(model.model_fields[key]) for key in model.__annotations__ if key in model.model_fields}
    assert sorted(table) == sorted(own)
    assert {key: value(table[key]) for key in own if own[key] is not None} == {
        key: default for key, default in own.items() if default is not None
    }


def test_every_model_of_the_study_file_has_a_table() -> None:
    said = [*vars(schema).values(), *vars(sources).values()]
    models = {value for value in said if isinstance(value, type) and issubclass(value, sources.Section)}
    assert models - {sources.Section} == set(TABLES)


def test_the_protocols_are_as_they_are_set() -> None:
    section = README.split("\n## The two protocols\n")[1]
    cells = re.findall(r"^\| `(?:new_class\.)?(\w+)`.*? \| `([\w.]+)` \| `([\w.]+)` \|$", section, re.MULTILINE)
    said = {key: (yaml.safe_load(corrected), yaml.safe_load(published)) for key, corrected, published in cells}
    presets = [
        {key: setting for section in preset.values() for key, setting in section.items()}
        for preset in (PROTOCOLS["corrected"], PROTOCOLS["published"])
    ]
    assert said == {key: tuple(preset[key] for preset in presets) for key in presets[0]}


def test_the_recipes_are_as_they_are_set() -> None:
    section = README.split("\n## The two recipes\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`\w+`) \| (`.+?`) \| (`.+?`) \|$", section, re.MULTILINE)
    for place, recipe in enumerate(("scratch", "finetune")):
        assert {value(key): value(said[place]) for key, *said in cells} == {
            key: setting for key, setting in filled({"recipe": recipe}, schema.Learning).items() if key != "recipe"
        }


def test_the_example_is_a_study() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    built = build(yaml.safe_load(example), Path("example.yaml"))
    assert list(built.experiments) == ["lite0_finetuned", "small_cnn"]
