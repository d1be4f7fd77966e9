"""What a study asks to be run: its models, who needs whose photos, and which models are compared.

`jobs.py` has the settings of each job, and `paths.py` the files of a study's results.
"""

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from manihot.core.errors import StudyError
from manihot.published import paper
from manihot.study.schema import AdamHead, Augment, Backbone, Experiment, Joined, OverfitCheck, Study
from manihot.study.sources import CsvData, FolderData

Kind = Literal["network", "tta", "head", "boosting"]
# What a job knows, and the jobs of a rule as pairs of a name and what it knows.
Settings = dict[str, Any]
Jobs = Iterator[tuple[str, Settings]]
# What `weights` says in place of a file.
PUBLISHED = {"imagenet", "package", "none"}


@dataclass(frozen=True)
class Model:
    """A model as later stages see it: where its photos come from, and what it is compared with.

    `repeat_of` is the model that this one repeats with another seed: `balanced_tta` of `balanced_seed2_tta`.
    """

    name: str
    kind: Kind
    family: str
    split: str
    sample: str
    folds: tuple[int, ...]
    based_on: str | None = None
    experiment: str | None = None
    backbone: str | None = None
    repeat: int = 0
    repeat_of: str | None = None
    leak: bool = False

    @property
    def fitted_as(self) -> str:
        """The model whose fits this one has: one averaged over views has those of its experiment."""
        return self.experiment or self.name if self.kind == "tta" else self.name


def starts_from_weights(entry: Experiment | OverfitCheck) -> bool:
    """Whether training starts from a file of weights; below a cut or a head, which other jobs made with them, even
    those of an untrained network are in one."""
    shared = isinstance(entry, Experiment) and (entry.train_from is not None or entry.head_from is not None)
    return entry.weights != "none" or shared


