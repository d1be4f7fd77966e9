"""The typed study: what a study file may say, with every default filled in. `sources.py` has its data sets.

The main Snakemake process imports this file at every start: no torch, no pandas here.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from manihot.study.sources import Data, Label, Name, Positive, Real, Section, Share

# A network of timm's is called timm/NAME, one of torchvision's or our own NAME.
Network = Annotated[str, Field(pattern=r"^(timm/)?[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=100)]
Count = Annotated[int, Field(ge=1)]
# Of the Beta distribution of the two shares in a mixture: 1 draws all shares alike, more draws halves, less whole ones.
Alpha = Annotated[Real, Field(ge=0, le=100)]
Cost = Annotated[Real, Field(ge=0, allow_inf_nan=False)]
View = Literal["identity", "hflip", "vflip", "rot90", "rot180", "rot270"]
Normalisation = Literal["none", "standard", "weights"]
FrozenMode = Literal["eval", "train"]
Draw = Literal["balanced", "as_found"]
# Those of `networks/own.py`, of which nobody published weights.
OWN_NETWORKS = {"small_cnn", "vgg_small"}


def _each_once(views: list[str]) -> list[str]:
    if len(set(views)) < len(views):
        raise ValueError(f"names {max(views, key=views.count)} more than once: name each view once")
    return views


def _with_identity(views: list[str]) -> list[str]:
    if "identity" not in views:
        raise ValueError("lacks identity, in which photos are judged: add it")
    return views


Views = Annotated[list[View], AfterValidator(_each_once)]
HeadViews = Annotated[Views, AfterValidator(_with_identity)]


class Photos(Section):
    """How photos are checked and decoded."""

    shards: Annotated[int, Field(ge=1, le=10_000)] = 4
    max_pixels: Count = 100_000_000
    max_set_aside: Share = 0.05
    decode: Literal["exact", "fast"] = "exact"


class NewClass(Section):
    """A few photos of a class of another data set."""

    dataset: Name
    label: Label
    photos: Count
    test: Count
    in_every_fold: bool


class Split(Section):
    """Who is tested on what, and the folds of everybody else."""

    dataset: Name | None = None
    like: Name | None = None
    folds: Annotated[int, Field(ge=1, le=50)] = 5
    fold_kind: Literal["stratified", "plain", "by_site"]
    group_duplicates: bool
    on_leak: Literal["exclude", "report", "stop"] = "exclude"
    test: Count | None = None
    test_as_found: Annotated[int, Field(ge=0)] = 0
    per_class: Count | None = None
    keep_for_training: Count = 10
    new_class: NewClass | None = None


class Augment(Section):
    """Random changes of training photos."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    right_angles: bool = False
    rotation: Annotated[Real, Field(ge=0, le=45)] = 0.0
    random_crop: Share = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    hue: Annotated[Real, Field(ge=0, le=0.5)] = 0.0
    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0

    @property
    def turns(self) -> dict[str, Any]:
        """The flips and turns, which photos that are validated on may get, too."""
        return self.model_dump(include={"horizontal_flip", "vertical_flip", "right_angles", "rotation"})


class Sampling(Section):
    """Which photos of the pool something is fitted on, and under what heading it is compared."""

    split: Name
    draw: Draw = "balanced"
    train_photos: Count | None = None
    per_class: Count | None = None
    leak: bool
    run_folds: list[Count] | None = None
    family: Name
    based_on: Name | None = None


class Learning(Section):
    """A network, its pixels and its optimisation."""

    network: Network = "small_cnn"
    weights: str = "none"
    frozen: bool = False
    frozen_mode: FrozenMode
    normalisation: Normalisation
    size: Annotated[int, Field(ge=16, le=1024)] = 224
    recipe: Literal["scratch", "finetune"] = "scratch"
    batch_size: Count = 32
    epochs: Count = 10
    learning_rate: Positive = 5e-5
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0
    decay_norms: bool = True
    layer_decay: Annotated[Real, Field(gt=0, le=1)] = 1.0
    clip_norm: Annotated[Real, Field(ge=0)] = 0.0
    ema: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    schedule: Literal["constant", "one_cycle", "cosine"] = "constant"
    warm_up: Annotated[Real, Field(gt=0, lt=1)] = 0.3
    batch_norm: Literal["update", "keep"] = "update"
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.3
    drop_path: Annotated[Real, Field(ge=0, lt=1)] | None = None
    loss: Literal["cross_entropy", "logit_adjusted"] = "cross_entropy"
    label_smoothing: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    augment: Augment = Augment()
    flips_at_validation: bool

    @model_validator(mode="after")
    def _one_balance(self) -> Self:
        if self.loss == "logit_adjusted" and self.class_weights == "balanced":
            raise ValueError("loss: logit_adjusted and class_weights: balanced both even the classes out; take one out")
        return self


