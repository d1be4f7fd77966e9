"""The README of an export: what the model is, what it was tried on, and what that does not show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manihot.applied.home import Home
from manihot.core import files
from manihot.export import layout

TESTS = {"test": "the test", "test_as_found": "the test as found"}
METRICS = ("accuracy", "balanced_accuracy", "log_loss")
NOT_SHOWN = """\
- The test photos are of the same data sets as the training photos: other fields, seasons, cameras and countries are
  not in them.
- The model knows its own classes only. A photo that shows none of them has an answer, too: `unlike`, where there is
  one, and large sets warn of it, and not always.
- The probabilities are for equally common classes (`--shares as_found` takes the shares of the study's photos). Where
  the classes are otherwise common, they are too high for the rare ones.
- The labels of the study are taken as they are: where they are wrong, so is the model, and its scores do not tell.
- An answer is no diagnosis. What follows from it (a treatment, a harvest) is a person's decision.
"""


def text(about: Mapping[str, Any], told: Mapping[str, Any], title: str, model: Path) -> str:
    """The card as Markdown.

    Args:
        about: the record of the export, with its files.
        told: `checks`, `speed`, `model` (the record of the whole model), `scores`, of its tests, and
            those on `external` data sets, by their names.
        title: that of the study.
        model: the folder of the model, whose folds' records say where weights come from.
    """
    parts = [
        f"# {about['name']}, of the study “{title}”\n",
        "An image classifier as files that need nothing but Python with onnxruntime, numpy and pillow:\n",
        "```sh\npython -m pip install onnxruntime numpy pillow\npython predict.py photos/ -o predictions.csv\n```\n",
        _what(about, told["model"]),
        _scores(told["scores"]),
        _elsewhere(told["external"]),
        f"## What this does not show\n\n{NOT_SHOWN}",
        _files(about, told["speed"]),
        _checks(told["checks"]),
        _licence(told["model"], model),
    ]
    return "\n".join(parts)


def _what(about: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    sizes = " and ".join(str(size) for size in about["input"]["sizes"])
    members = len(record["members"])
    lines = [
        "## What it is\n",
        f"- Kind: {record['kind']}, {record['parameters']:,} parameters; {members} "
        f"{'member' if members == 1 else 'members, averaged'}; views: {', '.join(record['views'])}; photos are seen at "
        f"{sizes} pixels a side.",
        f"- Probabilities are calibrated with the temperature {about['calibration']['temperature']:.3g}.",
        f"- Prediction sets: {'yes' if about['sets'] else 'none'}. Tells photos unlike the study's: "
        f"{'yes' if about['unlike'] else 'no'}.",
        "\n| class | name | share of the study's photos |\n|---|---|---|",
    ]
    shares = about["calibration"]["shares"]
    lines += [f"| {_cell(c['label'])} | {_cell(c['name'])} | {shares[c['label']]:.1%} |" for c in about["classes"]]
    return "\n".join(lines) + "\n"


def _scores(scores: list[Mapping[str, Any]]) -> str:
    """A table of the tests: calibrated answers where they are scored, with 95 % intervals."""
    lines = [
        "## How good it is\n",
        "On photos that it was not trained on, with 95 % intervals over groups of photos (calibrated answers):\n",
        "| photos | n | accuracy | balanced accuracy | log loss |\n|---|---|---|---|---|",
    ]
    sites = []
    for part, record in zip(TESTS, scores, strict=True):
        if not record["n"]:
            continue
        found = record["answers"]["calibrated"]["metrics"]
        values = [_interval(found[name]) for name in METRICS]
        lines.append(f"| {TESTS[part]} | {record['n']} | {' | '.join(values)} |")
        sites += [f"| {TESTS[part]}, {_cell(row['site'])} | {row['n']} | {_interval(row['accuracy'])} | | |"
                  for row in record["sites"]]  # fmt: skip
    if len(lines) == 3:
        return "## How good it is\n\nThe study kept no photos for a test: how good the model is, is not known.\n"
    if sites:
        lines += sites
    return "\n".join(lines) + "\n"


def _elsewhere(external: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of other people's photos, answered and scored as the tests were."""
    if not external:
        return "Photos from elsewhere: none were tried.\n"
    lines = [
        "On photos from elsewhere, of the classes that they have:\n",
        "| photos | n | accuracy | balanced accuracy | log loss | classes that they lack |\n|---|---|---|---|---|---|",
    ]
    for name, record in external.items():
        found = record["tried"]
        values = [_interval(found["metrics"][metric]) for metric in METRICS]
        lines.append(f"| {_cell(name)} | {found['n']} | {' | '.join(values)} | {_cell(', '.join(record['absent']))} |")
    return "\n".join(lines) + "\n"


def _interval(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return ""
    ends = f" ({value['low']:.3f} to {value['high']:.3f})" if value.get("low") is not None else ""
    return f"{value['value']:.3f}{ends}"


def _files(about: Mapping[str, Any], speed: Mapping[str, Any]) -> str:
    height, width, _ = speed["photo"]
    lines = [
        "## Files and speed\n",
        f"Milliseconds are for a photo of {width} x {height} pixels on one core of the machine that made this.\n",
        "| file | bytes | ms |\n|---|---|---|",
    ]
    for name, entry in about["files"].items():
        taken = speed["milliseconds"].get(name)
        lines.append(f"| `{name}` | {entry['bytes']:,} | {'' if taken is None else taken} |")
    rows = [
        f"\n`{layout.ONNX}` (ONNX) takes RGB photos, uint8 `[n, height, width, 3]`, of any size, one size a batch:\n"
    ]
    rows += [f"- `{name}`: {said}" for name, said in about["outputs"].items()]
    return "\n".join(lines + rows) + "\n"


def _checks(checks: Mapping[str, Any]) -> str:
    photos = ", ".join(f"{count} {role}" for role, count in checks["photos"].items())
    lines = [f"## What was checked\n\nOn {photos} photos; `{layout.CHECKS}` has the numbers.\n"]
    names = {
        "pixels": "ONNX against PyTorch in float32, from the same pixels",
        "files": "ONNX against PyTorch in float32, from the photos' files",
        "predict": "predict.py against the study's own command, from the photos' files",
    }
    for name, said in names.items():
        found = checks[name]
        if not found["n"]:
            lines.append(f"- {said}: not comparable, {found['reason']}.")
            continue
        lines.append(
            f"- {said}: probabilities differ by {found['largest']:.2g} at most; {found['changed']} of {found['n']} "
            f"answers differ, {found['ties']} of them near-ties."
        )
    small = checks["int8"]
    if "difference" in small:
        lines.append(
            f"- 8-bit weights against float32: accuracy {100 * small['difference']:+.1f} points (95 % interval "
            f"{100 * small['low']:+.1f} to {100 * small['high']:+.1f}), {small['changed']} of {small['n']} answers "
            "differ."
        )
    if small["passed"] and checks["predict"].get("unlike"):
        lines.append(f"- `{layout.INT8}` does not tell how unlike a photo is: its features cannot be compared.")
    if not small["passed"]:
        lines.append(f"- `{layout.INT8}` is not here: {small['reason']}.")
    return "\n".join(lines) + "\n"


def _licence(record: Mapping[str, Any], model: Path) -> str:
    """Where the weights come from, and under which licence."""
    home, said = Home(model, record["name"]), {}
    for entry in record["members"]:
        fitted = files.read_json(home.find(entry["record"], "a fold"))
        for network in [fitted] if "network" in fitted else fitted["backbones"]:
            origin = network.get("initial_weights", {"source": "unknown"})
            if origin["source"] == "none":
                said[network["network"]] = "started from random weights"
            else:
                licence = origin.get("license", "not known here: ask who published them")
                said[network["network"]] = f"started from published weights ({origin['source']}; licence: {licence})"
    lines = [f"- {_cell(network)}: {words}" for network, words in said.items()]
    lines.append("- The photos that it was trained on are under their own terms, which may hold for the model, too.")
    return "## Licence of the weights\n\n" + "\n".join(lines) + "\n"


def _cell(value: str) -> str:
    """A name in a table."""
    return value.replace("|", "\\|").replace("\n", " ")