class Plan:
    """A checked study, and everything that follows from it without looking at a photo.

    Raises:
        StudyError: the folder that `published` names lacks a table, or a file of weights is not there.
    """

    def __init__(self, study: Study, project: Path):
        self.study, self.project = study, project
        self.shards = range(study.photos.shards)
        self.frozen = {name: entry for name, entry in study.backbones.items() if isinstance(entry, Backbone)}
        self.models = {model.name: model for model in self._models()}
        self.made_datasets = [n for n, d in study.data.items() if not isinstance(d, CsvData | FolderData)]
        splits = {model.split for model in self.models.values()} | {check.split for check in study.overfit.values()}
        splits |= {parent for split in splits if (parent := study.splits[split].like)}
        self.splits = [name for name in study.splits if name in splits]
        self.datasets = [n for n in study.data if any(n in self.datasets_of(split) for split in self.splits)]
        # Those that models are only tried on are looked at, too.
        external = {entry.dataset for entry in study.external.values()}
        self.catalogued = [name for name in study.data if name in {*self.datasets, *external}]
        self.weights = {
            self.weights_name(entry.network, entry.weights): entry
            for entry in self._readers()
            if (not entry.trained if isinstance(entry, Backbone) else starts_from_weights(entry))
        }
        for entry in self.weights.values():
            if entry.weights not in PUBLISHED and not Path(self.path(entry.weights)).is_file():
                raise StudyError(
                    f"weights: {entry.weights} is not there, as {entry.network} has it: give imagenet, package, none, "
                    "or the path of a file"
                )
        for name, other in study.external.items():
            if wrong := [model for model in other.models or [] if model not in self.tried_on(name)]:
                raise StudyError(
                    f"external.{name}.models: the split of {wrong[0]} has photos of {other.dataset}, which would be no "
                    "test of it: take it out, or name another data set"
                )
            if not self.tried_on(name):
                raise StudyError(
                    f"external.{name}.dataset: every split has photos of {other.dataset}: name another data set"
                )
        self.cuts = {self.cut_name(e): e for e in study.experiments.values() if e.train_from is not None}
        if missing := [file for file in self.published_files if not Path(file).is_file()]:
            raise StudyError(f"published: {missing[0]} is not there; name a folder with {', '.join(paper.TABLES)}")

    def _models(self) -> Iterator[Model]:
        study = self.study
        for name, entry in study.experiments.items():
            folds = tuple(entry.run_folds or range(1, study.splits[entry.split].folds + 1))
            place = (entry.family, entry.split, name, folds)
            first = self._first_seed(name)
            trained: dict[str, Any] = {"experiment": name, "repeat": entry.repeat, "leak": entry.leak}
            yield Model(name, "network", *place, entry.based_on, repeat_of=first, **trained)
            if entry.refit:
                refitted = (entry.family, entry.split, name, (0,))
                yield Model(
                    f"{name}_refit", "network", *refitted, name, repeat_of=first and f"{first}_refit", **trained
                )
            if entry.tta:
                yield Model(f"{name}_tta", "tta", *place, name, repeat_of=first and f"{first}_tta", **trained)
        for name, backbone in study.backbones.items():
            folds = tuple(backbone.run_folds or range(1, study.splits[backbone.split].folds + 1))
            if backbone.head:
                based_on = f"{backbone.based_on}_head" if backbone.based_on else None
                seen = (backbone.family, backbone.split, name, folds)
                yield Model(f"{name}_head", "head", *seen, based_on, backbone=name, leak=backbone.leak)
        for name, booster in study.boosting.items():
            backbone = study.backbones[booster.backbone]
            every = backbone.run_folds or range(1, study.splits[backbone.split].folds + 1)
            folds = tuple(booster.run_folds or every)
            grown = (booster.family, backbone.split, booster.backbone)
            features: dict[str, Any] = {"backbone": booster.backbone, "leak": backbone.leak}
            yield Model(name, "boosting", *grown, folds, booster.based_on, **features)
            if booster.refit:
                yield Model(f"{name}_refit", "boosting", *grown, (0,), name, **features)

    def _first_seed(self, name: str) -> str | None:
        """The experiment that one repeats with another seed, as `seeds` makes them: alike in all else."""
        first = re.sub(r"_seed\d+$", "", name)
        a, b = (self.study.experiments.get(n) for n in (first, name))
        if a is None or b is None or a.repeat == b.repeat:
            return None
        return (self._first_seed(first) or first) if a.model_copy(update={"repeat": b.repeat}) == b else None

    def _readers(self) -> Iterator[Experiment | OverfitCheck | Backbone]:
        """Everything in the study that reads pixels."""
        yield from self.study.experiments.values()
        yield from self.study.overfit.values()
        yield from self.frozen.values()

    @staticmethod
    def weights_name(network: str, source: str) -> str:
        """How the file of a network's initial weights is called: one name a network and source."""
        tail = "" if source in PUBLISHED else f"-{zlib.crc32(source.encode()):08x}"
        return f"{network.replace('/', '_')}-{Path(source).stem}{tail}"

    @staticmethod
    def cut_name(entry: Experiment) -> str:
        """How the stored activations are called that an experiment trains on: one name a network, its weights, what it
        sees, and its layer above the cut."""
        weights = Plan.weights_name(entry.network, entry.weights)
        return f"{weights}-{entry.normalisation}-{entry.size}px-{entry.train_from}"

    def stored_views(self, model: str) -> list[str]:
        """The views of stored activations that a model predicts from; none where it predicts from pixels, as it does
        where it sees a view that is not stored."""
        entry, views = self.experiment(model), self.views(model)
        return views if entry.train_from is not None and set(views) <= set(entry.views) else []

    def experiment(self, model: str) -> Experiment:
        """The experiment that a network, or a model of its views, is of."""
        name = self.models[model].experiment
        assert name is not None, f"{model} is of no experiment"
        return self.study.experiments[name]

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The names of the models of some kinds."""
        return [name for name, model in self.models.items() if model.kind in kinds]

    def views(self, model: str) -> list[str]:
        """The views in which a model sees a photo when it predicts."""
        entry = self.models[model]
        return list(self.experiment(model).tta) if entry.kind == "tta" else ["identity"]

    def joined(self, backbone: str) -> dict[str, Backbone]:
        """The frozen networks whose features a backbone's are, by name, in the order of the features: itself, or those
        that it joins."""
        entry = self.study.backbones[backbone]
        return {name: self.frozen[name] for name in (entry.join if isinstance(entry, Joined) else [backbone])}

    def head_views(self, model: str) -> list[str]:
        """The views that a head is trained on."""
        backbone = self.models[model].backbone
        head = self.study.backbones[backbone].head if backbone else None
        return list(head.views) if head else []

    @property
    def augmented(self) -> list[str]:
        """The experiments whose photos are changed in training, so that there is something to show; no repeats."""
        entries = self.study.experiments.items()
        return [n for n, e in entries if e.augment != Augment() and e.train_from is None and e.repeat == 0]

    def fitted(self, *kinds: Kind) -> list[tuple[str, int]]:
        """The (model, fold) of every fit of the models of some kinds."""
        return [(model.name, fold) for model in self.models.values() if model.kind in kinds for fold in model.folds]

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

    def pairs(self) -> list[dict[str, Any]]:
        """Each model beside the one it is based on, each side with all its repeats; refits are in `refits`."""
        return [
            {
                "family": model.family, "split": model.split, "model": model.name, "based_on": model.based_on,
                "models": self._repeats(model.name), "based_on_models": self._repeats(model.based_on),
            }
            for model in self.models.values()
            if model.based_on in self.models and model.repeat_of is None and model.folds != (0,)
        ]  # fmt: skip

    @property
    def refits(self) -> list[dict[str, Any]]:
        """Each refit beside the single models of the folds that it is based on, on each test: a pair as in `pairs`,
        with the part; the sides are names of predictions, such as `trees/fold1`."""
        return [
            {
                "split": model.split, "model": model.name, "based_on": folds.name, "part": part,
                "models": [model.name], "based_on_models": [f"{folds.name}/fold{fold}" for fold in folds.folds],
            }
            for model in self.models.values()
            if model.folds == (0,) and (folds := self.models.get(model.based_on or ""))
            for part in ("test", "test_as_found")
        ]  # fmt: skip

    @property
    def refit_predictions(self) -> list[tuple[str, str]]:
        """The (name, part) of every table of predictions that `refits` compares."""
        return [(name, pair["part"]) for pair in self.refits for name in (*pair["models"], *pair["based_on_models"])]

    def _repeats(self, name: str) -> list[str]:
        return [model.name for model in self.models.values() if name in (model.name, model.repeat_of)]

    @property
    def compared(self) -> list[str]:
        """The models that some comparison reads."""
        named = {name for pair in self.pairs() for name in (*pair["models"], *pair["based_on_models"])}
        return [name for name in self.models if name in named]

    @property
    def published_files(self) -> list[str]:
        """The tables of the published study to set beside what is measured; none where the study names none."""
        folder = self.study.published
        return [self.path(f"{folder}/{file}") for file in paper.TABLES] if folder else []

    @property
    def ablates(self) -> bool:
        """Whether models, refits too, differ in a switch of the protocol: there is something for `weigh_switches`."""
        splits = self.study.splits
        switches = {
            (e.leak, e.normalisation, e.frozen_mode, e.flips_at_validation, split.fold_kind, split.group_duplicates)
            for e in self.study.experiments.values()
            for split in [splits[e.split]]
        }
        return len(switches) > 1 or bool(self.refits) or bool(self.study.published)

    @property
    def tried(self) -> list[str]:
        """The splits that models are fitted on: what facts that are no plant tell is asked of each."""
        return list(dict.fromkeys(model.split for model in self.models.values()))

    def models_of(self, split: str) -> list[str]:
        """The names of the models that are fitted on a split."""
        return [name for name, model in self.models.items() if model.split == split]

    @property
    def masked(self) -> dict[str, str]:
        """For each split whose photos are also tried without their middle, the head that is: that of its first
        backbone of a single network with one."""
        heads = [self.models[name] for name in self.of_kind("head")] if self.study.probes.masked else []
        heads = [model for model in heads if model.backbone in self.frozen]
        return {model.split: model.name for model in reversed(heads)}

    @property
    def more_photos(self) -> dict[str, str]:
        """For each split where it is asked what more photos would give, the head that is fitted on fewer: its first one
        that is tuned, or else its first. None that was fitted on tested photos, or on the features of a network that
        an experiment trained: that network saw all photos, however few the head is given."""
        found: dict[str, str] = {}
        if not self.study.more_photos:
            return found
        backbones = {f"{name}_head": entry for name, entry in self.study.backbones.items() if entry.head}
        trained = {name for name, entry in self.frozen.items() if entry.trained}
        fair = {
            name: entry
            for name, entry in backbones.items()
            if not (entry.leak or trained & {name.removesuffix("_head"), *getattr(entry, "join", [])})
        }
        # Sorted, the tuned ones come first, both they and the others in the study's order.
        for name, entry in sorted(fair.items(), key=lambda item: isinstance(item[1].head, AdamHead)):
            found.setdefault(entry.split, name)
        return found

    @property
    def looked(self) -> dict[str, Experiment | Backbone]:
        """The models of which it is shown where they looked, and the entries of their networks: those of a single
        network with photos out of fold, but no repeats with another seed."""
        found: dict[str, Experiment | Backbone] = {}
        for name in self.of_kind("network", "head"):
            model = self.models[name]
            if model.folds == (0,) or model.repeat_of:
                continue
            if model.backbone is None:
                found[name] = self.experiment(name)
            elif model.backbone in self.frozen:
                found[name] = self.frozen[model.backbone]
        return found

    @property
    def references(self) -> dict[str, str]:
        """For each split whose models tell how unlike a photo is, the backbone whose features tell it: its first one
        that no experiment trained. What is fine-tuned keeps only what tells its classes apart."""
        frozen = {entry.split: name for name, entry in reversed(self.frozen.items()) if not entry.trained}
        return {split: frozen[split] for split in self.tried if split in frozen}

    def stranger(self, split: str) -> str | None:
        """The first data set of the study that a split has no photo of."""
        return next((name for name in self.datasets if name not in self.datasets_of(split)), None)

    def sizes(self, dataset: str) -> list[int]:
        """The sizes in pixels at which a data set's photos are needed."""
        readers = [entry for entry in self._readers() if dataset in self.datasets_of(entry.split)]
        trained = {entry.training_size for entry in readers if isinstance(entry, Experiment)}
        tried = [name for name, entry in self.study.external.items() if entry.dataset == dataset]
        seen = {backbone.size for name in tried for backbone in self.external_backbones(name).values()}
        networks = [model for name in tried for model in self.tried_on(name) if self.models[model].experiment]
        return sorted({entry.size for entry in readers} | trained | seen | {self.experiment(m).size for m in networks})

    # Other people's photos

    def tried_on(self, external: str) -> list[str]:
        """The models that are tried on an external data set: those that it names, or all; but for those whose split has
        photos of it."""
        entry = self.study.external[external]
        fair = [model for model in self.models.values() if entry.dataset not in self.datasets_of(model.split)]
        return [model.name for model in fair if entry.models is None or model.name in entry.models]

    @property
    def trials(self) -> list[tuple[str, str]]:
        """The (external data set, model) of everything that is tried on photos of others."""
        return [(name, model) for name in self.study.external for model in self.tried_on(name)]

    def splits_beside(self, external: str) -> list[str]:
        """The splits whose models are tried on an external data set."""
        return list(dict.fromkeys(self.models[model].split for model in self.tried_on(external)))

    def datasets_beside(self, external: str) -> list[str]:
        """The data sets of the study that an external one must have no photo of."""
        return list(dict.fromkeys(data for split in self.splits_beside(external) for data in self.datasets_of(split)))

    def external_backbones(self, external: str) -> dict[str, Backbone]:
        """The frozen networks whose features of an external data set are needed: by models, and to tell how unlike its
        photos are."""
        read = [self.models[model].backbone for model in self.tried_on(external)]
        names = [name for backbone in read if backbone for name in self.joined(backbone)]
        names += [self.references[split] for split in self.splits_beside(external) if split in self.references]
        return {name: self.frozen[name] for name in dict.fromkeys(names)}
