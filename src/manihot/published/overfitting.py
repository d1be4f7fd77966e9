"""The paper's conclusions on overfitting: networks, frozen backbones, batches and schedules by their gaps."""

import re
from itertools import combinations

from manihot.published import paper
from manihot.published.evidence import (
    AGAINST,
    CANNOT_TELL,
    FOR,
    Evidence,
    Weighed,
    count,
    missing,
    points,
    together,
    trained,
    value,
    verdict_of,
)
from manihot.published.numbers import Estimate
from manihot.scores.switches import differing

GAP = "How far a model overfits is its gap: balanced accuracy on its training photos minus that on held-out photos."
TRAINED = "This is of these trained models: another training could come out otherwise."


def small_networks(evidence: Evidence) -> Weighed:
    """1: a smaller network overfits faster than a larger one, and wants smaller batches and learning rates."""
    small, large = paper.BALANCED, paper.BALANCED_VGG_SMALL
    if not {small, large} <= set(evidence.experiments):
        return missing(f"small_cnn and vgg_small with the same settings ({small} and {large})")
    found = evidence.gap_difference(small, large)
    said = f"{GAP} {small} is the network small_cnn, {large} is vgg_small: {found.words()}. {TRAINED}"
    return found.verdict, f"{said}{_learnt(evidence)}", [found.value()]


def _learnt(evidence: Evidence) -> str:
    """When each network knew the photos of the overfit checks by heart that only the network tells apart."""
    keys = ("batch_size", "learning_rate", "photos", "augment", "size")
    for a, b in combinations(evidence.checks, 2):
        one, other = evidence.checks[a], evidence.checks[b]
        if one["network"] != other["network"] and all(one[key] == other[key] for key in keys):
            found = " and ".join(f"{evidence.checks[name]['network']} {_reached(evidence, name)}" for name in (a, b))
            return (
                f" Asked to learn {one['photos']} photos by heart (batches of {one['batch_size']}, learning rate "
                f"{one['learning_rate']:g}, one run each), {found}. Which batch and learning rate each network wants "
                "would need the same grid of such checks for both."
            )
    return (
        " Which batch and learning rate each network wants would need the same grid of overfit checks (learning a few "
        "photos by heart) for both."
    )


def _reached(evidence: Evidence, check: str) -> str:
    history = evidence.overfit[check]
    whole = history.loc[history["train_accuracy"] >= 1, "epoch"]
    if len(whole):
        return f"knows them after {count(int(whole.iloc[0]), 'epoch')}"
    return f"knows {100 * history['train_accuracy'].iloc[-1]:.0f} % of them after {count(len(history), 'epoch')}"


def frozen_backbones(evidence: Evidence) -> Weighed:
    """3: frozen pretrained backbones overfit less than a network from scratch, each paired with it fold by fold."""
    scratch = paper.BALANCED
    split = evidence.models[scratch]["split"] if scratch in evidence.experiments else None
    frozen = [
        name
        for name, model in evidence.models.items()
        if model["split"] == split and _frozen_and_pretrained(evidence, name)
    ]
    pairs = [pair for name in frozen if (pair := evidence.gap_difference(scratch, name)).folds]
    if not pairs:
        return missing(
            f"heads on frozen pretrained backbones, and a network trained from scratch ({scratch}) on the same folds"
        )
    said = "; ".join(pair.words() for pair in pairs)
    said = f"{GAP} {scratch}, trained from scratch, beside each frozen pretrained backbone on the same folds: {said}."
    return together([pair.verdict for pair in pairs]), f"{said} {TRAINED}", [pair.value() for pair in pairs]


def _frozen_and_pretrained(evidence: Evidence, name: str) -> bool:
    """Whether a model is a layer fitted on a frozen network that learned from other photos than these."""
    model = evidence.models[name]
    if model["kind"] == "head":
        joined = evidence.backbones[model["backbone"]].get("join", [model["backbone"]])
        sources = [evidence.backbones[backbone]["weights"] for backbone in joined]
    else:
        entry = evidence.experiments.get(name, {})
        sources = [entry["weights"]] if entry.get("frozen") else []
    # `{experiment}/fold{n}` is a network of this study, and `none` random weights.
    own = [source == "none" or re.fullmatch(r"[^/]+/fold\d+", source) for source in sources]
    return bool(sources) and not any(own)


