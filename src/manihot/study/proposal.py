"""Studies that an expert would write for somebody's photos, from the one that gives most to the one that takes least.

Heads on a frozen network that knows ImageNet come first: they give most for their time. Then fine-tuning its upper
part, then trees, then a small network that learns from these photos alone, to tell what published weights are worth.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from manihot.core.errors import StudyError
from manihot.study.looking import FEWEST, Found, Source
from manihot.study.pretrained import Pretrained

# Sizes (pixels) and epochs of small_cnn, longest first; the last ones are quick.
BASELINES = ((128, 20), (96, 20), (64, 20), (64, 10))
# What is left out first: of the further head, the trees and the baseline.
EXTRAS = [
    *((True, True, baseline) for baseline in BASELINES),
    (True, False, BASELINES[-1]),
    (True, False, None),
    (False, False, None),
]
# How the network is fine-tuned: on all `folds`, or on `one` and once more on the whole pool, and for how many epochs.
# Fewer epochs before fewer folds, and one fit of few epochs before none.
FINETUNINGS = (("folds", 15), ("folds", 8), ("one", 15), ("one", 8), ("one", 4))
# Sides of photos (pixels) that heads do with where the network's own takes too long.
SMALLER = (160, 128, 96, 64)


@dataclass(frozen=True)
class Proposal:
    """The text of a study file, and what the study does in words."""

    text: str
    gist: str


def proposals(name: str, source: Source, found: Found, start: Pretrained | None) -> Iterator[Proposal]:
    """Studies of the data set `name`, the richest first; without published weights to `start` from, of small_cnn.

    Raises:
        StudyError: fewer than two classes have enough photos.
    """
    head, folds = _photos_and_splits(name, source, found)
    of = _Networks(found, folds, start)
    for said, gist in _from_published(of, start) if start else _from_scratch(of):
        yield Proposal(head + said, gist)


def _photos_and_splits(name: str, source: Source, found: Found) -> tuple[str, int]:
    """The study file down to its splits, and how many folds there are."""
    counts = found.enough()
    if len(counts) < 2:
        raise StudyError(f"{source.root}: a study needs two classes of at least {FEWEST} photos, found {len(counts)}")
    keys = dict(source.keys)
    if len(counts) < len({label.label for label in source.labels}):
        keys["only"] = list(counts)
    smallest, total = min(counts.values()), sum(counts.values())
    folds = 5 if smallest >= 50 else 3 if smallest >= 20 else 2
    given = {label.given_role for label in source.labels}
    numbers = {int(label.given_fold) for label in source.labels if label.given_fold}
    folds = 1 if "validation" in given else max(numbers) + (0 in numbers) if numbers else folds
    # A fifth of the smallest class goes to each test, so that most of it is left to learn from.
    each, as_found = max(1, min(200, smallest // 5)), min(1000, total // 5)
    unusable = sum(map(len, found.problems.values())) / len(source.labels)
    text = TEMPLATE.format(
        title=f"A study of {name}",
        name=json.dumps(name),
        data="".join(f"    {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items()),
        shards=max(2, min(32, total // 1000)),
        set_aside=min(1.0, round(max(0.05, 1.5 * unusable), 2)),
        folds=folds,
        tests=GIVEN_TEST if "test" in given else DRAWN_TESTS.format(test=each * len(counts), as_found=as_found),
        keep=max(folds, smallest // 3),
    )
    return text, folds


@dataclass(frozen=True)
class _Networks:
    """What the networks of a study have in common: the photos' side in pixels, the folds, and how they start."""

    found: Found
    folds: int
    start: Pretrained | None

    @property
    def total(self) -> int:
        return sum(self.found.enough().values())

    def side(self, most: int) -> int:
        """The largest side that photos have detail for, up to `most`, in steps that networks of any kind take."""
        return most if self.found.side >= most else max(64, self.found.side // 32 * 32)

    @property
    def batch_size(self) -> int:
        return 32 if self.total >= 1000 else 16

    def baseline(self, size: int, epochs: int, more: Sequence[str] = ()) -> str:
        """The entry of small_cnn."""
        lines = [
            f"size: {self.side(size)}",
            f"batch_size: {self.batch_size}",
            f"epochs: {epochs}",
            f"learning_rate: {'1e-4' if self.total >= 5000 else '3e-4'}",
            "augment: {horizontal_flip: true, vertical_flip: true}",
            *more,
        ]
        return "  small_cnn:\n" + "".join(f"    {line}\n" for line in lines)


def _from_published(of: _Networks, start: Pretrained) -> Iterator[tuple[str, str]]:
    """The networks of each study that starts from published weights, and what is done with them."""
    size = of.side(start.size)
    # Where folds are not fitted often enough to be averaged, the model to use is fitted once more on all of them.
    for tuned in (*(each for each in FINETUNINGS if of.folds > 1 or each[0] == "one"), None):
        for further, trees, baseline in EXTRAS:
            sizes = [size, *([_further(of, size)] if further and _further(of, size) else [])]
            yield _study(of, start, sizes, tuned, trees, baseline)
    for smaller in SMALLER:
        if smaller < size:
            yield _study(of, start, [smaller], None, False, None)


def _further(of: _Networks, size: int) -> int:
    """A second side of the photos for heads: more pixels, where the photos have them; 0 where they do not."""
    more = size * 9 // 7 // 32 * 32
    return more if of.found.side >= more > size else 0


def _study(
    of: _Networks,
    start: Pretrained,
    sizes: Sequence[int],
    tuned: tuple[str, int] | None,
    trees: bool,
    baseline: tuple[int, int] | None,
) -> tuple[str, str]:
    """The networks of a study: heads on photos of some sizes, and what else there is time for; and that in words.

    Args:
        of: what the networks have in common.
        start: the network with published weights.
        sizes: sides of the photos for heads; fine-tuning and trees have the first.
        tuned: how the network is fine-tuned, one of FINETUNINGS, or not.
        trees: whether trees are grown on its features.
        baseline: size and epochs of small_cnn.
    """
    fitted, finetuned_for = tuned or ("folds", 0)
    one = ["run_folds: [1]"] if fitted == "one" and of.folds > 1 else []
    network = [f"network: {start.network}", f"weights: {json.dumps(start.weights)}"]
    text = BACKBONES
    for size in sizes:
        lines = [*network, f"size: {size}", *one, "head: {kind: logistic, views: [identity, hflip]}"]
        text += f"  {start.name}{f'_{size}px' if size != sizes[0] else ''}:\n"
        text += "".join(f"    {line}\n" for line in lines)
    done = [f"tuned heads on {start.name}'s features at {' and '.join(map(str, sizes))} px"]
    if tuned or baseline:
        text += "\nexperiments:\n"
    if tuned:
        once = "refit: true" if fitted == "one" else f"head_from: {start.name}_head"
        lines = [
            *network, f"size: {sizes[0]}", "recipe: finetune", f"epochs: {finetuned_for}",
            f"batch_size: {of.batch_size}",
            f"train_from: {start.train_from}", "views: [identity, hflip, vflip, rot90]", *one, once,
            "tta: [identity, hflip, vflip, rot90]",
        ]  # fmt: skip
        text += FINETUNED + (HELD_OUT if one else "") + f"  {start.name}_finetuned:\n"
        text += "".join(f"    {line}\n" for line in lines)
        where = f"on all {of.folds} folds" if fitted == "folds" else "on one fold and once more on the whole pool"
        done.append(f"{start.name} fine-tuned from {start.train_from} for {finetuned_for} epochs {where}")
    if trees:
        done.append("trees")
    if baseline:
        text += BASELINE + of.baseline(*baseline, one)
        done.append(f"small_cnn from scratch at {of.side(baseline[0])} px for {baseline[1]} epochs")
    if trees:
        text += f"\nboosting:\n  {start.name}_trees: {{backbone: {start.name}}}\n"
    return text, "; ".join(done)


def _from_scratch(of: _Networks) -> Iterator[tuple[str, str]]:
    """The networks of each study that has no published weights to start from, and what is done with them."""
    for one in (False, True) if of.folds > 1 else (False,):
        for size, epochs in BASELINES:
            for trees in (True, False):
                once = ["run_folds: [1]", "refit: true"] if one else ["refit: true"] if of.folds == 1 else []
                experiment = of.baseline(size, epochs, [*once, "tta: [identity, hflip, vflip]"])
                text = UNPUBLISHED + (HELD_OUT if one else "") + experiment + OWN.format(size=of.side(size))
                text += "\nboosting:\n  own_trees: {backbone: own, run_folds: [1]}\n" if trees else ""
                fitted = "on one fold and once more on the whole pool" if once else f"on all {of.folds} folds"
                gist = f"small_cnn from scratch at {of.side(size)} px for {epochs} epochs, {fitted}; a head"
                yield text, gist + (" and trees" if trees else "") + " on its features"


DRAWN_TESTS = """\
    test: {test}
    test_as_found: {as_found}
"""
GIVEN_TEST = """\
    # The photos whose given role is test are the test. Of copies on both sides, that to train on is left out.
    on_leak: exclude
"""
TEMPLATE = """\
# Written by `make study` from what it found; every key is explained in config/README.md.
title: {title}
seed: 42

data:
  {name}:
{data}
photos:
  shards: {shards}
  max_set_aside: {set_aside}

splits:
  main:
    dataset: {name}
    folds: {folds}
{tests}    keep_for_training: {keep}

# Trained on photos in the shares in which they were found; answers are corrected for the shares of each test.
defaults: {{split: main, draw: as_found}}

"""
BACKBONES = """\
# A frozen network that knows ImageNet runs once over each photo; a head is fitted on what it gives. Quick, and hard to
# beat with few photos.
backbones:
"""
FINETUNED = """\
  # The same network with its upper layers trained on. What lies below is stored once a view.
"""
HELD_OUT = """\
  # There is time for one fold: it is held out to choose and to calibrate by. `refit` trains on all folds, for use.
"""
BASELINE = """\
  # Learns from these photos alone: what the published weights are worth.
"""
UNPUBLISHED = """\
# No published weights were in reach. With them a study gives more in less time: see "A study file for them" in
# docs/own-data.md.
experiments:
"""
OWN = """\

# The network that learned from all folds but the first, frozen.
backbones:
  own: {{network: small_cnn, weights: small_cnn/fold1, run_folds: [1], size: {size}}}
"""
