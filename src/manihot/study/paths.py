"""Where the results of a study lie: the files that the rules name, spelled in one place.

A path may hold wildcards of the workflow (`{model}`, `{fold}`): what is given is put in as it is. What Snakemake adds
to a path, as `ancient`, it gets in the rules.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from manihot.core.names import ANSWERS, PARTS, RECORD, SETS, WEIGHTS
from manihot.study.plan import Kind, Plan, starts_from_weights
from manihot.study.schema import Backbone, Experiment, OverfitCheck


class Fitted(NamedTuple):
    """The files of a fitted model: its weights or trees, its learning curve, and what it is made of."""

    weights: str
    history: str
    model: str


def fitted_files(kind: Kind, model: str, fold: str = "{fold}") -> Fitted:
    """The files that fitting a model of a kind on a fold writes; rules and scripts have them from here."""
    folder = f"results/models/{model}/fold{fold}"
    return Fitted(f"{folder}/{WEIGHTS[kind]}", f"{folder}/history.csv", f"{folder}/{RECORD}")


def record_of(model: str) -> str:
    """The record of a whole model: its members, its views, and how they are averaged."""
    return f"results/models/{model}/{RECORD}"


def sets_of(model: str) -> str:
    """The record of a model's prediction sets."""
    return f"results/models/{model}/{SETS}"


def reference_of(split: str) -> str:
    """The features of the reference photos of a split, which new ones are held against."""
    return f"results/features/unlike/{split}.npy"


def external_of(external: str, name: str) -> str:
    """A result of an external data set: a file of its photos, or `{model}/{file}` of what a model made of them."""
    return f"results/external/{external}/{name}"


def grad_cam_of(model: str) -> str:
    """Where a model looked on its telling photos."""
    return f"results/predictions/{model}/grad_cam.json"


def each_part(pattern: str) -> dict[str, str]:
    """One path a part of the predictions, under the part's name; `pattern` holds `{part}`."""
    return {part: pattern.replace("{part}", part) for part in PARTS}


def answers_of(model: str) -> dict[str, str]:
    """The tables of a model's answers for other class shares than those it was fitted on, by `{kind}_{part}`."""
    return {
        f"{kind}_{part}": f"results/predictions/{model}/{kind}/{part}.csv" for kind in ANSWERS for part in PARTS[1:]
    }