def batches(evidence: Evidence) -> Weighed:
    """4: a bigger batch overfits more, at as many steps."""
    said, pairs = [], []
    for name, model in evidence.models.items():
        changed = evidence.changed(name)
        if "batch_size" not in changed or not set(changed) <= {"batch_size", "epochs"}:
            continue
        before, after = changed["batch_size"]
        pair = evidence.gap_difference(name, str(model["based_on"]))
        pair = pair if after > before else pair.turned()
        pairs.append(pair)
        said.append(f"batches of {max(before, after)} against {min(before, after)}: {pair.words()}")
    if not pairs:
        example = f"{paper.IMBALANCED_BATCH96}, based on {paper.IMBALANCED}"
        return missing(f"experiments that differ in batch_size, with epochs for as many steps ({example})")
    told = f"{GAP} By the size of the batch: {'; '.join(said)}. {TRAINED}"
    if not all(pair.equally_long for pair in pairs):
        told += " In as many epochs bigger batches make fewer steps: a fair pair has as many epochs more as the batch "
        told += "is bigger."
    return together([pair.verdict for pair in pairs]), told, [pair.value() for pair in pairs]


def overfitting_tests_better(evidence: Evidence) -> Weighed:
    """5: of two models compared on the test, the one that overfits more may test better."""
    better: list[str] = []
    worse: list[str] = []
    values, seeds, unequal = [], [], 0
    for row in evidence.test_pairs().itertuples():
        gap = evidence.gap_difference(row.model, row.based_on)
        # Trees take no steps, nor do heads that are fitted to convergence, and views averaged are one network's.
        if not gap.folds or None in gap.steps:
            continue
        if not gap.equally_long:
            unequal += 1
            continue
        if gap.verdict == CANNOT_TELL:
            continue
        names = (row.model, row.based_on) if gap.verdict == FOR else (row.based_on, row.model)
        test = Estimate(row.difference, row.low, row.high)
        test = test if gap.verdict == FOR else test.turned()
        seeds.append(row.seeds)
        values.append(value(f"test accuracy of {names[0]}, which overfits more, minus that of {names[1]}", test))
        if row.p_holm < 0.05 and verdict_of(test) != CANNOT_TELL:
            (better if test.value > 0 else worse).append(f"{names[0]} against {names[1]}: {points(test)}")
    left_out = f" {count(unequal, 'pair')} left out: trained unequally long." if unequal else ""
    if not values:
        said = "No two compared networks that were trained equally long differ clearly in how far they overfit (their "
        said += f"gap: balanced accuracy on training photos minus that on held-out photos).{left_out}"
        return CANNOT_TELL, said, []
    one = f"{count(len(values), 'pair')} of networks that were trained equally long and of which one clearly"
    said = f"{GAP} In {one} overfits more, that one has a clearly better test accuracy in {len(better)} and a clearly "
    said += f"worse one in {len(worse)} (Holm's p below 0.05; {trained(seeds)})."
    if better or worse:
        said += f" {'; '.join(better or worse)}."
    verdict = FOR if better else AGAINST if len(worse) == len(values) else CANNOT_TELL
    return verdict, f"{said}{left_out}", values


def schedules(evidence: Evidence) -> Weighed:
    """6: schedules need tuning and may speed up overfitting."""
    names = [name for name, entry in evidence.experiments.items() if entry["schedule"] == "one_cycle"]
    if not names:
        return missing("experiments with schedule: one_cycle")
    found = [_out_of_fold(evidence, name) for name in names]
    settings = "setting" if len(names) == 1 else f"{len(names)} settings"
    spread = f"The {settings} with a one-cycle schedule reach{'es' if len(names) == 1 else ''} "
    spread += f"{100 * min(found):.1f} to {100 * max(found):.1f} %" if len(names) > 1 else f"{100 * found[0]:.1f} %"
    spread += " (balanced accuracy on held-out photos)."
    pairs = [
        evidence.gap_difference(a, b)
        for a in names
        for b, entry in evidence.experiments.items()
        if set(differing(evidence.experiments[a], entry, evidence.splits)) == {"schedule"}
        and entry.get("repeat") == evidence.experiments[a].get("repeat")
    ]
    if pairs:
        said = "; ".join(
            f"{pair.a} has the one-cycle schedule, {pair.b} a constant rate: {pair.words()}" for pair in pairs
        )
        told = f"{GAP} {said}. {TRAINED} {spread}"
        return together([pair.verdict for pair in pairs]), told, [pair.value() for pair in pairs]
    said = f"{spread} No experiment differs from one of them in the schedule alone: it needs one with schedule: "
    return CANNOT_TELL, said + "constant and as many photos.", []


def _out_of_fold(evidence: Evidence, name: str) -> float:
    return float(evidence.scores[name, "validation"]["metrics"]["balanced_accuracy"]["value"])
