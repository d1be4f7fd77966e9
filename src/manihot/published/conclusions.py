"""The paper's ten conclusions, each weighed on what was measured: for, against, or cannot tell."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from manihot.core import files
from manihot.published import overfitting, paper
from manihot.published.evidence import (
    AGAINST,
    CANNOT_TELL,
    FOR,
    Evidence,
    Settings,
    Weighed,
    count,
    missing,
    percent,
    points,
    together,
    trained,
    value,
    verdict_of,
)
from manihot.published.numbers import Estimate, difference
from manihot.scores import comparisons
from manihot.scores.outcomes import Classes
from manihot.scores.switches import differing

# What else may tell the features of two models apart, and their heads or trees.
SEEN = ("split", "network", "weights", "normalisation", "draw", "train_photos", "per_class", "leak")
FITTED = ("epochs", "batch_size", "learning_rate", "weight_decay", "views", "n_estimators", "max_depth")
STATEMENTS = {
    1: "Smaller networks can overfit faster than larger ones, and want smaller batches and learning rates.",
    # 2 is about memory, which is no result but a cost: `memory.py` weighs it for the report.
    3: "Frozen pretrained backbones overfit less than networks trained from scratch.",
    4: "A bigger batch overfits more.",
    5: "Overfitting models sometimes test better.",
    6: "Schedules need tuning and may speed up overfitting on small data.",
    7: "Imbalance makes a model guess the majority.",
    8: "Very different new data survives bias and overfitting.",
    9: "An ensemble of folds often beats a single fold, at k times the cost.",
    10: "More pixels help (448 px).",
}


def weigh(evidence: Evidence) -> list[dict[str, Any]]:
    """The conclusions of STATEMENTS in their order: number, statement, verdict, evidence, values.

    A value has what, value, low and high, both None where there is one fold or one run.
    """
    judges: dict[int, Callable[[Evidence], Weighed]] = {
        1: overfitting.small_networks, 3: overfitting.frozen_backbones, 4: overfitting.batches,
        5: overfitting.overfitting_tests_better, 6: overfitting.schedules,
        7: _majority, 8: _new_class, 9: _ensembles, 10: _pixels,
    }  # fmt: skip
    weighed = []
    for number, statement in STATEMENTS.items():
        verdict, said, values = judges[number](evidence)
        entry = {"verdict": verdict, "evidence": said, "values": values}
        weighed.append({"number": number, "statement": statement, **entry})
    return weighed


def balancing(evidence: Evidence) -> list[dict[str, Any]]:
    """What balanced training photos give and cost on each test: the pairs so called, and what else they differ in.

    `answers` says which answers are compared: the models' `own`, or those `corrected` for the class shares of training.
    """
    rows = evidence.paired[evidence.paired["what"] == "balancing"].to_dict("records")
    for row in rows:
        row["answers"] = "corrected" if row["model"].endswith("/corrected") else "own"
        row |= {key: row[key].removesuffix("/corrected") for key in ("model", "based_on")}
        balanced, as_found = (evidence.experiments[row[key]] for key in ("model", "based_on"))
        changed = differing(balanced, as_found, evidence.splits)
        row["besides"] = [
            f"{key.replace('_', ' ')} {files.plain(old)} → {files.plain(new)}"
            for key, (old, new) in changed.items()
            if key != "draw"
        ]
    return rows


def paired(
    pairs: Sequence[Settings],
    tables: Mapping[tuple[str, str], pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Mapping[str, Classes],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Differences of accuracy on the same photos that no `based_on` declares: a row a pair and part that has photos.

    A pair has what, split, part, models and based_on_models (names of predictions, such as `balanced/fold1`);
    `tables` holds these predictions by (name, part). Columns: what, model, based_on, part, n, value, low, high.
    """
    rows = []
    # The folds of an ensemble are the ones that it has: other photos could have been tested, not other folds.
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples, "fixed": lambda pair: pair["what"] == "ensemble"}
    for pair, result in comparisons.compare_pairs(pairs, tables, catalogs, classes, **drawn):
        apart = result["metrics"]["accuracy"]
        names = {"model": pair["models"][0], "based_on": pair["based_on_models"][0]}
        found = {"value": apart["difference"], "low": apart["low"], "high": apart["high"]}
        rows.append({"what": pair["what"], **names, "part": pair["part"], "n": result["n"], **found})
    return pd.DataFrame(rows, columns=["what", "model", "based_on", "part", "n", "value", "low", "high"])


def _majority(evidence: Evidence) -> Weighed:
    if paper.IMBALANCED not in evidence.experiments:
        return missing(f"a network trained on photos as found ({paper.IMBALANCED})")
    record = evidence.scores[paper.IMBALANCED, "test"]
    # The majority of what it was trained on: under `published` the pool has been capped, and says another.
    on = [entry["n"] for entry in evidence.scores[paper.IMBALANCED, "train"]["per_class"]]
    majority = on.index(max(on))
    n, has = record["n"], sum(record["confusion"][majority]) / record["n"]

    def answered(name: str, scored: Settings | None = None) -> Estimate:
        entry = (scored or evidence.scores[name, "test"])["per_class"][majority]
        return Estimate(entry["answered"], entry["answered_low"], entry["answered_high"])

    own, label = answered(paper.IMBALANCED), record["per_class"][majority]["label"]
    apart = difference(own, Estimate(has, has, has))
    said = f"{paper.IMBALANCED}, trained on photos as found, answers class {label}, the commonest of its training "
    said += f"photos, on {percent(own)} of the {n:,} test photos, where {100 * has:.1f} % are of it. It is right on "
    said += f"{percent(Estimate(**record['metrics']['accuracy']))} of them."
    values = [value(f"share of class {label} among the answers of {paper.IMBALANCED}", own)]
    after = answered(paper.IMBALANCED, record["answers"]["corrected"])
    values.append(value(f"share of class {label} among the corrected answers of {paper.IMBALANCED}", after))
    said += f" Corrected for the class shares of its training photos, it answers class {label} on {percent(after)}."
    if paper.BALANCED in evidence.experiments and evidence.scores[paper.BALANCED, "test"]["n"] == n:
        other = answered(paper.BALANCED)
        values.append(value(f"share of class {label} among the answers of {paper.BALANCED}", other))
        said += f" {paper.BALANCED}, trained on equally many photos of each class, answers it on {percent(other)}."
    return verdict_of(apart), f"{said} {overfitting.TRAINED}", values


