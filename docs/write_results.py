"""Write docs/results.md from the sample's three finished studies: python docs/write_results.py [FOLDER]."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from manihot.core import files
from manihot.core.names import PART_TITLES
from manihot.published import paper

STUDIES = ("cassava", "cassava-published", "ablations")
HEAD = """\
# What the sample measured

`docs/write_results.py` writes this page from result files; no number of a result is typed in. The studies are the
published one cut down to the {photos:,} sample photos of cassava and run under both protocols
(`tests/studies/cassava.yaml` and `cassava-published.yaml`), and its switches one at a time (`ablations.yaml`):
{size} pixels, {epochs} epochs and {folds} folds in place of 224, 10 and 5, learning rates ten times the study's and a
quarter of its batches, and the two backbones of which the sample has the weights (MobileNetV2, SqueezeNet) in place of
four. The networks ran on {device} in {precision}. Accuracies are
in percent with their 95 % interval.

To repeat it, with the sample beside the project as `../shared/data`:

```
for study in {studies}; do
  .venv/bin/python -m snakemake --cores 2 --configfile tests/studies/$study.yaml --directory /some/folder/$study
done
PYTHONPATH=src .venv/bin/python docs/write_results.py /some/folder
```
"""
BOTH = """\
## Both protocols

Out of fold: balanced accuracy. Test: accuracy on {corrected} balanced photos (`corrected`) and on {published}
(`published`); as found: on {as_found} photos in the data's own shares, which `published` cannot have. A model of the
new class is tested on its photos too.
"""
CONCLUSIONS = """\
## The study's conclusions

The second, on memory, is weighed in the report: it rests on what jobs took of a GPU.
"""
BALANCING = """\
## What balancing gives and costs

Accuracy of `balanced` minus that of `imbalanced` on the same photos, in points: of their own answers, and of answers
corrected for the class shares that each was trained on.
"""
SWITCHES = """\
## What each switch of the protocol is worth

Accuracy with the switch minus without it, in points; the row is that of the published protocol's faults. The interval
is over photos and seeds, but out of fold over folds where both sides have the same.
"""
LIMITS = """\
## What this does not show

- **Not what the study would find.** {photos:,} photos at {size} pixels for {epochs} epochs are not 21,397 at 224 for
  ten. Of {networks} networks under `corrected`, {at_chance} test no better than guessing (the interval of their
  balanced accuracy holds that of the majority class): verdicts about them are about these short runs.
- **Not which protocol scores higher.** The columns of the first table have different test photos: {corrected} and
  {published}.
- **Not settings, where there is one seed.** Outside the last table each was trained once, and an interval is over test
  photos only.
- **Not duplicates (row 2).** The sample has none, so that grouping them changes nothing here.
- **Not what train mode does to batch norm (row 5).** SqueezeNet has none, and MobileNetV2's is the identity in the
  sample, folded into its convolutions: only dropout acts.
- **Not the published numbers.** {compared} of the {numbers} could be compared under `corrected`; the report says of
  each why not.
