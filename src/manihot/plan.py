"""What a study asks to be run: its models, who needs whose photos, and the few settings of each job.

The rules know only this page; `settings.py` writes what it says to `results/settings/`.
"""

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from manihot.errors import StudyError
from manihot.study import Backbone, CsvData, Experiment, FolderData, Learning, OverfitCheck, Study

Kind = Literal["network", "tta", "head", "boosting"]
PARTS = ("train", "validation", "test", "test_as_found")
# The tables of a published study, in the folder that `published` names.
PUBLISHED = ("experiments.csv", "epochs.csv", "backbones.csv", "xgboost.csv", "confusions.json", "hardware.csv")


@dataclass(frozen=True)
class Model:
    """A model as later stages see it: where its photos come from, and what it is compared with."""

    name: str
    kind: Kind
    family: str
    split: str
    draw: str
    folds: tuple[int, ...]
    based_on: str | None = None
    experiment: str | None = None
    backbone: str | None = None
    repeat: int = 0


class Plan:
    """A checked study, and everything that follows from it without looking at a photo.

    Raises:
        StudyError: the folder that `published` names lacks a table.
    """

    def __init__(self, study: Study, project: Path):
        self.study, self.project = study, project
        self.shards = range(study.photos.shards)
        self.models = {model.name: model for model in self._models()}
        self.made_datasets = [n for n, d in study.data.items() if not isinstance(d, CsvData | FolderData)]
        splits = {model.split for model in self.models.values()} | {check.split for check in study.overfit.values()}
        splits |= {parent for split in splits if (parent := study.splits[split].like)}
        self.splits = [name for name in study.splits if name in splits]
        self.datasets = [n for n in study.data if any(n in self.datasets_of(split) for split in self.splits)]
        self.weights = {
            self.weights_name(entry.network, entry.weights): entry
            for entry in self._readers()
            if isinstance(entry, Backbone) or entry.weights != "none"
        }
        if missing := [file for file in self.published_files if not Path(file).is_file()]:
            raise StudyError(f"published: {missing[0]} is not there; name a folder with {', '.join(PUBLISHED)}")

    def _models(self) -> Iterator[Model]:
        study = self.study
        for name, entry in study.experiments.items():
            folds = tuple(entry.run_folds or range(1, study.splits[entry.split].folds + 1))
            yield Model(
                name,
                "network",
                entry.family,
                entry.split,
                name,
                folds,
                entry.based_on,
                name,
                repeat=entry.repeat,
            )
            if entry.tta:
                yield Model(f"{name}_tta", "tta", entry.family, entry.split, name, folds, name, name)
        for name, backbone in study.backbones.items():
            folds = tuple(backbone.run_folds or range(1, study.splits[backbone.split].folds + 1))
            if backbone.head:
                based_on = f"{backbone.based_on}_head" if backbone.based_on else None
                yield Model(
                    f"{name}_head",
                    "head",
                    backbone.family,
                    backbone.split,
                    name,
                    folds,
                    based_on,
                    backbone=name,
                )
        for name, booster in study.boosting.items():
            backbone = study.backbones[booster.backbone]
            every = backbone.run_folds or range(1, study.splits[backbone.split].folds + 1)
            folds = tuple(booster.run_folds or every)
            place = (booster.family, backbone.split, booster.backbone)
            yield Model(name, "boosting", *place, folds, booster.based_on, backbone=booster.backbone)
            if booster.refit:
                yield Model(f"{name}_refit", "boosting", *place, (0,), name, backbone=booster.backbone)

    def _readers(self) -> Iterator[Experiment | OverfitCheck | Backbone]:
        """Everything in the study that reads pixels."""
        yield from self.study.experiments.values()
        yield from self.study.overfit.values()
        yield from self.study.backbones.values()

    @staticmethod
    def weights_name(network: str, source: str) -> str:
        """How the file of a network's initial weights is called: one name a network and source."""
        tail = "" if source in {"imagenet", "none"} else f"-{zlib.crc32(source.encode()):08x}"
        return f"{network}-{Path(source).stem}{tail}"

    def weights_file(self, network: str, source: str) -> str:
        """The file of a network's initial weights."""
        return f"results/features/weights/{self.weights_name(network, source)}.safetensors"

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The names of the models of some kinds."""
        return [name for name, model in self.models.items() if model.kind in kinds]

    def datasets_of(self, split: str) -> list[str]:
        """The data sets of a split: its own first, then that of its new class."""
        entry = self.study.splits[split]
        own = [] if entry.dataset is None else [entry.dataset]
        return own + ([entry.new_class.dataset] if entry.new_class else [])

    def path(self, given: str) -> str:
        """A path of the study file, which starts at the project's folder, as seen from the folder of the run."""
        expanded = Path(given).expanduser()
        return str(expanded) if expanded.is_absolute() else os.path.relpath(self.project / expanded)

    def photo_folder(self, dataset: str) -> str:
        """Where a data set's photos lie."""
        data = self.study.data[dataset]
        return self.path(data.photos) if isinstance(data, CsvData | FolderData) else f"results/photos/{dataset}/images"

    # What each job may know. One function a rule; the keys are the arguments of the stage's function.

    def settings(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every job's (rule, name, settings)."""
        study = self.study
        machine = {"device": study.device, "precision": study.precision, "threads": study.threads}
        for dataset in self.datasets:
            data = study.data[dataset].model_dump(mode="json")
            root = self.photo_folder(dataset)
            if dataset in self.made_datasets:
                made = {"seed": study.seed} if data["source"] == "demo" else {}
                for file in data.get("files", []):
                    file["path"] = self.path(file["path"]) if file["path"] else None
                yield "list_photos", dataset, {**data, **made, "shards": study.photos.shards}
            yield "catalog_shard", dataset, {"root": root, "max_pixels": study.photos.max_pixels}
            yield "build_catalog", dataset, {"max_set_aside": study.photos.max_set_aside}
            for size in self.sizes(dataset):
                decode = {"root": root, "size": size, "decode": study.photos.decode}
                yield "cache_pixels", f"{dataset}_{size}px", decode
            yield "plot_exploration", dataset, {}
        for name in self.splits:
            split = study.splits[name].model_dump(mode="json")
            yield "split_photos", name, {**split, "seed": study.seed, "protocol": study.protocol}
        for name, entry in {**study.experiments, **study.backbones}.items():
            per_class = entry.per_class or study.splits[entry.split].per_class
            drawn = {
                "draw": entry.draw,
                "per_class": per_class,
                "photos": entry.train_photos,
                "leak": entry.leak,
            }
            yield "draw_photos", name, {"seed": study.seed, **drawn}
        training = {"seed": study.seed, "gpu_slots": study.gpu_slots, **machine}
        for name, entry in study.experiments.items():
            learning = {**self._learning(entry), "repeat": entry.repeat, **training}
            yield "list_classes", name, {}
            yield "train_fold", name, learning
            yield "plot_curves", name, {"folds": list(self.models[name].folds)}
            flips = {"flips_at_validation": entry.flips_at_validation}
            network = {k: learning[k] for k in ("network", "normalisation", "size", "batch_size")}
            predicting = {**network, **flips, "augment": learning["augment"], **training}
            yield "predict_fold", name, {**predicting, "views": ["identity"]}
            if entry.tta:
                yield "predict_fold", f"{name}_tta", {**predicting, "views": entry.tta}
        for name, check in study.overfit.items():
            yield (
                "check_overfit",
                name,
                {**self._learning(check), "photos": check.photos, "repeat": 0, **training},
            )
        for name, weighted in self.weights.items():
            source = weighted.weights
            source = source if source in {"imagenet", "none"} else self.path(source)
            yield "fetch_weights", name, {"network": weighted.network, "source": source, "seed": study.seed}
        for name, backbone in study.backbones.items():
            network = {k: getattr(backbone, k) for k in ("network", "size", "normalisation", "batch_size")}
            yield "extract_features", name, {**network, "gpu_slots": study.gpu_slots, **machine}
            if backbone.head:
                head = backbone.head.model_dump(mode="json")
                yield "fit_head", f"{name}_head", {**head, "seed": study.seed, "threads": study.threads}
                yield "predict_head", f"{name}_head", {"threads": study.threads}
        boosters = [m for m in self.models.values() if m.kind == "boosting"]
        for model in boosters:
            booster = study.boosting[model.name.removesuffix("_refit") if 0 in model.folds else model.name]
            trees = {k: getattr(booster, k) for k in ("n_estimators", "max_depth", "learning_rate")}
            computing = {key: training[key] for key in ("seed", "device", "gpu_slots", "threads")}
            yield "fit_booster", model.name, {**trees, **computing}
            yield "predict_booster", model.name, {"threads": study.threads}
        scoring = {"seed": study.seed, "resamples": study.resamples}
        for name, model in self.models.items():
            yield "ensemble_folds", name, {"folds": list(model.folds)}
            yield "score_model", name, {"kind": model.kind, "folds": list(model.folds), **scoring}
            yield "plot_confusion", name, {}
        described = [self._described(model) for model in self.models.values()]
        yield "summarise_scores", "all", {"models": described, **scoring}
        sides = {"pairs": self.pairs(), "models": self.compared, "splits": self.splits}
        yield "compare_models", "all", {**sides, **scoring}
        yield "plot_summary", "all", {}
        entries = {
            section: {name: entry.model_dump(mode="json") for name, entry in getattr(study, section).items()}
            for section in ("splits", "experiments", "overfit", "backbones", "boosting")
        }
        if study.published:
            fitted = {key: entries[key] for key in ("experiments", "backbones", "boosting")}
            yield "compare_published", "all", {"models": described, **fitted}
            asked = {key: entries[key] for key in ("experiments", "backbones", "splits")}
            weighed = {"models": described, **asked, "checks": entries["overfit"], "pairs": self.weighed_pairs()}
            yield "weigh_conclusions", "all", {**weighed, **scoring}
        if self.ablates:
            asked = {key: entries[key] for key in ("experiments", "splits")}
            yield "weigh_switches", "all", {"models": described, **asked}
        datasets = {n: {"root": self.photo_folder(n), **study.data[n].model_dump(mode="json")} for n in self.datasets}
        about = {"title": study.title, "description": study.description, "protocol": study.protocol}
        report = {
            **about,
            "seed": study.seed,
            "models": described,
            "datasets": datasets,
            "study": study.plain(),
        }
        yield "build_report", "all", report

    def _learning(self, entry: Learning) -> dict[str, Any]:
        return {key: entry.model_dump(mode="json")[key] for key in Learning.model_fields}

    def _described(self, model: Model) -> dict[str, Any]:
        return {**vars(model), "folds": list(model.folds)}

    def pairs(self) -> list[dict[str, Any]]:
        """Each model beside the one it is based on, each side with all its repeats."""
        return [
            {
                "family": model.family, "split": model.split, "model": model.name, "based_on": model.based_on,
                "models": self._repeats(model.name), "based_on_models": self._repeats(model.based_on),
            }
            for model in self.models.values()
            if model.based_on in self.models and model.repeat == 0
        ]  # fmt: skip

    def weighed_pairs(self) -> list[dict[str, Any]]:
        """What a published study's conclusions compare besides: ensembles with their folds, balanced with as found."""
        pairs: list[dict[str, Any]] = [
            {
                "what": "ensemble", "split": model.split, "part": "test", "models": [model.name],
                "based_on_models": [f"{model.name}/fold{fold}" for fold in model.folds],
            }
            for model in self.models.values()
            if model.kind == "network" and len(model.folds) > 1
        ]  # fmt: skip
        balanced, as_found = (self.models.get(name) for name in ("balanced", "imbalanced"))
        if balanced and as_found and balanced.split == as_found.split:
            sides = {"models": self._repeats("balanced"), "based_on_models": self._repeats("imbalanced")}
            split = balanced.split
            pairs += [{"what": "balancing", "split": split, "part": part, **sides} for part in PARTS[2:]]
        return pairs

    def _repeats(self, name: str) -> list[str]:
        return [other for other in self.models if re.sub(r"_seed\d+(?=_tta$|$)", "", other) == name]

    @property
    def compared(self) -> list[str]:
        """The models that some comparison reads."""
        named = {name for pair in self.pairs() for name in (*pair["models"], *pair["based_on_models"])}
        return [name for name in self.models if name in named]

    @property
    def published_files(self) -> list[str]:
        """The tables of the published study to set beside what is measured; none where the study names none."""
        folder = self.study.published
        return [self.path(f"{folder}/{file}") for file in PUBLISHED] if folder else []

    @property
    def ablates(self) -> bool:
        """Whether models differ in a switch of the protocol, so that there is something for `weigh_switches`."""
        splits = self.study.splits
        switches = {
            (e.leak, e.normalisation, e.frozen_mode, e.flips_at_validation, split.fold_kind, split.group_duplicates)
            for e in self.study.experiments.values()
            for split in [splits[e.split]]
        }
        return len(switches) > 1 or bool(self.study.published)

    def sizes(self, dataset: str) -> list[int]:
        """The sizes in pixels at which a data set's photos are needed."""
        return sorted({entry.size for entry in self._readers() if dataset in self.datasets_of(entry.split)})
