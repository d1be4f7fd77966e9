"""The paper's ten conclusions, each weighed on what was measured: for, against, or cannot tell."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import pandas as pd

from manihot.core import files
from manihot.published import paper
from manihot.published.numbers import Estimate, difference, mean, share
from manihot.scores import comparisons
from manihot.scores.outcomes import Classes
from manihot.scores.switches import differing

Settings: TypeAlias = Mapping[str, Any]
Weighed: TypeAlias = tuple[str, str, list[dict[str, Any]]]  # verdict, evidence, values
FOR, AGAINST, CANNOT_TELL = "for", "against", "cannot tell"
NOT_MEASURED = "Not in this study: it needs {}."
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


@dataclass(frozen=True)
class Evidence:
    """What was measured and asked for: `scores` by (model, part), `histories` by (model, fold), the rest by name.

    `compared` is comparisons.csv, `paired` the rows of `paired`, `overfit` the histories of the overfit `checks`.
    """

    models: Mapping[str, Settings]
    experiments: Mapping[str, Settings]
    backbones: Mapping[str, Settings]
    splits: Mapping[str, Settings]
    checks: Mapping[str, Settings]
    scores: Mapping[tuple[str, str], Settings]
    histories: Mapping[tuple[str, int], pd.DataFrame]
    overfit: Mapping[str, pd.DataFrame]
    compared: pd.DataFrame
    paired: pd.DataFrame

    def gap(self, model: str) -> pd.Series:
        """How far each fold overfits: training minus validation accuracy in its last epoch, by fold."""
        last = {fold: history.iloc[-1] for (name, fold), history in self.histories.items() if name == model}
        gaps = {fold: row["train_accuracy"] - row["validation_accuracy"] for fold, row in last.items()}
        return pd.Series(gaps, dtype=float).dropna()

    def gap_difference(self, a: str, b: str) -> Estimate:
        """How much more `a` overfits than `b`: the mean over their common folds with its t interval."""
        return mean((self.gap(a) - self.gap(b)).dropna())

    def test_pairs(self) -> pd.DataFrame:
        """The paired differences of test accuracy: model, based_on, difference, low, high, p_holm."""
        return self.compared[(self.compared["part"] == "test") & (self.compared["metric"] == "accuracy")]


def weigh(evidence: Evidence) -> list[dict[str, Any]]:
    """The conclusions of STATEMENTS in their order: number, statement, verdict, evidence, values.

    A value has what, value, low and high, both None where there is one fold or one run.
    """
    judges: dict[int, Callable[[Evidence], Weighed]] = {
        1: _small_networks, 3: _frozen, 4: _batches, 5: _overfitting_tests_better, 6: _schedules,
        7: _majority, 8: _new_class, 9: _ensembles, 10: _pixels,
    }  # fmt: skip
    weighed = []
    for number, statement in STATEMENTS.items():
        verdict, said, values = judges[number](evidence)
        entry = {"verdict": verdict, "evidence": said, "values": values}
        weighed.append({"number": number, "statement": statement, **entry})
    return weighed


def balancing(evidence: Evidence) -> list[dict[str, Any]]:
    """What balanced training photos give and cost on each test: the pairs so called, and what else they differ in."""
    rows = evidence.paired[evidence.paired["what"] == "balancing"].to_dict("records")
    for row in rows:
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
    for pair in pairs:
        a, b = ([tables[name, pair["part"]] for name in pair[key]] for key in ("models", "based_on_models"))
        # The folds of an ensemble are the ones that it has: other photos could have been tested, not other folds.
        fixed = pair["what"] == "ensemble"
        result = comparisons.compare(
            a, b, catalogs, classes[pair["split"]], seed=seed, resamples=resamples, fixed=fixed
        )
        if result["n"]:
            apart = result["metrics"]["accuracy"]
            names = {"model": pair["models"][0], "based_on": pair["based_on_models"][0]}
            found = {"value": apart["difference"], "low": apart["low"], "high": apart["high"]}
            rows.append({"what": pair["what"], **names, "part": pair["part"], "n": result["n"], **found})
    return pd.DataFrame(rows, columns=["what", "model", "based_on", "part", "n", "value", "low", "high"])


def _verdict(estimate: Estimate) -> str:
    if estimate.low > 0:
        return FOR
    return AGAINST if estimate.high < 0 else CANNOT_TELL


def _value(what: str, estimate: Estimate) -> dict[str, Any]:
    ends = {key: None if math.isnan(end) else float(end) for key, end in estimate._asdict().items()}
    return {"what": what, **ends}


def points(estimate: Estimate) -> str:
    """A difference of shares in points with its interval, in words."""
    if math.isnan(estimate.low):
        return f"{100 * estimate.value:+.1f} points (one run: no interval)".replace("-", "−")
    value, low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in estimate)
    return f"{value} points ({low} to {high})"


def _percent(estimate: Estimate) -> str:
    value, low, high = (f"{100 * end:.1f}" for end in estimate)
    return f"{value} % ({low} to {high})"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"


def _missing(needed: str) -> Weighed:
    return CANNOT_TELL, NOT_MEASURED.format(needed), []


def _small_networks(evidence: Evidence) -> Weighed:
    small, large = paper.BALANCED, paper.BALANCED_VGG_SMALL
    if not {small, large} <= set(evidence.experiments):
        return _missing(f"small_cnn and vgg_small with the same settings ({small} and {large})")
    apart = evidence.gap_difference(small, large)
    said = f"In the last epoch small_cnn overfits (training minus validation accuracy) by {points(apart)} more "
    said += f"than vgg_small, over folds.{_learnt(evidence)}"
    return _verdict(apart), said, [_value("small_cnn's gap minus vgg_small's", apart)]


def _learnt(evidence: Evidence) -> str:
    """When each network knew the photos of the overfit checks by heart that only the network tells apart."""
    keys = ("batch_size", "learning_rate", "photos", "augment", "size")
    for a, b in combinations(evidence.checks, 2):
        one, other = evidence.checks[a], evidence.checks[b]
        if one["network"] != other["network"] and all(one[key] == other[key] for key in keys):
            found = " and ".join(f"{evidence.checks[name]['network']} {_reached(evidence, name)}" for name in (a, b))
            rate = f"{one['learning_rate']:g}"
            return (
                f" At batch {one['batch_size']} and learning rate {rate}, in one run each, {found}; which batch and "
                "learning rate each wants would need the same grid for both."
            )
    return " Which batch and learning rate each wants would need the same grid of overfit checks for both."


def _reached(evidence: Evidence, check: str) -> str:
    history = evidence.overfit[check]
    whole = history.loc[history["train_accuracy"] >= 1, "epoch"]
    if len(whole):
        return f"knows {evidence.checks[check]['photos']} photos by heart after {whole.iloc[0]} epochs"
    return f"has {history['train_accuracy'].iloc[-1]:.2f} of them after {len(history)}"


def _frozen(evidence: Evidence) -> Weighed:
    frozen = {
        name: evidence.gap(name)
        for name, model in evidence.models.items()
        if model["kind"] == "head" or evidence.experiments.get(name, {}).get("frozen")
    }
    gaps = [gap.mean() for gap in frozen.values() if len(gap)]
    if paper.BALANCED not in evidence.experiments or not gaps:
        return _missing(f"heads on frozen backbones, and a network trained from scratch ({paper.BALANCED})")
    backbones, scratch = mean(gaps), mean(evidence.gap(paper.BALANCED))
    apart = difference(scratch, backbones)
    said = (
        f"Training minus validation accuracy in the last epoch is {100 * scratch.value:.1f} points over the folds of "
        f"{paper.BALANCED} and {100 * backbones.value:.1f} over {_count(len(gaps), 'frozen backbone')}: "
        f"{points(apart)} more from scratch."
    )
    return _verdict(apart), said, [_value("gap from scratch minus gap of frozen backbones", apart)]


def _batches(evidence: Evidence) -> Weighed:
    pairs = {
        name: evidence.gap_difference(name, str(model["based_on"]))
        for name, model in evidence.models.items()
        if set(_changed(evidence, name)) == {"batch_size"}
    }
    if not pairs:
        example = f"{paper.IMBALANCED_BATCH96}, based on {paper.IMBALANCED}"
        return _missing(f"experiments that differ in batch_size alone ({example})")
    signs, values, said = [], [], []
    for name, apart in pairs.items():
        before, after = _changed(evidence, name)["batch_size"]
        apart = apart if after > before else apart.turned()
        signs.append(_verdict(apart))
        values.append(_value(f"gap at batch {max(before, after)} minus at {min(before, after)}", apart))
        said.append(f"batch {max(before, after)} against {min(before, after)}: {points(apart)}")
    return _together(signs), f"How much more the bigger batch overfits, over folds: {'; '.join(said)}.", values


def _together(verdicts: Sequence[str]) -> str:
    """One verdict of several: a clear one, if none is clearly the other."""
    clear = set(verdicts) - {CANNOT_TELL}
    return clear.pop() if len(clear) == 1 else CANNOT_TELL


def _changed(evidence: Evidence, name: str) -> dict[str, tuple[Any, Any]]:
    """The settings in which an experiment differs from the one it is based on."""
    based_on = evidence.models[name]["based_on"]
    # A refit differs from its experiment in no setting.
    if not {name, based_on} <= set(evidence.experiments):
        return {}
    return differing(evidence.experiments[name], evidence.experiments[based_on], evidence.splits)


def _overfitting_tests_better(evidence: Evidence) -> Weighed:
    better: list[str] = []
    worse: list[str] = []
    values = []
    for row in evidence.test_pairs().itertuples():
        gap = evidence.gap_difference(row.model, row.based_on)
        if not (gap.low > 0 or gap.high < 0):
            continue
        names = (row.model, row.based_on) if gap.value > 0 else (row.based_on, row.model)
        test = Estimate(row.difference, row.low, row.high)
        test = test if gap.value > 0 else test.turned()
        values.append(_value(f"test accuracy of {names[0]}, which overfits more, minus that of {names[1]}", test))
        if row.p_holm < 0.05 and _verdict(test) != CANNOT_TELL:
            (better if test.value > 0 else worse).append(f"{names[0]} against {names[1]}: {points(test)}")
    if not values:
        return CANNOT_TELL, "No pair of compared models has one that clearly overfits more than the other.", []
    said = (
        f"Of {_count(len(values), 'compared pair')} of which one model clearly overfits more, that one tests clearly "
        f"better in {len(better)} and clearly worse in {len(worse)} (Holm's p below 0.05). {'; '.join(better or worse)}"
    )
    verdict = FOR if better else AGAINST if len(worse) == len(values) else CANNOT_TELL
    return verdict, said.strip().rstrip(".") + ".", values


def _schedules(evidence: Evidence) -> Weighed:
    names = [name for name, entry in evidence.experiments.items() if entry["schedule"] == "one_cycle"]
    if not names:
        return _missing("experiments with schedule: one_cycle")
    found = [_out_of_fold(evidence, name) for name in names]
    spread = f"The {_count(len(names), 'one-cycle setting')} reach {100 * min(found):.1f} to {100 * max(found):.1f} % "
    spread += "(balanced accuracy out of fold)."
    for a in names:
        for b, entry in evidence.experiments.items():
            if set(differing(evidence.experiments[a], entry, evidence.splits)) == {"schedule"}:
                apart = evidence.gap_difference(a, b)
                said = f"On the same photos {a} overfits by {points(apart)} more than {b}, over folds. {spread}"
                return _verdict(apart), said, [_value(f"gap of {a} minus {b}", apart)]
    said = f"{spread} No experiment differs from one of them in the schedule alone: it needs one with schedule: "
    return CANNOT_TELL, said + "constant and as many photos.", []


def _out_of_fold(evidence: Evidence, name: str) -> float:
    return float(evidence.scores[name, "validation"]["metrics"]["balanced_accuracy"]["value"])


def _majority(evidence: Evidence) -> Weighed:
    if paper.IMBALANCED not in evidence.experiments:
        return _missing(f"a network trained on photos as found ({paper.IMBALANCED})")
    record = evidence.scores[paper.IMBALANCED, "test"]
    # The majority of what it was trained on: under `published` the pool has been capped, and says another.
    trained = [entry["n"] for entry in evidence.scores[paper.IMBALANCED, "train"]["per_class"]]
    majority = trained.index(max(trained))
    n, has = record["n"], sum(record["confusion"][majority]) / record["n"]

    def answered(name: str) -> Estimate:
        confusion = evidence.scores[name, "test"]["confusion"]
        return share(sum(row[majority] for row in confusion) / n, n)

    own, label = answered(paper.IMBALANCED), record["per_class"][majority]["label"]
    apart = difference(own, Estimate(has, has, has))
    said = f"{paper.IMBALANCED} answers the majority, class {label}, on {_percent(own)} of the {n:,} test photos, "
    said += f"where {100 * has:.1f} % are of it; it is right on {_percent(Estimate(**record['metrics']['accuracy']))}."
    values = [_value(f"share of the majority among the answers of {paper.IMBALANCED}", own)]
    if paper.BALANCED in evidence.experiments and evidence.scores[paper.BALANCED, "test"]["n"] == n:
        other = answered(paper.BALANCED)
        values.append(_value(f"share of the majority among the answers of {paper.BALANCED}", other))
        said += f" {paper.BALANCED} answers it on {_percent(other)}."
    return _verdict(apart), said, values


def _new_class(evidence: Evidence) -> Weighed:
    if paper.NEW_CLASS not in evidence.experiments:
        return _missing(f"a network trained with a new class ({paper.NEW_CLASS})")
    record = evidence.scores[paper.NEW_CLASS, "test"]
    if not record["n"] or not record["new_class"]["n"] or not record["old_classes"]["n"]:
        return _missing("test photos of the new class and of the old ones")
    new = share(record["new_class"]["recall"], record["new_class"]["n"])
    old = Estimate(**record["old_classes"]["accuracy"])
    apart = difference(new, old)
    said = f"Of {record['new_class']['n']} photos of the new class {_percent(new)} are recognised, of the old classes "
    said += f"{_percent(old)} are right: {points(apart)} more."
    values = [_value("recall of the new class minus accuracy on the old ones", apart)]
    # A model that answers the new class whatever it sees recognises all of it, and nothing has survived.
    verdict, precision = _verdict(apart), record["new_class"]["precision"]
    if verdict == FOR and precision <= 0.5:
        return CANNOT_TELL, f"{said} But of its answers “new class” only {100 * precision:.1f} % are right.", values
    return verdict, said, values


def _ensembles(evidence: Evidence) -> Weighed:
    found = evidence.paired[evidence.paired["what"] == "ensemble"]
    if found.empty:
        return _missing("networks of several folds")
    gains = {row.model: Estimate(row.value, row.low, row.high) for row in found.itertuples()}
    verdicts = [_verdict(gain) for gain in gains.values()]
    over, below = verdicts.count(FOR), verdicts.count(AGAINST)
    average = mean([gain.value for gain in gains.values()]) if len(gains) > 1 else next(iter(gains.values()))
    said = (
        f"Of {_count(len(gains), 'network')} the ensemble tests clearly better than the mean of its folds in {over} "
        f"and clearly worse in {below}; on average {points(average)}. It costs one fit a fold."
    )
    verdict = FOR if over > len(gains) / 2 else AGAINST if below > len(gains) / 2 else CANNOT_TELL
    return (
        verdict,
        said,
        [_value(f"{name}: ensemble minus the mean of its folds", gain) for name, gain in gains.items()],
    )


def _pixels(evidence: Evidence) -> Weighed:
    found: dict[str, Estimate] = {}
    for row in evidence.test_pairs().itertuples():
        before, after = _sizes(evidence, row.model, row.based_on)
        if before != after:
            test = Estimate(row.difference, row.low, row.high)
            more, fewer = (row.model, row.based_on) if after > before else (row.based_on, row.model)
            found[f"{more} against {fewer}"] = test if after > before else test.turned()
    if not found:
        return _missing(f"models that differ in size alone ({paper.BALANCED_448PX}, {paper.booster(9)})")
    said = "; ".join(f"{names}: {points(test)}" for names, test in found.items())
    values = [_value(f"test accuracy, {names}", test) for names, test in found.items()]
    return _together([_verdict(test) for test in found.values()]), f"Paired on the test, {said}.", values


def _sizes(evidence: Evidence, name: str, based_on: str) -> tuple[int, int]:
    """The pixels that tell a model from the one it is based on, (based on's, its): the same where more differs."""
    if set(_changed(evidence, name)) == {"size"}:
        before, after = _changed(evidence, name)["size"]
        return before, after
    backbones = [evidence.backbones.get(evidence.models[model]["backbone"] or "", {}) for model in (based_on, name)]
    return backbones[0].get("size", 0), backbones[1].get("size", 0)
