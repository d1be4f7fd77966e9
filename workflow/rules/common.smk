# What the rules say of their wildcards and inputs with Snakemake's own functions; paths.py spells the paths.


def written(pattern):
    """A file that the main process writes before a run."""
    return (lambda wildcards: settings.current(pattern.format(**wildcards), WRITTEN)) if LOOKS else pattern


def listings(wildcards):
    """The listing of every data set, which only has to be there."""
    paths = [f"results/photos/{dataset}/labels.csv" for dataset in PLAN.datasets]
    return ancient([settings.current(path, WRITTEN) if LOOKS else path for path in paths])


def settings_of(rule, name):
    """The settings file of a rule's jobs; `name` may hold wildcards."""
    return written(f"results/settings/{rule}/{name}.json")


def experiment_of(wildcards):
    """The settings of the experiment that the wildcards name, itself or its refit."""
    return PLAN.experiment(wildcards.experiment)


def check_of(wildcards):
    """The settings of the overfit check that the wildcards name."""
    return PLAN.study.overfit[wildcards.check]


def backbone_of(wildcards):
    """The settings of the frozen network that the wildcards name."""
    return PLAN.frozen[wildcards.backbone]


def pixels_of(split, size):
    """What a job that reads a split's photos at a size depends on; an array only has to be there: its manifest,
    checked when photos are loaded, says whether it changed."""
    paths = PATHS.pixels(split, size)
    return {**paths, "arrays": ancient(paths["arrays"])}


def shown_of(model, views):
    """What a job that runs a network reads of the photos: activations in stored views, or pixels where there are none."""
    paths = PATHS.shown(model, views)
    return {**paths, "arrays": ancient(paths["arrays"])}


def trained_on(experiment):
    """What a job that trains a network reads of the photos: activations, or pixels."""
    paths = PATHS.trained_on(experiment)
    return {**paths, "arrays": ancient(paths["arrays"])}


def features_of(model, views):
    """The stored features that a model reads, with what says whether they changed."""
    paths = PATHS.features(model, views)
    return {**paths, "features": ancient(paths["features"])}


def drawn_from(split):
    """The stored features that a split's reference photos are drawn from."""
    paths = PATHS.reference_features(split)
    return {**paths, "features": ancient(paths["features"])}


def backbone_of_split(wildcards):
    """The settings of the frozen network whose features say how unlike a split's photos a new one is."""
    return PLAN.frozen[PLAN.references[wildcards.split]]


def more_photos_of(split):
    """What a split's head reads that is fitted again on fewer photos; its weights are beside the records."""
    head = PLAN.more_photos[split]
    fitted = PATHS.members(head)
    return {**features_of(head, PLAN.head_views(head)), **PATHS.sampled(head), "fitted": fitted}


def external_shown(wildcards):
    """What a model reads of the photos of an external data set."""
    paths = PATHS.external_shown(wildcards.external, wildcards.model)
    return {**paths, **{kind: ancient(paths[kind]) for kind in ("arrays", "features")}}


def external_unlike(wildcards):
    """What tells how unlike a model's photos those of an external data set are."""
    paths = PATHS.external_unlike(wildcards.external, wildcards.model)
    return {**paths, **{kind: ancient(paths[kind]) for kind in ("reference", "features")}}


def fold_tables(part):
    """A function of the wildcards: the tables of a part, one a fold of the model."""
    return lambda wildcards: PATHS.fold_tables(wildcards.model, part)
