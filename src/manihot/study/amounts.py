"""What each job of a study has to do, in units that a machine's speeds give a price: photos, rounds, bytes.

Counted from the plan and the photos a class, before anything has run; nothing here imports torch or pandas. Copies and
photos that are set aside are not known yet: they count as photos.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from manihot.core.errors import StudyError
from manihot.study import external_jobs, model_jobs, photo_jobs, score_jobs
from manihot.study.paths import Paths
from manihot.study.plan import Kind, Model, Plan
from manihot.study.schema import AdamHead, Backbone, Booster, Learning, Sampling
from manihot.study.sources import DemoData
from manihot.study.tasks import MOST_SECONDS, SECONDS_A_PHOTO, Amount, Amounts, Start, Task

# The photos of each label of each data set.
Counts = Mapping[str, Mapping[str, int]]
# Where a data set gives its own test, or a validation part in place of folds, how large it is says only the run.
GIVEN_SHARE = 0.2
# Bytes of a row of predictions (its names, and each probability), and of what the catalog keeps of a photo
# (benchmarks/results/growth.json).
ROW, PROBABILITY, CATALOGUED = 45, 11, 1266
# The photos that a head is fitted on again, all shares of them together (`SHARES` of predictions/fewer_photos.py).
FEWER = sum(8 ** (place / 4 - 1) for place in range(4))

# Strange pictures to try `unlike` on (`applied/strange.py`), the most reference photos, a network's photos of Grad-CAM.
STRANGE, REFERENCE, LOOKED = 500, 2000, 12


@dataclass(frozen=True)
class Shown:
    """How many photos a fold of a sample is fitted on and judged on, and how many its predictions are of."""

    training: float
    validation: float
    predicted: float


@dataclass(frozen=True)
class Drawn:
    """A split by numbers: photos of each class in the pool, of the new class in it, and tested ones."""

    pool: Mapping[str, float]
    new: float
    tested: float
    folds: int
    classes: int

    @property
    def held_out(self) -> float:
        """The share of the pool that a fold's model does not see."""
        return 1 / self.folds if self.folds > 1 else GIVEN_SHARE


def drawn(plan: Plan, counts: Counts, name: str) -> Drawn:
    """What a split leaves to train on.

    Raises:
        StudyError: the counts of a data set of the split are not given.
    """
    split = plan.study.splits[name]
    dataset = split.dataset or ""
    if missing := [data for data in plan.datasets_of(name) if data not in counts]:
        raise StudyError(f"how many photos {missing[0]} has is not known yet")
    have = counts[dataset]
    total = sum(have.values())
    if "given_role" in plan.study.data[dataset].gives:
        pool = {label: (1 - GIVEN_SHARE) * count for label, count in have.items()}
        tested = GIVEN_SHARE * total
    else:
        each, as_found = (split.test or 0) // max(1, len(have)), split.test_as_found / max(1, total)
        pool = {label: max(0.0, count * (1 - as_found) - each) for label, count in have.items()}
        tested = each * len(have) + split.test_as_found
    new = split.new_class
    added = (new.photos - new.test, new.test) if new else (0, 0)
    return Drawn(pool, added[0], tested + added[1], split.folds, len(have) + (new is not None))