def _new_class(evidence: Evidence) -> Weighed:
    if paper.NEW_CLASS not in evidence.experiments:
        return missing(f"a network trained with a new class ({paper.NEW_CLASS})")
    record = evidence.scores[paper.NEW_CLASS, "test"]
    if not record["n"] or not record["new_class"]["n"] or not record["old_classes"]["n"]:
        return missing("test photos of the new class and of the old ones")
    of_new, precision = record["new_class"], record["new_class"]["precision"]
    new, old = Estimate(of_new["recall"], of_new["low"], of_new["high"]), Estimate(**record["old_classes"]["accuracy"])
    apart = difference(new, old)
    said = (
        f"{paper.NEW_CLASS} recognises {percent(new)} of the {count(of_new['n'], 'test photo')} of the new class and "
    )
    said += f"is right on {percent(old)} of those of the old classes: a difference of {points(apart)}."
    values = [value("recall of the new class minus accuracy on the old ones", apart)]
    # A model that answers the new class whatever it sees recognises all of it, and nothing has survived.
    verdict = verdict_of(apart)
    if verdict == FOR and precision <= 0.5:
        verdict = CANNOT_TELL
        said += f" But of the photos that it takes for the new class only {100 * precision:.1f} % are of it."
    return verdict, f"{said} {overfitting.TRAINED}", values


def _ensembles(evidence: Evidence) -> Weighed:
    found = evidence.paired[evidence.paired["what"] == "ensemble"]
    if found.empty:
        return missing("networks of several folds")
    gains = {row.model: Estimate(row.value, row.low, row.high) for row in found.itertuples()}
    verdicts = [verdict_of(gain) for gain in gains.values()]
    over, below = verdicts.count(FOR), verdicts.count(AGAINST)
    each = [gain.value for gain in gains.values()]
    # Networks are tested on the same photos: an interval that takes them as independent would mean nothing.
    average = points(Estimate(sum(each) / len(each)) if len(each) > 1 else next(iter(gains.values())))
    said = (
        "An ensemble averages the probabilities of a network's fold models. "
        f"Of {count(len(gains), 'network')} its test accuracy is clearly better than the mean of the fold models' own "
        f"in {over} and clearly worse in {below}; "
        f"{'on average it gains' if len(each) > 1 else 'it gains'} {average}. It costs as many trainings as folds. "
        f"{overfitting.TRAINED}"
    )
    verdict = FOR if over > len(gains) / 2 else AGAINST if below > len(gains) / 2 else CANNOT_TELL
    values = [value(f"{name}: ensemble minus the mean of its folds", gain) for name, gain in gains.items()]
    return verdict, said, values


def _pixels(evidence: Evidence) -> Weighed:
    found: dict[str, Estimate] = {}
    seeds: list[int] = []
    for row in evidence.test_pairs().itertuples():
        before, after = _sizes(evidence, row.model, row.based_on)
        if before != after:
            test = Estimate(row.difference, row.low, row.high)
            more, fewer = (row.model, row.based_on) if after > before else (row.based_on, row.model)
            seeds.append(row.seeds)
            pixels = f"{more} ({max(before, after)} px) against {fewer} ({min(before, after)} px)"
            found[pixels] = test if after > before else test.turned()
    if not found:
        return missing(f"models that differ in size alone ({paper.BALANCED_448PX}, {paper.booster(9)})")
    said = "; ".join(f"{names}: {points(test)}" for names, test in found.items())
    said = f"Difference of accuracy on the same test photos, {trained(seeds)}: {said}."
    values = [value(f"test accuracy, {names}", test) for names, test in found.items()]
    return together([verdict_of(test) for test in found.values()]), said, values


def _sizes(evidence: Evidence, name: str, based_on: str) -> tuple[int, int]:
    """The pixels that tell a model from the one it is based on, (based on's, its): the same where more differs."""
    changed = evidence.changed(name)
    if set(changed) == {"size"}:
        before, after = changed["size"]
        return before, after
    models = [evidence.models[model] for model in (based_on, name)]
    kinds = {model["kind"] for model in models}
    if kinds not in ({"head"}, {"boosting"}):
        return 0, 0
    before, after = (evidence.backbones[model["backbone"]] for model in models)
    if "join" in before or "join" in after:  # features of several sizes
        return 0, 0
    fits = [before["head"], after["head"]]
    if kinds == {"boosting"}:
        fits = [evidence.boosting.get(model["name"], {}) for model in models]
    alike = all(before[key] == after[key] for key in SEEN) and all(
        fits[0].get(key) == fits[1].get(key) for key in FITTED
    )
    return (before["size"], after["size"]) if alike else (0, 0)
