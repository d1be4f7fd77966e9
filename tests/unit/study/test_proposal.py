"""The studies that `make study` chooses from: all can be run, and they go from rich to poor."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.splits.folding import Folding
from manihot.splits.roles import Corrected, Counts, split_photos
from manihot.splits.sampling import sample_photos
from manihot.study.checks import check_counts
from manihot.study.load import build
from manihot.study.looking import Found, Source
from manihot.study.plan import Plan
from manihot.study.pretrained import KNOWN
from manihot.study.proposal import FINETUNINGS, proposals
from manihot.study.schema import Study
from manihot.study.yaml_files import _StrictLoader

LITE = KNOWN[0]
STARTS = [*KNOWN, None]


def source_of(labels: list[Label]) -> Source:
    return Source({"source": "folder", "photos": "x"}, Path("x"), labels)


def study_of(text: str) -> Study:
    return build(yaml.load(text, _StrictLoader), Path("x"))


def studies(found: Found, start=LITE) -> list[Study]:
    labels = [Label(f"{label}/{i}.jpg", label, "") for label, n in found.counts.items() for i in range(n)]
    return [study_of(each.text) for each in proposals("x", source_of(labels), found, start)]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 900), min_size=2, max_size=6), st.integers(10, 900), st.integers(40, 4000),
    st.sampled_from(STARTS),
)  # fmt: skip
def test_what_is_written_can_be_split_and_sampled(counts: list[int], enough: int, side: int, start) -> None:
    counts = [enough, enough, *counts]
    found = Found({str(label): count for label, count in enumerate(counts)}, {}, side, "")
    labels = [Label(f"{label}/{i}.jpg", str(label), "") for label, count in enumerate(counts) for i in range(count)]
    source = Source({"source": "folder", "photos": 'a "quoted": \u00e9'}, Path("x"), labels)
    written = list(proposals("2020", source, found, start))
    used = found.enough()
    for proposal in (written[0], written[len(written) // 2], written[-1]):
        study = study_of(proposal.text)
        check_counts(study, Path("mine.yaml"), {"2020": used})
        Plan(study, Path())
        assert study.data["2020"].photos == 'a "quoted": \u00e9'

    photos = pd.DataFrame([label for label in labels if label.label in used])
    photos = photos.assign(dataset="2020", status="ok", group=range(len(photos)), copies=range(len(photos)))
    split = study.splits["main"]
    counts_of_split = Counts(split.test, split.test_as_found, split.per_class, split.keep_for_training)
    folding = Folding(split.folds, split.fold_kind, grouped=True, seed=1)
    table, _ = split_photos(photos, "2020", Corrected(counts_of_split, folding))
    for entry in (*study.experiments.values(), *study.backbones.values()):
        assert entry.draw == "as_found"
        sample_photos(table, seed=1, draw=entry.draw, per_class=None, photos=entry.train_photos, leak=False)


def test_the_richest_study_has_what_gives_most_first_and_all_folds() -> None:
    study = studies(Found({"a": 200, "b": 300}, {}, 600, ""))[0]
    lite, further = study.backbones.values()
    assert (lite.network, lite.weights, lite.size, further.size) == ("timm/tf_efficientnet_lite0", "package", 224, 288)
    assert lite.head.kind == "logistic" and lite.head.views == ["identity", "hflip"]
    tuned = study.experiments["lite0_finetuned"]
    assert (tuned.train_from, tuned.head_from, tuned.recipe) == ("blocks.5", "lite0_head", "finetune")
    assert tuned.run_folds is None and not tuned.refit and study.splits["main"].folds == 5
    assert study.boosting["lite0_trees"].backbone == "lite0" and study.experiments["small_cnn"].size == 128


def test_from_rich_to_poor_all_folds_then_one_and_a_refit_then_heads_alone() -> None:
    found = Found({"a": 200, "b": 300}, {}, 600, "")
    kinds, epochs = [], []
    for study in studies(found):
        tuned = study.experiments.get("lite0_finetuned")
        kinds.append("heads" if tuned is None else "one" if tuned.run_folds == [1] else "folds")
        epochs.append((kinds[-1], tuned and tuned.epochs))
        # Only what was judged on the same photos can be chosen among.
        judged = {tuple(entry.run_folds or ()) for entry in (*study.experiments.values(), *study.backbones.values())}
        assert judged == {(1,)} if kinds[-1] == "one" else judged == {()}
        assert tuned is None or tuned.refit == (kinds[-1] == "one")
    assert list(dict.fromkeys(kinds)) == ["folds", "one", "heads"]
    assert list(dict.fromkeys(epochs)) == [*FINETUNINGS, ("heads", None)]
    last = [(len(study.experiments), len(study.boosting), study.backbones["lite0"].size) for study in studies(found)]
    assert last[-4:] == [(0, 0, 160), (0, 0, 128), (0, 0, 96), (0, 0, 64)]


def test_photos_that_are_small_are_not_blown_up() -> None:
    study = studies(Found({"a": 50, "b": 50}, {}, 110, ""))[0]
    assert {entry.size for entry in (*study.backbones.values(), *study.experiments.values())} == {96}


def test_a_fold_that_is_given_is_the_one_held_out() -> None:
    roles = ("train", "train", "validation", "test")
    labels = [Label(f"{n}.jpg", "ab"[n // 4 % 2], "", given_role=roles[n % 4]) for n in range(120)]
    source = source_of(labels)
    source.keys["role_folders"] = True
    for proposal in proposals("x", source, Found({"a": 60, "b": 60}, {}, 300, ""), LITE):
        study = study_of(proposal.text)
        assert study.splits["main"].folds == 1
        tuned = study.experiments.get("lite0_finetuned")
        assert tuned is None or (tuned.refit and tuned.run_folds is None)


def test_without_published_weights_the_photos_have_to_do() -> None:
    written = studies(Found({"a": 60, "b": 60}, {}, 300, ""), None)
    for study in written:
        assert {entry.network for entry in study.experiments.values()} == {"small_cnn"}
        assert study.backbones["own"].weights == "small_cnn/fold1"
    assert written[0].experiments["small_cnn"].run_folds is None
    assert written[-1].experiments["small_cnn"].run_folds == [1] and written[-1].experiments["small_cnn"].refit


def test_two_classes_with_enough_photos_are_needed() -> None:
    with pytest.raises(StudyError, match="two classes of at least 10 photos, found 1"):
        studies(Found({"a": 60, "b": 9}, {}, 300, ""))


def test_a_given_test_is_not_drawn() -> None:
    roles = ["train"] * 1500 + ["test"] * 10_500
    labels = [Label(f"{n}.jpg", "ab"[n % 2], "", given_role=role) for n, role in enumerate(roles)]
    found = Found({"a": 6000, "b": 6000}, {}, 128, "")
    text = next(proposals("mine", source_of(labels), found, LITE)).text
    assert "test:" not in text and "on_leak: exclude" in text
    drawn = [label._replace(given_role="") for label in labels]
    assert "test: 400" in next(proposals("mine", source_of(drawn), found, LITE)).text