class _Counting:
    """The counts of a plan's splits and samples, each made once."""

    def __init__(self, plan: Plan, counts: Counts):
        self.plan, self.counts = plan, counts
        self.splits = {name: drawn(plan, counts, name) for name in plan.splits}
        self.photos = {name: sum(counts[name].values()) for name in plan.catalogued}

    def sample(self, entry: Sampling) -> float:
        """How many photos a sample has."""
        split = self.splits[entry.split]
        each = entry.per_class or self.plan.study.splits[entry.split].per_class
        most = each if entry.draw == "balanced" and each else float("inf")
        left = sum(min(count, most) for count in split.pool.values())
        return min(left, entry.train_photos or left) + split.new

    def fold(self, entry: Sampling, fold: int) -> Shown:
        """What a fold of a sample is shown; 0 is the fit on all of it."""
        split, sample = self.splits[entry.split], self.sample(entry)
        held = split.held_out if fold else 0.0
        pool = sum(split.pool.values()) + split.new
        return Shown(sample * (1 - held), sample * held, sample * (1 - held) + pool * held + split.tested)

    def steps(self, photos: float, batch_size: int) -> float:
        """How many batches a number of photos makes."""
        return -(-photos // batch_size)

    def of_model(self, model: Model) -> Sampling:
        """The entry of the study that a model's photos are drawn for."""
        study = self.plan.study
        return study.experiments[model.sample] if model.sample in study.experiments else study.backbones[model.sample]

    def on_features(self, task: Task, units: float, backbone: str) -> Amounts:
        """A task on features: the work grows with their number, so that it is one task on each of joined backbones."""
        frozen = self.plan.joined(backbone).values()
        return tuple((replace(task, network=entry.network, size=entry.size), units) for entry in frozen)

    def tables(self, model: Model) -> float:
        """The bytes of the predictions of a fold of a model."""
        row = ROW + PROBABILITY * self.splits[model.split].classes
        return row * self.fold(self.of_model(model), model.folds[0]).predicted


def amounts(plan: Plan, counts: Counts) -> Iterator[Amount]:
    """The work of every job of a study, rule by rule in the order of the stages.

    Raises:
        StudyError: the counts of a data set are not given.
    """
    known = _Counting(plan, counts)
    measured = ((Task("measure"), min(MOST_SECONDS, SECONDS_A_PHOTO * sum(known.photos.values()))),)
    yield Amount("measure_speeds", "measure_speeds", "networks", measured, plan.study.threads)
    done: set[str] = set()
    for rule, name in _named(plan):
        if rule in WORK:
            if rule not in done:
                yield from WORK[rule](known)
            done.add(rule)
        elif rule == "sample_photos":
            entries = {**plan.study.experiments, **plan.study.backbones}
            yield Amount(rule, f"{rule} {entries[name].split} {name}")
        else:
            label = rule if name == "all" else f"{rule} {name.replace('@', ' ')}"
            yield Amount(rule, label, "probes" if rule == "probe_facts" else "tables")


def _named(plan: Plan) -> Iterator[tuple[str, str]]:
    """The rule and the name of every settings file."""
    for jobs in (*photo_jobs.RULES, *model_jobs.RULES, *external_jobs.RULES, *score_jobs.RULES):
        for name, _ in jobs(plan):
            yield jobs.__name__, name


def _list_photos(known: _Counting) -> Iterator[Amount]:
    for name in known.plan.made_datasets:
        data = known.plan.study.data[name]
        if name in known.plan.catalogued:
            demo = Task("demo", data.kind) if isinstance(data, DemoData) else Task("archive")
            # Two processes share the photos.
            work, disk = ((demo, known.photos[name] / 2),), ((demo, float(known.photos[name])),)
            yield Amount("list_photos", f"list_photos {name}", "tables", work, threads=2, disk=disk)


def _catalog_shard(known: _Counting) -> Iterator[Amount]:
    shards = known.plan.shards
    for name, photos in known.photos.items():
        each = photos / len(shards)
        for shard in shards:
            work = ((Task("look"), each),)
            yield Amount("catalog_shard", f"catalog_shard {name} {shard}", "tables", work, bytes=CATALOGUED * each)


def _cache_pixels(known: _Counting) -> Iterator[Amount]:
    shards = known.plan.shards
    for name, photos in known.photos.items():
        for size in known.plan.sizes(name):
            each = photos / len(shards)
            for shard in shards:
                label, work = f"cache_pixels {name} {size} {shard}", ((Task("decode", size=size), each),)
                yield Amount("cache_pixels", label, "torch", work, bytes=3 * size**2 * each)


def _fetch_weights(known: _Counting) -> Iterator[Amount]:
    for name, entry in known.plan.weights.items():
        task = Task("weights", entry.network, entry.size)
        yield Amount("fetch_weights", f"fetch_weights {name}", "networks", disk=((task, 1),))


def _extract_features(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    masked = {plan.models[head].backbone for head in plan.masked.values()}
    for name, backbone in plan.frozen.items():
        heads = [user.head for user_name, user in plan.study.backbones.items() if name in plan.joined(user_name)]
        seen = {view for head in heads if head for view in head.views}
        views = {"identity", *seen, *(["masked"] if name in masked else [])}
        network, task = (backbone.network, backbone.size), _features(backbone)
        for dataset in plan.datasets_of(backbone.split):
            photos = known.photos[dataset]
            for view in sorted(views):
                label = f"extract_features {name} {dataset} {backbone.size} {view}"
                work, disk = ((Task("build", *network), 1), (task, photos)), ((Task("width", *network), photos),)
                yield Amount("extract_features", label, "networks", work, plan.study.threads, disk=disk)
    yield from external_jobs.extracting(plan, known.photos)


def _draw_reference(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    for split, name in plan.references.items():
        entry = plan.frozen[name]
        work = ((_build(entry), 1), (_features(entry), STRANGE))
        kept = ((Task("width", entry.network, entry.size), min(REFERENCE, sum(known.splits[split].pool.values()))),)
        yield Amount("draw_reference", f"draw_reference {split}", "networks", work, plan.study.threads, disk=kept)


def _store_activations(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    for name, entry in plan.cuts.items():
        users = [e for e in plan.study.experiments.values() if e.train_from and plan.cut_name(e) == name]
        task = Task("store", entry.network, entry.size, train_from=entry.train_from)
        for dataset in dict.fromkeys(data for user in users for data in plan.datasets_of(user.split)):
            photos = known.photos[dataset]
            for view in dict.fromkeys(view for user in users for view in user.views):
                work = ((Task("build", entry.network, entry.size), 1), (task, photos))
                label, disk = f"store_activations {name} {dataset} {view}", ((replace(task, kind="row"), photos),)
                yield Amount("store_activations", label, "networks", work, plan.study.threads, disk=disk)


def _fit_head(known: _Counting) -> Iterator[Amount]:
    for name in known.plan.of_kind("head"):
        for fold in known.plan.models[name].folds:
            yield Amount("fit_head", f"fit_head {name} {fold}", "heads", _head(known, name, fold))


def _head(known: _Counting, name: str, fold: int, views: int | None = None) -> Amounts:
    """The work of fitting a head."""
    model = known.plan.models[name]
    backbone = known.plan.study.backbones[model.backbone or ""]
    assert backbone.head is not None
    rows, classes = known.fold(backbone, fold).training, known.splits[model.split].classes
    if isinstance(backbone.head, AdamHead):
        units = float(backbone.head.epochs * known.steps(rows, backbone.head.batch_size))
        task = Task("adam", batch_size=backbone.head.batch_size, classes=classes)
    else:
        units = 1.0
        task = Task("logistic", rows=round(rows * (views or len(backbone.head.views))), classes=classes)
    return known.on_features(task, units, backbone=model.backbone or "")


def _fit_booster(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    for name in plan.of_kind("boosting"):
        model = plan.models[name]
        booster = plan.study.boosting[name.removesuffix("_refit") if 0 in model.folds else name]
        for fold in model.folds:
            task, rounds = trees(known, model, booster, fold), boosted(booster)
            grown = rounds * (2 if booster.early_stopping else 1) + (booster.early_stopping or 0)
            work = known.on_features(task, grown, booster.backbone)
            disk = ((work[0][0], float(rounds)),)
            yield Amount("fit_booster", f"fit_booster {name} {fold}", "boosting", work, plan.study.threads, disk=disk)


def boosted(booster: Booster) -> int:
    """About how many rounds are boosted: all, or where early stopping ends them some twelve over the learning rate."""
    return (
        min(booster.n_estimators, round(12 / booster.learning_rate)) if booster.early_stopping else booster.n_estimators
    )


def trees(known: _Counting, model: Model, booster: Booster, fold: int) -> Task:
    """A round of a booster: a tree a class, on a fold's features."""
    backbone = known.plan.study.backbones[booster.backbone]
    return Task(
        "trees",
        rows=round(known.fold(backbone, fold).training), classes=known.splits[model.split].classes,
        depth=booster.max_depth, subsample=booster.subsample, colsample=booster.colsample_bynode,
    )  # fmt: skip


def _train_fold(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    for name, fold in plan.fitted("network"):
        entry = plan.experiment(name)
        shown = known.fold(entry, fold)
        step, forward = _passes(entry, entry.train_from)
        work = ((_build(entry), 1), (step, entry.epochs * shown.training), (forward, entry.epochs * shown.validation))
        disk = ((Task("weights", entry.network, entry.size), 1),)
        yield Amount("train_fold", f"train_fold {name} {fold}", "networks", work, plan.study.threads, disk=disk)


def _check_overfit(known: _Counting) -> Iterator[Amount]:
    for name, check in known.plan.study.overfit.items():
        work = ((_build(check), 1), (_passes(check)[0], check.epochs * check.photos))
        yield Amount("check_overfit", f"check_overfit {name}", "networks", work, known.plan.study.threads)


def _predict_fold(known: _Counting) -> Iterator[Amount]:
    plan = known.plan
    for name, fold in plan.fitted("network", "tta"):
        entry, model = plan.experiment(name), plan.models[name]
        forward = _passes(entry, entry.train_from if plan.stored_views(name) else None)[1]
        passes = known.fold(entry, fold).predicted * len(plan.views(name))
        label, work = f"predict_fold {name} {fold}", ((_build(entry), 1), (forward, passes))
        yield Amount("predict_fold", label, "networks", work, plan.study.threads, known.tables(model))


def _build(entry: Learning | Backbone) -> Task:
    return Task("build", entry.network, entry.size)


def _features(entry: Backbone) -> Task:
    return Task("features", entry.network, entry.size, batch_size=entry.batch_size)


def _passes(entry: Learning, train_from: str | None = None) -> tuple[Task, Task]:
    """A training step of a photo, and a forward pass."""
    task = Task("upper", entry.network, entry.size, entry.batch_size, train_from=train_from)
    if train_from is not None:
        return task, replace(task, kind="upper_predict")
    return replace(task, kind="train", frozen=entry.frozen), replace(task, kind="predict")


def _show_augmentation(known: _Counting) -> Iterator[Amount]:
    for name in known.plan.augmented:
        yield Amount("show_augmentation", f"show_augmentation {name}", "networks")


def _answers(known: _Counting, rule: str, kind: Kind, start: Start) -> Iterator[Amount]:
    for name, fold in known.plan.fitted(kind):
        yield Amount(rule, f"{rule} {name} {fold}", start, bytes=known.tables(known.plan.models[name]))


def _ensemble_folds(known: _Counting) -> Iterator[Amount]:
    # Its own answers of each part, and those for other class shares, calibrated or not.
    for name, model in known.plan.models.items():
        yield Amount("ensemble_folds", f"ensemble_folds {name}", bytes=3 * known.tables(model))


def _score_model(known: _Counting) -> Iterator[Amount]:
    for name, model in known.plan.models.items():
        split = known.splits[model.split]
        scored = sum(split.pool.values()) + split.new + split.tested
        work = ((Task("resample"), known.plan.study.resamples * scored),)
        yield Amount("score_model", f"score_model {name}", work=work)


def _draw_grad_cams(known: _Counting) -> Iterator[Amount]:
    entries = known.plan.looked.values()
    pairs = [(e, _passes(e)[1] if isinstance(e, Learning) else _features(e)) for e in entries]
    work = tuple(part for entry, forward in pairs for part in ((_build(entry), 1), (forward, LOOKED)))
    yield Amount("draw_grad_cams", "draw_grad_cams", "networks", work, known.plan.study.threads)


def _probe_masked(known: _Counting) -> Iterator[Amount]:
    for split, head in known.plan.masked.items():
        folds = known.plan.models[head].folds
        work = tuple(part for fold in folds for part in 2 * _head(known, head, fold, 1))
        yield Amount("probe_masked", f"probe_masked {split}", "heads", work)


def _fit_fewer_photos(known: _Counting) -> Iterator[Amount]:
    for split, head in known.plan.more_photos.items():
        folds = known.plan.models[head].folds
        work = tuple((task, FEWER * units) for fold in folds for task, units in _head(known, head, fold))
        yield Amount("fit_fewer_photos", f"fit_fewer_photos {split}", "heads", work)


def _build_report(known: _Counting) -> Iterator[Amount]:
    charts = len(list(Paths(known.plan).figures()))
    yield Amount("build_report", "build_report", "report", ((Task("chart"), charts),))


WORK: dict[str, Callable[[_Counting], Iterator[Amount]]] = {
    "list_photos": _list_photos,
    "catalog_shard": _catalog_shard,
    "cache_pixels": _cache_pixels,
    "fetch_weights": _fetch_weights,
    "extract_features": _extract_features,
    "draw_reference": _draw_reference,
    "store_activations": _store_activations,
    "fit_head": _fit_head,
    "fit_booster": _fit_booster,
    "train_fold": _train_fold,
    "check_overfit": _check_overfit,
    "show_augmentation": _show_augmentation,
    "predict_fold": _predict_fold,
    "predict_head": lambda known: _answers(known, "predict_head", "head", "heads"),
    "predict_booster": lambda known: _answers(known, "predict_booster", "boosting", "boosting"),
    "ensemble_folds": _ensemble_folds,
    "score_model": _score_model,
    "draw_grad_cams": _draw_grad_cams,
    "probe_masked": _probe_masked,
    "fit_fewer_photos": _fit_fewer_photos,
    "predict_external": lambda known: external_jobs.predicting(known.plan, known.photos),
    "score_external": lambda known: external_jobs.scoring(known.plan, known.photos),
    "build_report": _build_report,
}