"""


class Study:
    """The results of one finished study."""

    def __init__(self, folder: Path):
        self.folder = folder / "results"
        self.settings = files.read_json(self.folder / "settings/build_report/all.json")["settings"]
        self.models = [model["name"] for model in self.settings["models"]]

    def score(self, model: str, part: str) -> dict[str, Any]:
        """The record of a model and part."""
        return files.read_json(self.folder / f"scores/{model}/{part}.json")

    def metric(self, model: str, part: str, metric: str) -> str:
        """A metric in percent; empty where there is none."""
        if model not in self.models:
            return ""
        record = self.score(model, part)
        return percent(**record["metrics"][metric]) if record["n"] else ""


def percent(value: float, low: float, high: float, sign: str = "") -> str:
    """Percent with an interval, such as 45.5 [42.1, 48.9]."""
    middle, *ends = (f"{100 * end:{sign}.1f}".replace("-", "−") for end in (value, low, high))
    return f"{middle} [{', '.join(ends)}]"


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines) + "\n"


def page(corrected: Study, published: Study, ablations: Study) -> Iterator[str]:
    """The page, piece by piece."""
    study, cost = corrected.settings["study"], read(corrected, "costs/train_fold/balanced/fold1.csv").iloc[0]
    tested = {
        "corrected": corrected.score("balanced", "test")["n"],
        "published": published.score("balanced", "test")["n"],
    }
    facts = {
        "photos": len(read(corrected, "catalog/cassava.csv")), "folds": study["splits"]["main"]["folds"], **tested,
        **{key: study["experiments"]["balanced"][key] for key in ("size", "epochs")},
    }  # fmt: skip
    device = "the processor" if cost["device"] == "cpu" else cost["device"]
    yield HEAD.format(**facts, device=device, precision=cost["precision"], studies=" ".join(STUDIES))
    yield BOTH.format(**facts, as_found=corrected.score("balanced", "test_as_found")["n"])
    yield scores(corrected, published)

    weighed = [files.read_json(each.folder / "published/conclusions.json") for each in (corrected, published)]
    yield CONCLUSIONS
    yield table(
        ["", "conclusion", "corrected", "published", "evidence under `corrected`"],
        [
            [one["number"], one["statement"], one["verdict"], other["verdict"], one["evidence"]]
            for one, other in zip(*(each["conclusions"] for each in weighed), strict=True)
        ],
    )
    yield BALANCING
    yield table(
        ["protocol", "answers", "on", "photos", "difference", "they also differ in"],
        [
            [
                protocol,
                row["answers"],
                PART_TITLES[row["part"]],
                row["n"],
                points(row, "value"),
                ", ".join(row["besides"]),
            ]
            for protocol, each in zip(("corrected", "published"), weighed, strict=True)
            for row in each["balancing"]
        ],
    )
    yield SWITCHES
    rows = read(ablations, "scores/switches.csv").fillna({"remark": ""}).to_dict("records")
    yield table(
        ["row", "switch", "on", "photos", "seeds", "difference", "remark"],
        [
            [", ".join(paper.rows_of(row["keys"])), row["switch"], PART_TITLES[row["part"]], row["photos"],
             row["seeds"], points(row, "difference"), row["remark"]]
            for row in rows
        ],
    )  # fmt: skip
    numbers = read(corrected, "published/numbers.csv")
    compared = {"numbers": len(numbers), "compared": numbers["differs"].notna().sum()}
    yield LIMITS.format(**facts, **compared, **guessing(corrected))


def scores(corrected: Study, published: Study) -> str:
    """The models of both protocols side by side."""
    asked = {
        "corrected: out of fold": (corrected, "validation", "balanced_accuracy"),
        "corrected: test": (corrected, "test", "accuracy"),
        "corrected: as found": (corrected, "test_as_found", "accuracy"),
        "published: test": (published, "test", "accuracy"),
    }
    names = dict.fromkeys([*corrected.models, *published.models])
    rows = [[f"`{name}`", *(study.metric(name, *place) for study, *place in asked.values())] for name in names]
    return table(["model", *asked], rows)


def guessing(study: Study) -> dict[str, int]:
    """How many networks the study has, and how many of them are no better than the majority class on the test."""
    networks = [study.score(model["name"], "test") for model in study.settings["models"] if model["kind"] == "network"]
    lows = [record["metrics"]["balanced_accuracy"]["low"] for record in networks]
    chance = [record["baseline"]["balanced_accuracy"]["value"] for record in networks]
    return {"networks": len(networks), "at_chance": sum(low <= at for low, at in zip(lows, chance, strict=True))}


def points(row: Mapping[str, Any], key: str) -> str:
    """A difference of shares in points."""
    return percent(row[key], row["low"], row["high"], sign="+")


def read(study: Study, name: str) -> pd.DataFrame:
    """A table of a study's results."""
    return pd.read_csv(study.folder / name)


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    text = "\n".join(page(*(Study(root / name) for name in STUDIES)))
    (Path(__file__).parent / "results.md").write_text(text, encoding="utf-8")
