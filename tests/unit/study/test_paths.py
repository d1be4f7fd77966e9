"""The paths of results: each is spelled in one place, and is where its readers look for it."""

from pathlib import Path

import pytest

from manihot.study.jobs import RULES
from manihot.study.load import build
from manihot.study.paths import Paths, each_part, fitted_files, grad_cam_of
from manihot.study.plan import Plan

ROOT = Path(__file__).parents[3]
STUDY = {
    "data": {"leaves": {"source": "demo"}, "needles": {"source": "demo", "kind": "needles"}},
    "photos": {"shards": 2},
    "splits": {
        "main": {"dataset": "leaves", "test": 100, "folds": 2},
        "more": {"like": "main", "new_class": {"dataset": "needles", "label": "needle", "photos": 10, "test": 3}},
    },
    "defaults": {"split": "main", "size": 64},
    "experiments": {
        "first": {"tta": ["identity", "hflip"]},
        "second": {"split": "more", "run_folds": [2], "network": "resnet18", "weights": "imagenet"},
    },
    "overfit": {"by_heart": {}},
    "backbones": {"frozen": {"network": "squeezenet1_1", "weights": "none", "head": {"views": ["identity", "hflip"]}}},
    "boosting": {"trees": {"backbone": "frozen"}},
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(build(STUDY, Path("mine.yaml")), ROOT)


@pytest.fixture(scope="module")
def paths(plan: Plan) -> Paths:
    return Paths(plan)


def test_wildcards_stay_in_a_path():
    assert each_part("results/predictions/{model}/fold{fold}/{part}.csv") == {
        part: f"results/predictions/{{model}}/fold{{fold}}/{part}.csv"
        for part in ("train", "validation", "test", "test_as_found")
    }
    assert fitted_files("network", "{experiment}").history == "results/models/{experiment}/fold{fold}/history.csv"


def test_a_split_is_read_from_all_its_data_sets(paths):
    assert paths.catalogs("main") == ["results/catalog/leaves.csv"]
    assert paths.catalogs("more") == ["results/catalog/leaves.csv", "results/catalog/needles.csv"]
    assert paths.pixels("more", 64) == {
        "catalogs": paths.catalogs("more"),
        "manifests": [f"results/pixels/{name}/64px/{shard}.json" for name in ("leaves", "needles") for shard in (0, 1)],
        "arrays": [f"results/pixels/{name}/64px/{shard}.npy" for name in ("leaves", "needles") for shard in (0, 1)],
    }


def test_training_reads_a_larger_cache_and_predictions_the_size_of_the_network():
    crops = {"cache_size": 96, "augment": {"random_crop": 0.5}}
    experiments = {"first": {}, "cropped": crops, "other": {"based_on": "cropped", "split": "more", "cache_size": 64}}
    plan = Plan(build(STUDY | {"experiments": experiments}, Path("mine.yaml")), ROOT)
    paths = Paths(plan)
    assert paths.trained_on("first") == paths.pixels("main", 64) == paths.shown("cropped", [])
    assert paths.trained_on("cropped") == paths.pixels("main", 64, 96)
    assert paths.trained_on("cropped")["arrays"] == [
        f"results/pixels/leaves/{size}px/{shard}.npy" for size in (64, 96) for shard in (0, 1)
    ]
    assert paths.trained_on("other") == paths.pixels("more", 64)
    assert plan.sizes("leaves") == [64, 96] and plan.sizes("needles") == [64]
    told = {(rule, name): settings for rule in RULES for name, settings in RULES[rule](plan)}
    sizes = {name: told["train_fold", name]["recipe"]["cache_size"] for name in experiments}
    assert sizes == {"first": 64, "cropped": 96, "other": 64}
    shown = told["show_augmentation", "cropped"]
    assert (shown["size"], shown["cache_size"]) == (64, 96)


def test_features_are_read_a_data_set_and_view(plan, paths):
    assert plan.head_views("frozen_head") == ["identity", "hflip"]
    assert paths.features("frozen_head", plan.head_views("frozen_head")) == {
        "catalogs": ["results/catalog/leaves.csv"],
        "features": [f"results/features/frozen/leaves/64px/{view}.npy" for view in ("identity", "hflip")],
        "manifests": [f"results/features/frozen/leaves/64px/{view}.json" for view in ("identity", "hflip")],
    }
    assert len(paths.features("trees", ["identity"])["features"]) == 1


def test_joined_features_are_those_of_each_backbone_in_turn_and_extracted_once():
    other = {"network": "resnet18", "weights": "none", "size": 96}
    backbones = {
        name: {**STUDY["backbones"]["frozen"], "split": "more"} | settings
        for name, settings in {"frozen": {}, "other": other, "bare": {"head": None}}.items()
    }
    both = {"join": ["other", "frozen"], "split": "more", "head": {"views": ["identity", "hflip"]}}
    grown = {"trees": {"backbone": "both"}, "alone": {"backbone": "other"}}
    study = STUDY | {"backbones": {"both": both, **backbones}, "boosting": grown}
    plan = Plan(build(study, Path("mine.yaml")), ROOT)
    paths = Paths(plan)
    assert list(plan.joined("both")) == ["other", "frozen"] and list(plan.joined("frozen")) == ["frozen"]
    assert paths.features("both_head", plan.head_views("both_head"))["features"] == [
        f"results/features/{name}/{dataset}/{size}px/{view}.npy"
        for name, size in (("other", 96), ("frozen", 64))
        for dataset in ("leaves", "needles")
        for view in ("identity", "hflip")
    ]
    of_one = {path for name in ("other_head", "frozen_head") for path in paths.features(name, ["identity"])["features"]}
    assert of_one == set(paths.features("trees", ["identity"])["features"])
    assert paths.features("trees", ["identity"])["manifests"] == paths.features("both_head", ["identity"])["manifests"]
    # It runs no network and reads no pixels, but is fitted on photos that are drawn for it.
    assert [name for name, _ in RULES["extract_features"](plan)] == list(plan.frozen) == ["frozen", "other", "bare"]
    assert plan.sizes("needles") == [64, 96]
    assert {"both", "other"} <= {name for name, _ in RULES["sample_photos"](plan)}
    assert paths.sampled("trees")["sample"] == "results/splits/more/both.csv"
    # The probe shows photos to one network.
    assert plan.masked == {"more": "frozen_head"}
    assert [plan.models[name].folds for name in ("both_head", "trees", "trees_refit")] == [(1, 2), (1, 2), (0,)]


def test_a_split_with_joined_heads_alone_has_no_masked_head():
    bare = {**STUDY["backbones"]["frozen"], "head": None}
    study = STUDY | {"backbones": {"frozen": bare, "other": bare, "both": {"join": ["frozen", "other"]}}}
    plan = Plan(build(study, Path("mine.yaml")), ROOT)
    assert plan.masked == {} and "both_head" in plan.models
    assert list(RULES["weigh_masked"](plan)) == []


def test_the_sampled_photos_are_those_of_what_is_fitted(paths):
    assert paths.sampled("first_tta") == paths.sampled("first") == {
        "sample": "results/splits/main/first.csv",
        "split": "results/splits/main.csv",
        "record": "results/splits/main.json",
    }  # fmt: skip
    # Models of a backbone share its photos.
    assert paths.sampled("trees") == paths.sampled("frozen_head")
    assert paths.sampled("second")["split"] == "results/splits/more.csv"


def test_only_pretrained_networks_start_from_a_file(plan, paths):
    weights = "results/features/weights/resnet18-imagenet.safetensors"
    assert paths.initial_weights(plan.study.experiments["second"]) == [weights]
    assert paths.initial_weights(plan.study.experiments["first"]) == []
    # Features need weights in any case: drawn ones too are a file.
    frozen = paths.weights(plan.study.backbones["frozen"])
    assert frozen == "results/features/weights/squeezenet1_1-none.safetensors"
    assert {Path(frozen).stem, Path(weights).stem} == set(plan.weights)
    assert paths.backbone_record(plan.study.backbones["frozen"]) == []


def test_a_network_of_timm_has_one_file_in_the_same_folder():
    lite = {"network": "timm/tf_efficientnet_lite0", "weights": "package"}
    plan = Plan(build(STUDY | {"backbones": {"frozen": lite}}, Path("mine.yaml")), ROOT)
    path = Paths(plan).weights(plan.study.backbones["frozen"])
    assert path == "results/features/weights/timm_tf_efficientnet_lite0-package.safetensors"
    jobs = dict(RULES["fetch_weights"](plan))
    assert jobs["timm_tf_efficientnet_lite0-package"]["source"] == "package"
    assert jobs["timm_tf_efficientnet_lite0-package"]["network"] == "timm/tf_efficientnet_lite0"


def test_a_backbone_that_an_experiment_trained_has_its_files():
    own = {"network": "small_cnn", "weights": "first/fold2", "size": 64, "run_folds": [2]}
    plan = Plan(build(STUDY | {"backbones": {"frozen": own}}, Path("mine.yaml")), ROOT)
    paths, backbone = Paths(plan), plan.study.backbones["frozen"]
    assert paths.weights(backbone) == paths.fitted("first", 2).weights
    assert paths.backbone_record(backbone) == [paths.fitted("first", 2).model]
    assert set(plan.weights) == {"resnet18-imagenet"}, "nothing is fetched for it"
    assert [plan.models[name].folds for name in ("frozen_head", "trees", "trees_refit")] == [(2,), (2,), (0,)]


def test_fitted_files_are_those_that_the_rules_write(plan, paths):
    for name, model in plan.models.items():
        if model.kind != "tta":
            for fold in model.folds:
                assert paths.fitted(name, fold) == fitted_files(model.kind, name, str(fold))
    assert paths.fitted("first_tta", 2) == paths.fitted("first", 2)
    assert paths.members("first_tta") == [paths.fitted("first", fold).model for fold in (1, 2)]
    written = [path for name in ("first", "frozen_head", "trees") for path in paths.fitted(name, 1)]
    assert len(set(written)) == len(written), "two models would share a file"


def test_histories_and_tables_come_fold_by_fold(plan, paths):
    assert paths.histories("frozen_head", "second") == [
        paths.fitted("frozen_head", 1).history,
        paths.fitted("frozen_head", 2).history,
        paths.fitted("second", 2).history,
    ]
    assert paths.histories() == []
    assert paths.fold_tables("first", "test") == [f"results/predictions/first/fold{fold}/test.csv" for fold in (1, 2)]


def test_each_split_with_models_is_probed_and_the_first_backbone_s_head_masked(plan, paths):
    assert plan.tried == ["main", "more"] and plan.masked == {"main": "frozen_head"}
    assert paths.probes() == [
        "results/scores/probes/main/facts.json",
        "results/scores/probes/more/facts.json",
        "results/scores/probes/main/masked.json",
    ]
    assert set(paths.probes()) <= {path for some in paths.report_inputs().values() for path in some}
    frozen = STUDY["backbones"]["frozen"]
    backbones = {
        "bare": {**frozen, "head": None},
        "first": frozen,
        "other": frozen,
        "more": {**frozen, "split": "more"},
    }
    several = Plan(build(STUDY | {"backbones": backbones, "boosting": {}}, Path("mine.yaml")), ROOT)
    assert several.masked == {"main": "first_head", "more": "more_head"}
    off = Plan(build(STUDY | {"probes": {"masked": False}}, Path("mine.yaml")), ROOT)
    assert off.masked == {} and off.tried == plan.tried


def test_more_photos_are_asked_of_a_split_s_first_tuned_head():
    frozen = STUDY["backbones"]["frozen"]
    adam = {**frozen, "head": {"kind": "adam"}}
    backbones = {
        "bare": {**frozen, "head": None},
        "leaking": {**frozen, "leak": True},
        "own": {**frozen, "network": "small_cnn", "weights": "first/fold2", "run_folds": [2]},
        "first": adam,
        "tuned": frozen,
        "other": frozen,
        "more": {**adam, "split": "more"},
    }
    asked = STUDY | {"backbones": backbones, "boosting": {}}
    several = Plan(build(asked, Path("mine.yaml")), ROOT)
    assert several.more_photos == {"main": "tuned_head", "more": "more_head"}
    read = Paths(several).report_inputs()["scores"]
    assert "results/scores/more_photos/main/curve.json" in read
    assert "results/figures/more_photos/more.svg" in [path for path, *_ in Paths(several).figures()]
    told = dict(RULES["fit_fewer_photos"](several))
    assert told["main"]["recipe"]["kind"] == "logistic" and told["more"]["folds"] == [1, 2]
    assert dict(RULES["weigh_more_photos"](several))["main"]["margin"] == 2.0
    assert Plan(build(asked | {"more_photos": False}, Path("mine.yaml")), ROOT).more_photos == {}


def test_the_report_reads_every_result_once(plan, paths):
    inputs = paths.report_inputs()
    every = [path for some in inputs.values() for path in some]
    assert len(set(every)) == len(every)
    assert inputs["catalogs"][:2] == ["results/catalog/leaves.csv", "results/catalog/leaves/duplicates.csv"]
    assert inputs["splits"] == [f"results/splits/{split}.{kind}" for split in plan.splits for kind in ("csv", "json")]
    assert inputs["histories"] == paths.histories(*plan.of_kind("network", "head", "boosting"))
    assert inputs["overfit"] == ["results/training/overfit/by_heart/result.json"]
    assert {f"results/figures/confusion/{model}.svg" for model in plan.models} <= {path for path, *_ in paths.figures()}
    assert "results/published/numbers.csv" not in every
    # Its trees are refitted.
    assert "results/scores/switches.csv" in every
    for mode, ablates in (("train", True), ("eval", False)):
        plain = {"boosting": {"trees": {"backbone": "frozen", "refit": False}}}
        ablated = STUDY | plain | {"experiments": {"a": {}, "b": {"frozen_mode": mode}}}
        read = Paths(Plan(build(ablated, Path("mine.yaml")), ROOT)).report_inputs()["scores"]
        assert ("results/scores/switches.csv" in read) == ablates


def test_a_refit_has_fits_of_its_own_and_sees_what_its_experiment_sees() -> None:
    cut = {"network": "resnet18", "weights": "imagenet", "train_from": "layer4", "views": ["identity", "hflip"]}
    experiments = {"first": {"refit": True, "tta": ["identity", "hflip"], "seeds": 2}, "second": {**cut, "refit": True}}
    plan = Plan(build(STUDY | {"experiments": experiments}, Path("mine.yaml")), ROOT)
    paths = Paths(plan)
    refit = plan.models["first_refit"]
    assert (refit.kind, refit.folds, refit.sample, refit.based_on) == ("network", (0,), "first", "first")
    assert paths.fitted("first_refit", 0).weights == "results/models/first_refit/fold0/weights.safetensors"
    assert paths.fitted("first_tta", 1) == paths.fitted("first", 1)
    assert paths.shown("first_refit", []) == paths.pixels("main", 64)
    stored = paths.shown("second_refit", ["identity", "hflip"])
    assert stored["arrays"] == [
        f"results/features/activations/resnet18-imagenet-weights-64px-layer4/leaves/{view}.npy"
        for view in ("identity", "hflip")
    ]
    assert paths.sampled("first_refit") == paths.sampled("first")
    assert not any(pair["model"].endswith("_refit") for pair in plan.pairs())
    beside = {pair["model"]: pair["based_on_models"] for pair in plan.refits}
    assert beside["first_seed2_refit"] == [f"first_seed2/fold{fold}" for fold in (1, 2)] and "first_refit" in beside
    assert plan.models["first_seed2_refit"].repeat_of == "first_refit" and plan.ablates


def test_a_refit_has_the_sets_and_the_temperature_of_its_folds(plan, paths):
    assert paths.sets_of_folds("trees_refit") == ["results/models/trees/conformal.json"]
    assert paths.sets_of_folds("trees") == paths.sets_of_folds("first_tta") == []
    assert paths.record_of_folds("trees_refit") == ["results/models/trees/model.json"]
    assert paths.record_of_folds("trees") == paths.record_of_folds("first_tta") == []
    assert {f"results/models/{model}/conformal.json" for model in plan.models} < set(paths.report_inputs()["models"])


def test_a_split_has_the_reference_of_its_first_backbone_that_comes_from_outside(plan, paths):
    assert plan.references == {"main": "frozen"} and plan.stranger("main") == "needles"
    assert plan.stranger("more") is None and paths.strangers("more") == []
    assert paths.strangers("main") == ["results/catalog/needles.csv"]
    assert paths.reference_features("main") == {
        "features": ["results/features/frozen/leaves/64px/identity.npy"],
        "manifests": ["results/features/frozen/leaves/64px/identity.json"],
    }
    assert "results/scores/unlike/main.json" in paths.report_inputs()["scores"]
    told = dict(RULES["ensemble_folds"](plan))
    assert {name: settings["unlike"] for name, settings in told.items()} == {
        name: "results/features/unlike/main.npy" if model.split == "main" else None
        for name, model in plan.models.items()
    }
    drawn = dict(RULES["draw_reference"](plan))
    assert drawn["main"]["strange"]["root"] == "results/photos/needles/images"
    own = {"network": "small_cnn", "weights": "first/fold2", "run_folds": [2]}
    frozen = STUDY["backbones"]["frozen"]
    backbones = {"own": own, "second": {**frozen, "size": 96}, "frozen": frozen}
    several = Plan(build(STUDY | {"backbones": backbones}, Path("mine.yaml")), ROOT)
    assert several.references == {"main": "second"}
    alone = Plan(build(STUDY | {"backbones": {"own": own}, "boosting": {}}, Path("mine.yaml")), ROOT)
    assert alone.references == {} and list(RULES["draw_reference"](alone)) == []
    assert {settings["unlike"] for _, settings in RULES["ensemble_folds"](alone)} == {None}


def test_a_model_is_chosen_by_calibrated_answers(plan, paths):
    split = plan.tried[0]
    expected = [f"results/predictions/{model}/calibrated/validation.csv" for model in plan.models_of(split)]
    assert expected and paths.out_of_fold(split) == expected


def test_where_networks_looked_is_drawn_of_single_networks_with_photos_out_of_fold():
    first = {**STUDY["experiments"]["first"], "refit": True, "seeds": 2}
    other = {"network": "resnet18", "weights": "none", "size": 96, "head": {"views": ["identity"]}}
    backbones = {**STUDY["backbones"], "other": other, "both": {"join": ["frozen", "other"], "head": {}}}
    study = STUDY | {"experiments": STUDY["experiments"] | {"first": first}, "backbones": backbones}
    plan = Plan(build(study, Path("mine.yaml")), ROOT)
    # No refit, no views, no repeat, no trees, no head on several networks.
    assert {"first_refit", "first_tta", "first_seed2", "both_head", "trees"} <= set(plan.models)
    assert list(plan.looked) == ["first", "second", "frozen_head", "other_head"]
    assert [entry.size for entry in plan.looked.values()] == [64, 64, 64, 96]
    [(name, told)] = RULES["draw_grad_cams"](plan)
    assert name == "all" and told["names"] == list(plan.looked) and told["folds"] == [[1, 2], [2], [1, 2], [1, 2]]
    read = Paths(plan).looked()
    assert read["predictions"][1] == "results/predictions/second/validation.csv" and len(read["members"]) == 7
    assert len(set(read["manifests"])) == len(read["manifests"]) == 2 * 3, "leaves at two sizes, needles at one"
    report = Paths(plan).report_inputs()["looked"]
    assert report == [grad_cam_of(model) for model in plan.looked]
    trees = STUDY | {"experiments": {}, "overfit": {}, "backbones": {"frozen": {**backbones["frozen"], "head": None}}}
    assert list(RULES["draw_grad_cams"](Plan(build(trees, Path("mine.yaml")), ROOT))) == []
