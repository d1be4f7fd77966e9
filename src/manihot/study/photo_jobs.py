"""The settings of the jobs that list, look at, decode, split and draw photos: a function a rule, as in `jobs.py`."""

from manihot.study.plan import Jobs, Plan, Settings
from manihot.study.sources import DemoData, Labelled

# Keys of a data set that say where facts of its photos are: jobs get them as `facts` and `patterns`.
FACT_KEYS = {f"{fact}_{way}" for fact in ("group", "site", "role", "fold") for way in ("column", "pattern")}


# Photos


def list_photos(plan: Plan) -> Jobs:
    """A data set that is fetched, unpacked or rendered."""
    for name in plan.made_datasets:
        if name in plan.catalogued:
            entry = plan.study.data[name]
            data = {key: value for key, value in entry.model_dump(mode="json").items() if key not in FACT_KEYS}
            made: Settings = {"seed": plan.study.seed} if isinstance(entry, DemoData) else {}
            if isinstance(entry, Labelled):
                made = {"facts": entry.facts, "patterns": entry.patterns}
            for file in data.get("files", []):
                file["path"] = plan.path(file["path"]) if file["path"] else None
            yield name, {**data, **made, "shards": plan.study.photos.shards}


def catalog_shard(plan: Plan) -> Jobs:
    """A data set; its shards share the settings."""
    for name in plan.catalogued:
        yield name, {"root": plan.photo_folder(name), "max_pixels": plan.study.photos.max_pixels}


def build_catalog(plan: Plan) -> Jobs:
    """A data set."""
    for name in plan.catalogued:
        places = getattr(plan.study.data[name], "site_from_exif", False)
        looked = {"root": plan.photo_folder(name), "max_pixels": plan.study.photos.max_pixels}
        yield name, {**looked, "site_from_exif": places, "max_set_aside": plan.study.photos.max_set_aside}


def find_copies(plan: Plan) -> Jobs:
    """Two data sets that a split mixes, its own and that of its new class; or one of the study and an external one."""
    mixed = {tuple(plan.datasets_of(name)) for name in plan.splits if plan.study.splits[name].group_duplicates}
    mixed |= {(one, entry.dataset) for name, entry in plan.study.external.items() for one in plan.datasets_beside(name)}
    for one, other in sorted(pair for pair in mixed if len(pair) > 1):
        roots = {"one": plan.photo_folder(one), "other": plan.photo_folder(other)}
        yield f"{one}@{other}", {"roots": roots, "max_pixels": plan.study.photos.max_pixels}


def cache_pixels(plan: Plan) -> Jobs:
    """A data set and size; its shards share the settings."""
    for name in plan.catalogued:
        for size in plan.sizes(name):
            decode = plan.study.photos.decode
            yield f"{name}_{size}px", {"root": plan.photo_folder(name), "size": size, "decode": decode}


# Splits


def split_photos(plan: Plan) -> Jobs:
    """A split."""
    for name in plan.splits:
        split = plan.study.splits[name].model_dump(mode="json")
        gives = plan.study.data[split["dataset"]].gives
        given = {"given_role": "given_role" in gives, "given_fold": "given_fold" in gives}
        yield name, {**split, **given, "seed": plan.study.seed, "protocol": plan.study.protocol}


def sample_photos(plan: Plan) -> Jobs:
    """An experiment or backbone."""
    study = plan.study
    for name, entry in {**study.experiments, **study.backbones}.items():
        yield (
            name,
            {
                "seed": study.seed,
                "draw": entry.draw,
                "per_class": entry.per_class or study.splits[entry.split].per_class,
                "photos": entry.train_photos,
                "leak": entry.leak,
            },
        )


# In the order of the stages.
RULES = (
    list_photos,
    catalog_shard,
    build_catalog,
    find_copies,
    cache_pixels,
    split_photos,
    sample_photos,
)