class Experiment(Sampling, Learning):
    """A network trained on the folds of a split."""

    train_from: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=100)] | None = None
    views: Annotated[list[View], Field(min_length=1)] = ["identity"]
    cache_size: Annotated[int, Field(ge=16, le=2048)] | None = None
    head_from: Name | None = None
    refit: bool = False
    tta: Views = []
    repeat: Annotated[int, Field(ge=0)] = 0

    @property
    def training_size(self) -> int:
        """The side in pixels of the photos that training reads."""
        return self.cache_size or self.size

    @model_validator(mode="after")
    def _larger_cache(self) -> Self:
        if self.cache_size is None:
            return self
        if self.train_from is not None:
            raise ValueError("cache_size: train_from trains on stored activations, not on photos; take cache_size out")
        if self.cache_size < self.size:
            raise ValueError(
                f"cache_size: is {self.cache_size}, less than the {self.size} pixels that the network sees (size); "
                "make it larger, or take it out"
            )
        if self.cache_size > self.size and self.augment.random_crop in {0, 1}:
            raise ValueError(
                f"cache_size: whole photos of {self.cache_size} pixels are resized to size ({self.size}), and show no "
                "more than smaller ones: set augment.random_crop between 0 and 1, or take cache_size out"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.train_from is None:
            if self.views != ["identity"]:
                raise ValueError("views: are those of train_from; say a layer there, or take views out")
            return self
        asked = [key for key, value in self.augment if value and key != "mixup"]
        if asked:
            raise ValueError(
                "train_from: trains on stored activations, which augment cannot change but by mixup: set "
                f"{', '.join(asked)} to false or 0, and name stored views in their place, as views: [identity, hflip]"
            )
        if self.frozen:
            raise ValueError("takes one of the keys train_from and frozen")
        if self.network in OWN_NETWORKS:
            raise ValueError(f"train_from: {self.network} has no published weights that could stay below a cut")
        if self.views[0] != "identity" or len(set(self.views)) < len(self.views):
            raise ValueError("views: begin with identity, in which photos are judged, and name each once")
        return self


class OverfitCheck(Learning):
    """Whether a network can learn a few balanced photos by heart."""

    split: Name
    photos: Count = 250
    batch_size: Count = 16
    epochs: Count = 30
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.0


class LogisticHead(Section):
    """The last layer of a frozen backbone, by logistic regression whose penalty is tuned."""

    kind: Literal["logistic"]
    views: HeadViews = ["identity"]
    class_weights: Literal["none", "balanced"] = "none"


class AdamHead(Section):
    """The last layer of a frozen backbone, by Adam."""

    kind: Literal["adam"]
    epochs: Count = 10
    batch_size: Count = 256
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0
    views: HeadViews = ["identity"]


Head = Annotated[LogisticHead | AdamHead, Field(discriminator="kind")]


class Backbone(Sampling):
    """A network whose features are kept; a head and boosters are fitted on them."""

    network: Network
    weights: str = "imagenet"
    size: Annotated[int, Field(ge=16, le=1024)] = 224
    normalisation: Normalisation
    batch_size: Count = 32
    head: Head | None

    @property
    def trained(self) -> tuple[str, int] | None:
        """The experiment and the fold whose network this is; None where `weights` names no `{experiment}/fold{n}`."""
        found = re.fullmatch(r"([^/]+)/fold(\d+)", self.weights)
        return (found[1], int(found[2])) if found else None


class Joined(Sampling):
    """Features of several backbones side by side; a head and boosters are fitted on them."""

    join: list[Name]
    head: Head | None


def _joins(given: Any) -> str:
    return "tagged-joined" if isinstance(given, Joined) or (isinstance(given, dict) and "join" in given) else "tagged"


AnyBackbone = Annotated[
    Annotated[Backbone, Tag("tagged")] | Annotated[Joined, Tag("tagged-joined")], Discriminator(_joins)
]


class Booster(Section):
    """Gradient-boosted trees on the features of a backbone, or of joined ones."""

    backbone: Name
    n_estimators: Count
    max_depth: Annotated[int, Field(ge=1, le=16)] = 4
    learning_rate: Positive = 0.1
    early_stopping: Count | None
    subsample: Annotated[Real, Field(gt=0, le=1)]
    colsample_bynode: Annotated[Real, Field(gt=0, le=1)]
    min_child_weight: Annotated[Real, Field(ge=0)] = 1.0
    run_folds: list[Count] | None = None
    refit: bool
    family: Name
    based_on: Name | None = None


class External(Section):
    """Another labelled data set that models are tried on, and never fitted, tuned or chosen on."""

    dataset: Name
    classes: dict[Label, Label | None] | None = None
    models: Annotated[list[Name], Field(min_length=1)] | None = None


class Probes(Section):
    """What is tried to see whether a model could cheat."""

    masked: bool = True


def _device(given: Any) -> Any:
    if given == "mps":
        raise ValueError("mps (Apple's GPU) is not supported: take auto or cpu")
    return given


class Study(Section):
    """A whole study, every default filled in."""

    title: str = "A study of leaf photos"
    description: str = ""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 42
    protocol: Literal["corrected", "published"] = "corrected"
    device: Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(_device)] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    gpu_slots: Annotated[int, Field(ge=1, le=64)] = 1
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    equivalence_margin: Annotated[Real, Field(gt=0, le=20)] = 2.0
    more_photos: bool = True
    coverage: Annotated[Real, Field(gt=0, lt=1)] = 0.9
    costs: dict[Label, dict[Label, Cost]] = {}
    container: str | None = None
    published: str | None = None
    photos: Photos = Photos()
    probes: Probes = Probes()
    data: Annotated[dict[Name, Data], Field(min_length=1)]
    splits: Annotated[dict[Name, Split], Field(min_length=1)]
    experiments: dict[Name, Experiment] = {}
    overfit: dict[Name, OverfitCheck] = {}
    backbones: dict[Name, AnyBackbone] = {}
    boosting: dict[Name, Booster] = {}
    external: dict[Name, External] = {}

    def plain(self) -> dict[str, Any]:
        """The study as plain values, for the report."""
        return self.model_dump(mode="json")