class Paths:
    """The files that jobs of a plan read, by the name of a split, a model or an entry of the study."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def catalogs(self, split: str) -> list[str]:
        """The catalogs of a split's data sets."""
        return [f"results/catalog/{dataset}.csv" for dataset in self.plan.datasets_of(split)]

    def copies(self, split: str) -> list[str]:
        """The copies between a split's own data set and that of its new class, where the split asks for copies."""
        entry = self.plan.study.splits[split]
        mixed = entry.new_class is not None and entry.group_duplicates
        return [f"results/catalog/{'/copies_of_'.join(self.plan.datasets_of(split))}.csv"] if mixed else []

    def pixels(self, split: str, *sizes: int) -> dict[str, list[str]]:
        """A split's photos at some sizes: `catalogs`, and `manifests` and `arrays`, one a data set, size and shard."""
        places = [(dataset, size) for dataset in self.plan.datasets_of(split) for size in sizes]
        return {
            "catalogs": self.catalogs(split),
            "manifests": [path for place in places for path in self.shards(*place, "json")],
            "arrays": [path for place in places for path in self.shards(*place, "npy")],
        }

    def shards(self, dataset: str, size: int, ending: str) -> list[str]:
        """A data set's photos at a size, a file a shard: manifests end in `json`, arrays in `npy`."""
        return [f"results/pixels/{dataset}/{size}px/{shard}.{ending}" for shard in self.plan.shards]

    def activations(self, model: str, views: Iterable[str]) -> dict[str, list[str]]:
        """A network's stored activations: `catalogs`, and `manifests` and `arrays`, one a data set and view."""
        entry = self.plan.experiment(model)
        stems = [
            f"results/features/activations/{self.plan.cut_name(entry)}/{dataset}/{view}"
            for dataset in self.plan.datasets_of(entry.split)
            for view in views
        ]
        return {
            "catalogs": self.catalogs(entry.split),
            "manifests": [f"{stem}.json" for stem in stems],
            "arrays": [f"{stem}.npy" for stem in stems],
        }

    def shown(self, model: str, views: Iterable[str]) -> dict[str, list[str]]:
        """What a network sees of photos: the stored activations in `views`, or, where there are none, pixels."""
        views, entry = list(views), self.plan.experiment(model)
        return self.activations(model, views) if views else self.pixels(entry.split, entry.size)

    def trained_on(self, model: str) -> dict[str, list[str]]:
        """What a network is trained and validated on: stored activations in its views, or pixels at the size that it
        sees and at that of the photos that training reads."""
        entry = self.plan.experiment(model)
        if entry.train_from is not None:
            return self.activations(model, entry.views)
        return self.pixels(entry.split, *sorted({entry.size, entry.training_size}))

    def features(self, model: str, views: Iterable[str]) -> dict[str, list[str]]:
        """The features that a model reads: `catalogs`, and `features` and `manifests`, one a data set and view; those
        of one backbone after those of another where they are joined."""
        views = list(views)
        backbone, split = self.plan.models[model].backbone, self.plan.models[model].split
        assert backbone is not None, f"{model} reads no features"
        stems = [
            f"results/features/{name}/{dataset}/{entry.size}px/{view}"
            for name, entry in self.plan.joined(backbone).items()
            for dataset in self.plan.datasets_of(split)
            for view in views
        ]
        return {
            "catalogs": self.catalogs(split),
            "features": [f"{stem}.npy" for stem in stems],
            "manifests": [f"{stem}.json" for stem in stems],
        }

    def sampled(self, model: str) -> dict[str, str]:
        """The photos that a model is fitted on, the split they come from, and its classes."""
        entry = self.plan.models[model]
        return {
            "sample": f"results/splits/{entry.split}/{entry.sample}.csv",
            "split": f"results/splits/{entry.split}.csv",
            "record": f"results/splits/{entry.split}.json",
        }

    def weights(self, entry: Experiment | OverfitCheck | Backbone) -> str:
        """The file of the weights that an entry's network starts from, or that its frozen network has."""
        if isinstance(entry, Backbone) and entry.trained:
            return self.fitted(*entry.trained).weights
        return f"results/features/weights/{self.plan.weights_name(entry.network, entry.weights)}.safetensors"

    def backbone_record(self, backbone: Backbone) -> list[str]:
        """The record of the fold whose network a backbone has; none where its weights are not of this study."""
        return [self.fitted(*backbone.trained).model] if backbone.trained else []

    def initial_weights(self, entry: Experiment | OverfitCheck) -> list[str]:
        """The file of the weights that training starts from; none where it starts from random ones."""
        return [self.weights(entry)] if starts_from_weights(entry) else []

    def head(self, model: str, fold: str) -> list[str]:
        """The weights and the record of the head that a fold's last layer starts from; none where it is drawn."""
        head = self.plan.experiment(model).head_from
        fitted = self.fitted(head, fold) if head else None
        return [fitted.model, fitted.weights] if fitted else []

    def fitted(self, model: str, fold: str | int) -> Fitted:
        """The fitted files of a model's fold; an ensemble over views has those of its experiment."""
        entry = self.plan.models[model]
        return fitted_files(entry.kind, entry.fitted_as, str(fold))

    def members(self, model: str) -> list[str]:
        """The records of the fitted folds that a model averages."""
        return [self.fitted(model, fold).model for fold in self.plan.models[model].folds]

    def sets_of_folds(self, model: str) -> list[str]:
        """The prediction sets of the folds that a refit is a refit of; none for a model that has folds."""
        return [sets_of(name) for name in self._refit_of(model)]

    def record_of_folds(self, model: str) -> list[str]:
        """The record of the folds that a refit is a refit of; none for a model that has folds."""
        return [record_of(name) for name in self._refit_of(model)]

    def _refit_of(self, model: str) -> list[str]:
        entry = self.plan.models[model]
        return [entry.based_on] if entry.folds == (0,) and entry.based_on in self.plan.models else []

    def reference_features(self, split: str) -> dict[str, list[str]]:
        """The features that a split's reference photos are drawn from: `features` and `manifests`, one a data set."""
        name = self.plan.references[split]
        size = self.plan.frozen[name].size
        stems = [f"results/features/{name}/{dataset}/{size}px/identity" for dataset in self.plan.datasets_of(split)]
        return {"features": [f"{stem}.npy" for stem in stems], "manifests": [f"{stem}.json" for stem in stems]}

    def strangers(self, split: str) -> list[str]:
        """The catalog of the data set whose photos are held against a split's as strange ones, where there is one."""
        other = self.plan.stranger(split)
        return [f"results/catalog/{other}.csv"] if other else []

    def histories(self, *models: str) -> list[str]:
        """The learning curves of models, model by model and fold by fold."""
        return [self.fitted(model, fold).history for model in models for fold in self.plan.models[model].folds]

    def fold_tables(self, model: str, part: str) -> list[str]:
        """The predictions of a part, one table a fold of the model."""
        return [f"results/predictions/{model}/fold{fold}/{part}.csv" for fold in self.plan.models[model].folds]

    def out_of_fold(self, split: str) -> list[str]:
        """The calibrated predictions out of fold of a split's models, by which one of them is chosen."""
        return [f"results/predictions/{model}/calibrated/validation.csv" for model in self.plan.models_of(split)]

    def probes(self) -> list[str]:
        """What the probes of every split found."""
        return [f"results/scores/probes/{split}/facts.json" for split in self.plan.tried] + [
            f"results/scores/probes/{split}/masked.json" for split in self.plan.masked
        ]

    def looked(self) -> dict[str, list[str]]:
        """What is read to draw where networks looked: `predictions` out of fold and `members`, model by model, and
        their pixels, as in `pixels`."""
        names = self.plan.looked
        shown = [self.pixels(self.plan.models[name].split, entry.size) for name, entry in names.items()]
        kinds = ("catalogs", "manifests", "arrays")
        pixels = {kind: list(dict.fromkeys(path for paths in shown for path in paths[kind])) for kind in kinds}
        predictions = [f"results/predictions/{name}/validation.csv" for name in names]
        return {
            "predictions": predictions,
            "members": [path for name in names for path in self.members(name)],
            **pixels,
        }

    # Other people's photos

    def external_copies(self, external: str) -> list[str]:
        """The copies between each of the study's data sets and an external one."""
        other = self.plan.study.external[external].dataset
        return [f"results/catalog/{one}/copies_of_{other}.csv" for one in self.plan.datasets_beside(external)]

    def external_shown(self, external: str, model: str) -> dict[str, list[str]]:
        """What a model reads of the photos of an external data set: `manifests` and `arrays` of pixels, and `features`,
        of which one is empty."""
        dataset, backbone = self.plan.study.external[external].dataset, self.plan.models[model].backbone
        if backbone is None:
            size = self.plan.experiment(model).size
            manifests, arrays = (self.shards(dataset, size, ending) for ending in ("json", "npy"))
            return {"manifests": manifests, "arrays": arrays, "features": []}
        stems = [self._external_features(name, dataset) for name in self.plan.joined(backbone)]
        manifests = [f"{stem}.json" for stem in stems]
        return {"manifests": manifests, "arrays": [], "features": [f"{stem}.npy" for stem in stems]}

    def external_unlike(self, external: str, model: str) -> dict[str, list[str]]:
        """What tells how unlike a model's photos those of an external data set are: the `reference` of its split, and
        the `features` of the same backbone, with their `manifests`; all empty where there is none."""
        split = self.plan.models[model].split
        if split not in self.plan.references:
            return {"reference": [], "features": [], "manifests": []}
        stem = self._external_features(self.plan.references[split], self.plan.study.external[external].dataset)
        reference = reference_of(split)
        manifests = [reference.replace(".npy", ".json"), f"{stem}.json"]
        return {"reference": [reference], "features": [f"{stem}.npy"], "manifests": manifests}

    def external_fold_tables(self, external: str, model: str) -> list[str]:
        """What each fold of a model said of the photos of an external data set."""
        return [external_of(external, f"{model}/fold{fold}.csv") for fold in self.plan.models[model].folds]

    def _external_features(self, backbone: str, dataset: str) -> str:
        return f"results/features/{backbone}/{dataset}/{self.plan.frozen[backbone].size}px/identity"

    def report_inputs(self) -> dict[str, list[str]]:
        """Every result that the report shows, but for the costs, which come with them."""
        plan = self.plan
        published = (
            ["results/published/numbers.csv", "results/published/conclusions.json"] if plan.published_files else []
        )
        return {
            "catalogs": [
                f"results/catalog/{dataset}{table}"
                for dataset in plan.catalogued
                for table in (".csv", "/duplicates.csv", "/duplicates.json")
            ],
            "splits": [f"results/splits/{split}.{kind}" for split in plan.splits for kind in ("csv", "json")],
            "models": [path for model in plan.models for path in (record_of(model), sets_of(model))],
            "histories": self.histories(*plan.of_kind("network", "head", "boosting")),
            "augmented": [f"results/training/augmented/{name}.jpg" for name in plan.augmented],
            "looked": [grad_cam_of(model) for model in plan.looked],
            "overfit": [f"results/training/overfit/{check}/result.json" for check in plan.study.overfit],
            "external": [
                *(external_of(name, "photos.json") for name in plan.study.external),
                *(external_of(name, f"{model}/scores.json") for name, model in plan.trials),
            ],
            "scores": [
                "results/summary.csv",
                *(f"results/scores/choice/{split}.json" for split in plan.tried),
                "results/scores/comparisons.csv",
                *self.probes(),
                *(f"results/scores/more_photos/{split}/curve.json" for split in plan.more_photos),
                *(f"results/scores/unlike/{split}.json" for split in plan.references),
                *published,
                *(["results/scores/switches.csv"] if plan.ablates else []),
            ],
        }

    def figures(self) -> Iterator[tuple[str, str, str, dict[str, str]]]:
        """Each chart that the report writes as a file: its path, and caption, category and labels for the engine's
        own report (`workflow/report/`)."""
        for dataset in self.plan.catalogued:
            for name, said in (("classes", "photos of each class"), ("sizes", "photo sizes")):
                path = f"results/figures/exploration/{dataset}_{name}.svg"
                yield path, name, "Exploration", {"data set": dataset, "figure": said}
        for split in self.plan.tried:
            yield f"results/figures/probes/{split}.svg", "probes", "Could it cheat?", {"split": split}
        for split in self.plan.more_photos:
            yield f"results/figures/more_photos/{split}.svg", "more_photos", "How many more photos?", {"split": split}
        for model in self.plan.of_kind("network", "head", "boosting"):
            yield f"results/figures/curves/{model}.svg", "curves", "Learning curves", {"model": model}
        for model in self.plan.models:
            yield f"results/figures/confusion/{model}.svg", "confusion", "Confusion matrices", {"model": model}
        for external, model in self.plan.trials:
            labels = {"photos": external, "model": model}
            yield f"results/figures/external/{external}/{model}.svg", "external", "On other photos", labels
        yield "results/figures/summary/models.svg", "models", "Summary", {"figure": "all models on the test"}
        yield "results/figures/summary/comparisons.svg", "comparisons", "Summary", {"figure": "paired comparisons"}
