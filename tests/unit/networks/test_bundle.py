"""Records of fitted models: complete, checked against their weights, and joined into one of the whole model."""

import json

import pytest
from photo_tables import CLASSES, write

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.networks import bundle
from manihot.splits.folds import Fold

SEEN = {"network": "net", "input": {"size": 32, "decode": "fast", "mean": [0.5] * 3, "std": [0.25] * 3}}
FACTS = {"parameters": 7, "precision": "float32", "features": 5, "weights": {"path": "w.safetensors", "sha256": "ab"}}
BACKBONE = {**SEEN, **FACTS}
OTHER = {**BACKBONE, "network": "other", "input": {**SEEN["input"], "size": 48}}


def save(folder, kind="network", number=1, **more):
    """A fold's record and weights in a folder of its own."""
    write(folder)
    fold = Fold.read(number, folder / "sample.csv", folder / "split.json")
    target = folder / f"fold{number}"
    seen = more.pop("seen", SEEN)
    bundle.save(target, bundle.describe(kind, fold, seen, {"parameters": 9, "trainable": 4}, "bfloat16", **more), b"w")
    return target / "model.json"


def test_a_record_says_all_that_its_weights_need(tmp_path):
    fitted = bundle.read(save(tmp_path, class_weights=[2.0, 0.5]))
    assert fitted.record == {
        "schema_version": 2, "kind": "network", "fold": 1, **SEEN, "classes": CLASSES,
        "class_shares": pytest.approx([1 / 3, 2 / 3]), "class_weights": [2.0, 0.5],
        "prior": pytest.approx([2 / 3, 1 / 3]), "precision": "bfloat16",
        "parameters": 9, "trainable": 4,
        "weights": {"file": "weights.safetensors", "sha256": files.sha256(tmp_path / "fold1/weights.safetensors")},
    }  # fmt: skip
    assert fitted.weights() == b"w" and fitted.labels == ["007", "NA"]
    assert fitted.normalisation == ([0.5] * 3, [0.25] * 3)


@pytest.mark.parametrize(("kind", "file"), [("head", "weights.safetensors"), ("boosting", "booster.ubj")])
def test_heads_and_trees_name_their_backbones_in_order(tmp_path, kind, file):
    fitted = bundle.read(save(tmp_path, kind, seen={"backbones": [OTHER, BACKBONE]}))
    assert fitted.record["backbones"] == [OTHER, BACKBONE] and fitted.record["class_weights"] == [1.0, 1.0]
    # What a photo is shown to is said once: by each of them.
    assert not set(bundle.SEEN) & set(fitted.record)
    assert fitted.path.with_name(file).read_bytes() == b"w"


def test_damaged_weights_are_noticed(tmp_path):
    fitted = bundle.read(save(tmp_path))
    weights = fitted.path.with_name("weights.safetensors")
    for damage in (lambda: weights.write_bytes(b"v"), weights.unlink):
        damage()
        with pytest.raises(
            StudyError, match=r"w\S*s is missing or damaged: delete \S*weights\S* and \S*model.json, and"
        ):
            fitted.weights()


BOTH = ["schema_version", "kind", "classes", "weights", "weights sha256"]
KEYS = {
    "network": [*BOTH, "network", "input", "input mean"],
    "head": [*BOTH, "backbones", "backbones 1 network", "backbones 1 input mean", "backbones 1 weights"],
}


@pytest.mark.parametrize(("kind", "keys"), [(kind, keys) for kind, every in KEYS.items() for keys in every])
def test_a_damaged_record_is_noticed(tmp_path, kind, keys):
    path = save(tmp_path, kind, seen={"network": SEEN, "head": {"backbones": [BACKBONE, OTHER]}}[kind])
    record = files.read_json(path)
    assert bundle.read(path).record == record
    *above, key = (int(part) if part.isdigit() else part for part in keys.split())
    place = record
    for part in above:
        place = place[part]
    del place[key]
    for text in (json.dumps(record), "{", "[]", ""):
        path.write_text(text)
        with pytest.raises(StudyError, match=r"model\.json is missing or damaged: delete .* run the same command"):
            bundle.read(path)


def test_a_record_of_a_later_version_is_refused(tmp_path):
    path = save(tmp_path)
    files.write_json(path, {**files.read_json(path), "schema_version": 3})
    with pytest.raises(StudyError, match="schema version 3, and this version of Manihot reads 2: .* delete"):
        bundle.read(path)


def test_the_whole_model_names_its_members_in_order(tmp_path):
    folds = [bundle.read(save(tmp_path, number=number)) for number in (2, 1)]
    calibration = {"temperature": 1.5, "shares": {"a": 1.0}}
    record = bundle.whole("balanced_tta", "tta", ["identity", "hflip"], folds, calibration)
    assert record["calibration"] == calibration
    assert record["name"] == "balanced_tta" and record["views"] == ["identity", "hflip"]
    assert record["classes"] == CLASSES and record["parameters"] == 9
    assert [member["fold"] for member in record["members"]] == [2, 1]
    assert record["members"][0]["record"] == str(tmp_path / "fold2/model.json")
    assert record["members"][0]["sha256"] == files.sha256(tmp_path / "fold2/weights.safetensors")
    assert record["averaging"] == {"views": "mean of probabilities", "members": "mean of probabilities"}


def test_classes_get_other_names_without_a_new_fit(tmp_path):
    """The record may be a second name of the file that the state keeps, which stays as it is."""
    path = save(tmp_path)
    kept = tmp_path / "kept.json"
    kept.hardlink_to(path)
    before, identity = kept.read_bytes(), bundle.read(path).identity()
    bundle.name_classes(path, CLASSES)
    assert path.samefile(kept), "the names are the same: nothing is written"
    bundle.name_classes(path, [{"label": "007", "name": "James"}, {"label": "NA", "name": "none"}])
    assert bundle.read(path).record["classes"][0] == {"label": "007", "name": "James"}
    assert bundle.read(path).identity() == identity and kept.read_bytes() == before
