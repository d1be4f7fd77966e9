"""A model that left its study answers the study's own photos as it did there, whatever its kind, and names what it cannot."""

import contextlib
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_study
from small_study import LABELS, ROOT

from manihot import load_model
from manihot.applied import answers, sets, shard, unlike
from manihot.applied import photos as new_photos
from manihot.core import arrays, files
from manihot.core.errors import StudyError
from manihot.core.names import SETS
from manihot.core.tables import probability_columns, read_photos
from manihot.features import table as feature_table
from manihot.predictions.calibration import estimate_shares, shift

P = probability_columns(len(LABELS))
EQUAL = {label: 1 / 3 for label in LABELS}
MODELS = ["net", "net_tta", "net_refit", "timm", "squeeze_head", "trees", "own_head", "joined_head"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study with a model of each kind, and the tables of each model."""
    root = tmp_path_factory.mktemp("study")
    tables = {}
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        tables["net"] = small_study.answer("net", "network")
        tables["net_tta"] = small_study.answer("net_tta", "tta", ["identity", "hflip", "rot90"], fitted_as="net")
        small_study.network("net_refit", numbers=[0])
        tables["net_refit"] = small_study.answer("net_refit", "network", numbers=[0])
        small_study.network("timm", "timm/resnet10t", size=64)
        tables["timm"] = small_study.answer("timm", "network", size=64)
        features = small_study.backbone("squeeze")
        small_study.head("squeeze_head", features)
        tables["squeeze_head"] = small_study.answer("squeeze_head", "head", features=features)
        small_study.trees("trees", features)
        tables["trees"] = small_study.answer("trees", "boosting", features=features)
        joined = features
        features = small_study.backbone("own", ("net", 1))
        small_study.head("own_head", features, [1])
        tables["own_head"] = small_study.answer("own_head", "head", numbers=[1], features=features)
        joined = [*joined, *features]
        small_study.head("joined_head", joined, [1])
        tables["joined_head"] = small_study.answer("joined_head", "head", numbers=[1], features=joined)
    return root, tables


def paths(root, table):
    return [root / ROOT / name for name in table["image_id"]]


def model_of(study, name, **settings):
    return load_model(study[0] / "results/models" / name, device="cpu", workers=2, **settings)


@pytest.mark.parametrize("name", MODELS)
def test_the_studys_own_photos_are_answered_as_in_its_tables(study, name):
    root, tables = study
    model = model_of(study, name, batch_size=4)
    for part, shares in (("test", "equal"), ("test_as_found", "as_found")):
        expected = tables[name]["calibrated"][part]
        found = model.predict(paths(root, expected), shares)
        assert list(found) == ["image_id", "answer", "probability", *P, "problem"]
        assert list(found["image_id"]) == [str(path) for path in paths(root, expected)]
        values = expected[P].to_numpy()
        np.testing.assert_allclose(found[P].to_numpy(), values, atol=1e-6, rtol=0)
        assert list(found["answer"]) == [LABELS[index] for index in values.argmax(axis=1)]
        np.testing.assert_allclose(found["probability"], values.max(axis=1), atol=1e-6)
        assert (found["problem"] == "").all()
        # Enough differs between photos, shares and kinds of answers for all this to say something.
        assert values.std(axis=0).max() > 1e-3
    raw = tables[name]["raw"]["test"]
    assert np.abs(raw[P].to_numpy() - tables[name]["calibrated"]["test"][P].to_numpy()).max() > 1e-3


def test_photos_decoded_fast_are_seen_as_in_such_a_study(tmp_path):
    with contextlib.chdir(tmp_path):
        small_study.make("fast")
        small_study.network("net")
        record = Path("results/models/net/fold1/model.json")
        for path in (record, Path("results/models/net/fold2/model.json")):
            content = files.read_json(path)
            content["input"]["decode"] = "fast"
            files.write_json(path, content)
        expected = small_study.answer("net", "network")["calibrated"]["test"]
    model = load_model(tmp_path / "results/models/net", device="cpu")
    found = model.predict(paths(tmp_path, expected))
    np.testing.assert_allclose(found[P].to_numpy(), expected[P].to_numpy(), atol=1e-6)


def test_shares_are_the_callers(study):
    model = model_of(study, "net")
    photos = paths(study[0], study[1]["net"]["raw"]["test"])
    assert model.target() == pytest.approx([1 / 3] * 3) and model.target("as_found") == pytest.approx([0.6, 0.3, 0.1])
    own = model.predict(photos, {"10": 4, "é": 0, "9": 4})
    assert (own["p2"] < 1e-9).all()
    ratio = own["p0"] / own["p1"]
    equal = model.predict(photos, EQUAL)
    # Folds are averaged after the shift, so that this holds of each fold alone; here within what that leaves.
    assert np.corrcoef(np.log(ratio), np.log(equal["p0"] / equal["p1"]))[0, 1] > 0.9
    pd.testing.assert_frame_equal(equal, model.predict(photos))


@pytest.mark.parametrize(
    ("shares", "match"),
    [
        ({"9": 1, "10": 1}, "shares: é has no share; give one for each class"),
        (EQUAL | {"b": 1}, "shares: b is no class; there are 9, 10, é"),
        (EQUAL | {"10": -1}, "are no shares: give numbers of 0 or more"),
        (dict.fromkeys(LABELS, 0), "are no shares"),
        ("balanced", "'balanced' is neither equal nor as_found"),
    ],
)
def test_shares_that_are_none(study, shares, match):
    with pytest.raises(StudyError, match=match):
        model_of(study, "net").target(shares)


def test_what_is_no_photo_is_listed_with_its_reason(study, tmp_path):
    root, tables = study
    good = paths(root, tables["net"]["raw"]["test"])[:2]
    content = good[0].read_bytes()
    bad = {"cut.jpg": content[: len(content) // 2], "text.jpg": b"no photo", "empty.jpg": b""}
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    given = [
        tmp_path / "cut.jpg",
        good[0],
        tmp_path / "missing.jpg",
        tmp_path / "text.jpg",
        good[1],
        tmp_path / "empty.jpg",
    ]
    model = model_of(study, "net", batch_size=2)
    table = model.predict(given)
    assert list(table["problem"]) == ["truncated", "", "missing", "not an image", "", "empty file"]
    assert table["answer"].isna().tolist() == [True, False, True, True, False, True]
    assert table[["probability", *P]].isna().all(axis=1).tolist() == table["answer"].isna().tolist()
    pd.testing.assert_frame_equal(table.iloc[[1, 4]].reset_index(drop=True), model.predict(good))
    assert list(model_of(study, "net", max_pixels=100).predict(good)["problem"]) == ["larger than 100 pixels"] * 2
    none = model.predict([])
    assert len(none) == 0 and list(none) == list(table)
    files.write_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text().splitlines()[1].endswith("cut.jpg,,,,,,truncated")


def test_many_photos_are_read_as_they_are_answered(study, monkeypatch):
    """The iterator takes no more photos than are decoded ahead, in order, and lets go of the rest."""
    path = paths(*[study[0], study[1]["net"]["raw"]["test"]])[0]
    taken, most, now, lock = [], 0, 0, threading.Lock()
    decode = new_photos.new_square

    def counted(*arguments):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        made = decode(*arguments)
        with lock:
            now -= 1
        return made

    def endless():
        while True:
            taken.append(path)
            yield path

    monkeypatch.setattr(new_photos, "new_square", counted)
    batches = model_of(study, "net", batch_size=3).predict_batches(endless())
    tables = [next(batches) for _ in range(4)]
    assert [len(table) for table in tables] == [3] * 4 and len({table.to_csv() for table in tables}) == 1
    assert len(taken) <= 3 * (4 + new_photos.AHEAD + 1) and most <= 2
    batches.close()


def test_a_model_may_be_taken_elsewhere(study, tmp_path):
    root, tables = study
    expected = tables["net"]["calibrated"]["test"]
    shutil.copytree(root / "results/models/net", tmp_path / "mine")
    found = load_model(tmp_path / "mine", device="cpu").predict(paths(root, expected))
    np.testing.assert_allclose(found[P].to_numpy(), expected[P].to_numpy(), atol=1e-6)
    # What lies elsewhere has to come along, in its place.
    shutil.copytree(root / "results/models/squeeze_head", tmp_path / "new/results/models/squeeze_head")
    weights = Path("results/features/weights/squeeze.safetensors")
    match = rf"squeezenet1_1 of \S+squeeze_head is not there: copy it from {weights} of the study to \S+new/{weights}"
    with pytest.raises(StudyError, match=match):
        load_model(tmp_path / "new/results/models/squeeze_head")
    (tmp_path / "new" / weights).parent.mkdir(parents=True)
    shutil.copy(root / weights, tmp_path / "new" / weights)
    load_model(tmp_path / "new/results/models/squeeze_head")


def with_sets_and_reference(study, folder):
    """A copy of the model of heads with its sets and its reference, as the study's jobs would make them."""
    root, _ = study
    for part in ("models/squeeze_head", "features/weights"):
        shutil.copytree(root / "results" / part, folder / "results" / part)
    own = folder / "results/models/squeeze_head"
    predictions = root / "results/predictions/squeeze_head"
    tables = [read_photos(predictions / f"fold{fold}/validation.csv") for fold in (1, 2)]
    priors = [files.read_json(own / f"fold{fold}/model.json")["prior"] for fold in (1, 2)]
    catalog = read_photos(root / small_study.CATALOG)
    files.write_json(own / SETS, sets.calibrate(tables, priors, (1, 2), LABELS, catalog, 1))
    split = read_photos(root / "split.csv")
    pool = split[split["role"] == "pool"].reset_index(drop=True)
    pool = pool.iloc[unlike.draw(pool, 1)]
    stored = [root / "results/features/squeeze/leaves/identity.npy"]
    features = feature_table.select(stored, pool)
    reference = unlike.Reference.of(features, pool["group"].to_numpy())
    kept = "results/features/unlike/main.npy"
    reference.write(folder / kept, pool, arrays.read_manifest(stored[0])["backbone"], 1)
    changed(own / "model.json", lambda record: record.update(unlike=kept))
    return own, tables, priors, reference


def test_sets_and_how_unlike_a_photo_is_stand_beside_the_answer(study, tmp_path, monkeypatch):
    # Each class is judged by its own few scores.
    monkeypatch.setattr(sets, "LEAST", 3)
    own, _, _, reference = with_sets_and_reference(study, tmp_path)
    root, tables = study
    test = tables["squeeze_head"]["raw"]["test"]
    model = load_model(own, device="cpu", batch_size=4)
    given = [*paths(root, test), tmp_path / "missing.jpg"]
    found = model.predict(given)
    assert list(found) == ["image_id", "answer", "probability", *P, "set", "unlike", "problem"]
    assert found.iloc[-1][["answer", "set", "unlike"]].isna().all()
    # By hand, from what each fold's job wrote of the test.
    record = files.read_json(own / SETS)
    record["scores"] = {label: record["scores"][label] for label in LABELS}
    members = model.record["members"]
    answers = np.stack([
        shift(
            read_photos(root / f"results/predictions/squeeze_head/fold{entry['fold']}/test.csv")[P].to_numpy(),
            files.read_json(own / f"fold{entry['fold']}/model.json")["prior"],
            [1 / 3] * 3,
        )
        for entry in members
    ])  # fmt: skip
    for coverage in (0.3, 0.6, 0.9):
        table = model.predict(given[:-1], coverage=coverage)
        best = table[P].to_numpy().argmax(axis=1)
        held = sets.sets(record, answers, best, coverage)
        assert list(table["set"]) == [";".join(np.array(LABELS, object)[row]) for row in held]
        assert all(a in s.split(";") for a, s in zip(table["answer"], table["set"], strict=True))
    assert {len(text.split(";")) for text in model.predict(given[:-1], coverage=0.3)["set"]} != {3}
    features = feature_table.select([root / "results/features/squeeze/leaves/identity.npy"], test)
    np.testing.assert_allclose(found["unlike"][:-1], reference.unlike(features), atol=100 / len(reference.own) + 1e-9)
    # Sets follow the photo, not the shares that the caller thinks of, but for the answer in them.
    shares = model.predict(given[:-1], {"9": 1, "10": 0, "é": 0}, coverage=0.6)
    assert (shares["answer"] == "9").all() and (
        shares["set"].str.contains("10") | shares["set"].str.contains("é")
    ).any()


def test_reference_photos_that_are_not_there_are_named(study, tmp_path):
    own, *_ = with_sets_and_reference(study, tmp_path)
    (tmp_path / "results/features/unlike/main.npy").unlink()
    match = "what photos the model squeeze_head knows is not there: copy it from results/features/unlike/main.npy of"
    with pytest.raises(StudyError, match=match):
        load_model(own)


def test_sets_of_another_model_are_refused(study, tmp_path):
    own, *_ = with_sets_and_reference(study, tmp_path)
    changed(own / SETS, lambda record: record.update(folds=[1, 3]))
    with pytest.raises(StudyError, match="conformal.json is damaged or of another model"):
        load_model(own)


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


BREAKS = {
    "later whole": ("net", lambda d: changed(d / "model.json", lambda r: r.update(schema_version=99)), r"net/model.json has the schema version 99, and this"),
    "later fold": ("net", lambda d: changed(d / "fold2/model.json", lambda r: r.update(schema_version=98)), r"fold2/model.json has the schema version 98"),
    "no temperature": ("net", lambda d: changed(d / "model.json", lambda r: r["calibration"].pop("temperature")), r"net/model.json is missing or damaged"),
    "no members": ("net", lambda d: changed(d / "model.json", lambda r: r.update(members=[])), r"net/model.json is missing or damaged"),
    "cut record": ("net", lambda d: (d / "model.json").write_text("{"), r"net/model.json is missing or damaged"),
    "no fold": ("net", lambda d: shutil.rmtree(d / "fold2"), r"a fold of the model net is not there: copy it from results/models/net/fold2/model.json of"),
    "damaged weights": ("net", lambda d: (d / "fold1/weights.safetensors").write_bytes(b"x"), r"fold1/weights.safetensors is missing or damaged"),
    "damaged trees": ("trees", lambda d: (d / "fold1/booster.ubj").write_bytes(b"x"), r"fold1/booster.ubj is missing or damaged"),
    "damaged head": ("squeeze_head", lambda d: (d / "fold1/weights.safetensors").write_bytes(b"x"), r"weights.safetensors is missing or damaged"),
    "another fit": ("net", lambda d: changed(d / "model.json", lambda r: r["members"][0].update(sha256="0")), r"fold1/model.json is of another fit"),
    "leads out": ("net", lambda d: changed(d / "model.json", lambda r: r["members"][0].update(record="../../secret.json")), r"is ../../secret.json, outside the folder of the run"),
    "another kind": ("trees", lambda d: changed(d / "fold1/model.json", lambda r: r.update(kind="forest")), r"knows no kind of model called forest"),
    "another resizing": ("net", lambda d: changed(d / "fold1/model.json", lambda r: r["input"].update(interpolation="lanczos")), r"sees photos resized as lanczos"),
    "another backbone": ("trees", lambda d: changed(d / "fold1/model.json", lambda r: r["backbones"][0].pop("precision")), r"backbone is of a kind that"),
    "damaged backbone": ("trees", lambda d: (d.parents[1] / "features/weights/squeeze.safetensors").write_bytes(b"x"), r"squeeze.safetensors is damaged or of another fit"),
    "views of trees": ("trees", lambda d: changed(d / "model.json", lambda r: r.update(views=["hflip"])), r"a boosting answers in the view identity, not in hflip"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "match"), BREAKS.values(), ids=BREAKS)
def test_what_is_wrong_with_a_model_is_one_line(study, tmp_path, name, damage, match):
    for part in (f"models/{name}", "features/weights"):
        shutil.copytree(study[0] / "results" / part, tmp_path / "results" / part)
    damage(tmp_path / "results/models" / name)
    with pytest.raises(StudyError, match=match) as caught:
        load_model(tmp_path / "results/models" / name)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there_and_those_that_are(study):
    folder = study[0] / "results/models"
    with pytest.raises(StudyError, match=r"net_ta holds no model \(model.json\); did you mean net_tta"):
        load_model(folder / "net_ta")
    with pytest.raises(
        StudyError, match=r"zzz holds no model \(model.json\); there are joined_head, net, net_refit, net_tta"
    ):
        load_model(folder / "zzz")


def test_shares_are_estimated_from_the_own_answers_of_all_folds(study, tmp_path):
    root, tables = study
    model = model_of(study, "net", batch_size=4)
    # Twice the photos of the first class: shares are those of what is asked, whatever its batches.
    table = tables["net"]["raw"]["test"]
    asked = pd.concat([table, table[table["label"] == LABELS[0]]])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    found = model.estimate_shares([broken, *paths(root, asked)])
    folds = [read_photos(root / f"results/predictions/net/fold{member.fold}/test.csv") for member in model.members]
    given = [own.set_index("image_id").loc[asked["image_id"], P].to_numpy() for own in folds]
    expected = estimate_shares(given, [m.prior for m in model.members], [model.temperature] * len(given))
    assert list(found) == LABELS and list(found.values()) == pytest.approx(expected, abs=1e-5)
    assert model.predict(paths(root, asked), found)["problem"].eq("").all()
    with pytest.raises(StudyError, match="the class shares of no photo"):
        model.estimate_shares([broken])


@pytest.mark.parametrize("shares", ["equal", "estimated"])
def test_a_shard_and_the_records_give_the_answers_of_the_model(study, tmp_path, shares):
    """What the members say is kept, and answers are made of it without the model; a photo that is listed with a problem is
    not opened, and one that cannot be has its own."""
    root, tables = study
    model, names = model_of(study, "net", batch_size=4), list(tables["net"]["calibrated"]["test"]["image_id"])
    shutil.copytree(root / ROOT, tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    listed = [(names[0], ""), ("lost.jpg", "missing"), ("broken.jpg", ""), *((name, "") for name in names[1:])]
    rows = [{"image_id": name, "problem": problem} for name, problem in listed]
    told, own = shard.look(model, rows, tmp_path / "photos", lambda *_: None)
    assert own.shape == (2, len(names), 3) and own.dtype == np.float32
    answering = answers.read(root / "results/models/net")
    found = paths(root, tables["net"]["calibrated"]["test"])
    asked = model.estimate_shares(found) if shares == "estimated" else shares
    target = answering.target(answering.estimate(own) if shares == "estimated" else shares)
    assert target == pytest.approx(model.target(asked))
    table, expected = answering.table(told, own, target, 0.9), model.predict(found, asked)
    assert list(table["image_id"]) == [name for name, _ in listed] and list(table) == list(expected)
    assert table["problem"][1] == "missing" and table["problem"][2] != "" and table["answer"][1:3].isna().all()
    answered = table[table["problem"] == ""]
    np.testing.assert_allclose(answered[P], expected[P], atol=1e-6)
    assert list(answered["answer"]) == list(expected["answer"])
