"""What the parts of a study say of each other: every name that is used exists and fits."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from manihot.core.classes import check_costs, map_labels
from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean
from manihot.networks.packages import PACKAGES
from manihot.photos.facts import Label
from manihot.splits.demands import check_facts
from manihot.study.schema import OWN_NETWORKS, Backbone, Experiment, Joined, Split, Study


def check(study: Study, path: Path) -> None:
    """Hold a study's parts against each other.

    Raises:
        StudyError: a name that nothing has, folds that the split has not, an impossible count.
    """

    def known(place: str, name: str, names: Collection[str], what: str) -> None:
        if name not in names:
            raise StudyError(f"{path}: {place}: no {what} is called {name}; {did_you_mean(name, names)}")

    for name, split in study.splits.items():
        place = f"splits.{name}"
        if split.dataset is None:
            raise StudyError(f"{path}: {place}.dataset: is missing; name one of the data sets: {', '.join(study.data)}")
        known(f"{place}.dataset", split.dataset, study.data, "data set")
        if split.new_class is not None:
            known(f"{place}.new_class.dataset", split.new_class.dataset, study.data, "data set")
            if split.new_class.dataset == split.dataset:
                raise StudyError(f"{path}: {place}.new_class.dataset: must be another data set than {split.dataset}")
            if split.new_class.test >= split.new_class.photos:
                raise StudyError(
                    f"{path}: {place}.new_class.test: {split.new_class.test} of {split.new_class.photos} photos leave "
                    "none to train on; lower it"
                )
        _given(f"{path}: {place}", study, split)
        if study.protocol == "published" and split.test_as_found:
            raise StudyError(
                f"{path}: {place}.test_as_found: must be 0 under protocol: published, whose imbalanced training "
                "draws from all photos: no test as found can be honest there"
            )
        if study.protocol == "published" and split.per_class is None:
            raise StudyError(f"{path}: {place}.per_class: is missing; protocol: published balances the photos by it")
    for section, entries in (("experiments", study.experiments), ("backbones", study.backbones)):
        for name, entry in entries.items():
            known(f"{section}.{name}.split", entry.split, study.splits, "split")
            _folds(f"{path}: {section}.{name}", entry.run_folds, study.splits[entry.split].folds)
            if entry.based_on is not None:
                known(f"{section}.{name}.based_on", entry.based_on, entries, section.removesuffix("s"))
    for section, readers in (
        ("experiments", study.experiments),
        ("overfit", study.overfit),
        ("backbones", study.backbones),
    ):
        for name, reader in readers.items():
            if isinstance(reader, Joined):
                continue
            trained = isinstance(reader, Backbone) and reader.trained
            if reader.network in OWN_NETWORKS and not trained and (reader.weights != "none" or section == "backbones"):
                raise StudyError(
                    f"{path}: {section}.{name}.weights: there are no published ones of {reader.network}: take "
                    f"{'a network of an experiment, as EXPERIMENT/fold1' if section == 'backbones' else 'them out'}"
                )
            if reader.weights == "package" and reader.network not in PACKAGES:
                raise StudyError(
                    f"{path}: {section}.{name}.weights: no package has those of {reader.network}, but of "
                    f"{', '.join(PACKAGES)}: take one of these networks, or `weights: imagenet` or a file"
                )
    for name, experiment in study.experiments.items():
        if experiment.head_from is not None:
            heads = {f"{backbone}_head": backbone for backbone, entry in study.backbones.items() if entry.head}
            known(f"experiments.{name}.head_from", experiment.head_from, heads, "head")
            _head(f"{path}: experiments.{name}", study, experiment, heads[experiment.head_from])
    for name, backbone in study.backbones.items():
        if isinstance(backbone, Joined):
            for joined in backbone.join:
                others = [n for n, entry in study.backbones.items() if isinstance(entry, Backbone) or n == joined]
                known(f"backbones.{name}.join", joined, others, "backbone")
            _joined(path, study, name, backbone)
        elif backbone.trained:
            known(f"backbones.{name}.weights", backbone.trained[0], study.experiments, "experiment")
            _trained_backbone(path, study, name)
    for name, overfit in study.overfit.items():
        known(f"overfit.{name}.split", overfit.split, study.splits, "split")
    for name, booster in study.boosting.items():
        known(f"boosting.{name}.backbone", booster.backbone, study.backbones, "backbone")
        backbone = study.backbones[booster.backbone]
        _folds(f"{path}: boosting.{name}", booster.run_folds, study.splits[backbone.split].folds)
        if booster.based_on is not None:
            known(f"boosting.{name}.based_on", booster.based_on, study.boosting, "boosting setting")
    for name, external in study.external.items():
        known(f"external.{name}.dataset", external.dataset, study.data, "data set")
        for model in external.models or []:
            known(f"external.{name}.models", model, _model_names(study), "model")
    names = Counter(_model_names(study))
    for name, count in names.items():
        if count > 1 or name == "majority_class":
            raise StudyError(f"{path}: {name}: two models would be called so, or the name is taken; rename one")
    if not names:
        raise StudyError(f"{path}: experiments: none, and no backbones: there is nothing to train")


def _given(place: str, study: Study, split: Split) -> None:
    """What a split asks for beside what its data set gives: roles, folds, sites."""
    gives = study.data[split.dataset or ""].gives
    if study.protocol == "published" and (asked := gives - {"site"}):
        raise StudyError(
            f"{place}.dataset: protocol: published makes the paper's own split; take the "
            f"{min(asked).removeprefix('given_')}s of {split.dataset} out, or take protocol: corrected"
        )
    if "given_role" in gives:
        for key in ("test", "test_as_found"):
            if getattr(split, key):
                raise StudyError(f"{place}.{key}: {split.dataset} gives its own test (roles); take {key} out")
    elif split.test is None:
        raise StudyError(f"{place}.test: is missing; say how many photos are tested, equally many a class")
    elif split.folds < 2:
        raise StudyError(f"{place}.folds: must be 2 or more, unless the data set gives the role validation")
    if split.fold_kind == "by_site" and "site" not in gives:
        raise StudyError(f"{place}.fold_kind: by_site needs site_column or site_pattern in data.{split.dataset}")
    if split.new_class is not None and (gives & {"given_role", "given_fold"} or split.fold_kind == "by_site"):
        raise StudyError(
            f"{place}.new_class: the photos of {split.new_class.dataset} have no place in the given roles, folds or "
            f"sites of {split.dataset}; take new_class out, or these"
        )


def _folds(place: str, run_folds: list[int] | None, folds: int) -> None:
    for fold in run_folds or []:
        if fold > folds:
            raise StudyError(f"{place}.run_folds: there is no fold {fold}: the split has {folds}")
    if run_folds is not None and (not run_folds or len(set(run_folds)) < len(run_folds)):
        raise StudyError(f"{place}.run_folds: must name at least one fold, each once")


def _head(place: str, study: Study, experiment: Experiment, backbone: str) -> None:
    """The head that an experiment's last layer starts from: of the same network, and blind to the same folds."""
    entry = study.backbones[backbone]
    if isinstance(entry, Joined):
        raise StudyError(
            f"{place}.head_from: {experiment.head_from} is fitted on joined features ({', '.join(entry.join)}), which "
            "no network's last layer takes in; name the head of one of them"
        )
    if experiment.refit:
        raise StudyError(f"{place}.refit: takes no head_from, since a head of all folds is not fitted; take one out")
    for key in ("split", "network", "weights", "size", "normalisation", "leak"):
        mine, wanted = getattr(experiment, key), getattr(entry, key)
        if mine != wanted:
            raise StudyError(
                f"{place}.{key}: is {mine}, but {experiment.head_from} was fitted on features of {backbone} with "
                f"{wanted}: the head is no start for it"
            )
    folds = range(1, study.splits[experiment.split].folds + 1)
    missing = set(experiment.run_folds or folds) - set(entry.run_folds or folds)
    if missing:
        raise StudyError(
            f"{place}.head_from: {experiment.head_from} has no fold {min(missing)}: see backbones.{backbone}"
        )


def _trained_backbone(path: Path, study: Study, name: str) -> None:
    """A backbone that an experiment trained: only the fold that its network did not learn from is a fair test."""
    place, backbone = f"{path}: backbones.{name}", study.backbones[name]
    assert isinstance(backbone, Backbone) and backbone.trained is not None
    trained, fold = backbone.trained
    experiment = study.experiments[trained]
    for key in ("split", "network", "size", "normalisation", "leak"):
        mine, wanted = getattr(backbone, key), getattr(experiment, key)
        if mine != wanted:
            raise StudyError(f"{place}.{key}: is {mine}, but its network was trained as {trained}: set it to {wanted}")
    if fold not in (experiment.run_folds or range(1, study.splits[experiment.split].folds + 1)):
        raise StudyError(f"{place}.weights: {trained} trains no fold {fold}")
    _only_fold(path, study, name, fold, backbone.weights)


def _only_fold(path: Path, study: Study, name: str, fold: int, weights: str) -> None:
    """What is fitted on a backbone's features has the one fold that a network among them did not learn from."""
    boosters = {f"boosting.{n}": b.run_folds or [fold] for n, b in study.boosting.items() if b.backbone == name}
    for key, folds in {f"backbones.{name}": study.backbones[name].run_folds, **boosters}.items():
        if folds != [fold]:
            raise StudyError(
                f"{path}: {key}.run_folds: must be [{fold}]: "
                f"the network {weights} was trained on the photos of all other folds"
            )


def _joined(path: Path, study: Study, name: str, entry: Joined) -> None:
    """Backbones whose features stand side by side: of the same photos, and all blind to the same folds."""
    place = f"{path}: backbones.{name}"
    if len(entry.join) < 2 or len(set(entry.join)) < len(entry.join):
        raise StudyError(f"{place}.join: must name two backbones or more, each once")
    trained: dict[int, str] = {}
    for other in entry.join:
        backbone = study.backbones[other]
        if isinstance(backbone, Joined):
            raise StudyError(
                f"{place}.join: {other} is joined itself; name its backbones in its place: {', '.join(backbone.join)}"
            )
        for key in ("split", "leak"):
            mine, wanted = getattr(entry, key), getattr(backbone, key)
            if mine != wanted:
                raise StudyError(f"{place}.{key}: is {mine}, but {other}, which it joins, has {wanted}; set it so")
        if backbone.trained:
            trained[backbone.trained[1]] = other
            if len(trained) > 1:
                (fold, one), (another, second) = trained.items()
                raise StudyError(
                    f"{place}.join: the network of {one} knows all folds but {fold}, that of {second} all but "
                    f"{another}: join networks that leave out the same fold"
                )
            _only_fold(path, study, name, backbone.trained[1], backbone.weights)


def _model_names(study: Study) -> list[str]:
    tta = [f"{name}_tta" for name, entry in study.experiments.items() if entry.tta]
    heads = [f"{name}_head" for name, entry in study.backbones.items() if entry.head]
    refits = [f"{n}_refit" for entries in (study.experiments, study.boosting) for n, e in entries.items() if e.refit]
    return [*study.experiments, *tta, *heads, *study.boosting, *refits]


def check_labels(study: Study, path: Path, labels: Mapping[str, Sequence[Label]]) -> None:
    """Hold what splits and experiments ask for against the labels of each data set that is known before a run.

    Raises:
        StudyError: more photos are asked for than there are, or roles, folds or sites do not go with a split.
    """
    for name, split in study.splits.items():
        known = labels.get(split.dataset or "")
        if known is not None:
            gives = study.data[split.dataset or ""].gives
            asked = {"folds": split.folds, "fold_kind": split.fold_kind}
            asked |= {fact: fact in gives for fact in ("given_role", "given_fold")}
            check_facts(known, asked, f"{path}: splits.{name}")
    check_counts(study, path, {name: Counter(label.label for label in known) for name, known in labels.items()})
    datasets = {split.dataset or "" for split in study.splits.values()}
    if datasets <= labels.keys():  # else the labels of some are known when they have been fetched: `summarise_scores`
        own = {label.label for name in datasets for label in labels[name]}
        new = {split.new_class.label for split in study.splits.values() if split.new_class}
        check_costs(study.costs, own | new, f"{path}: ")
        for name, external in study.external.items():
            if external.dataset in labels:
                others = {label.label for label in labels[external.dataset]}
                map_labels(external.classes, others, own | new, f"{path}: external.{name}.classes")


def check_counts(study: Study, path: Path, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Hold the counts that splits and experiments ask for against the labels of each data set.

    `counts` has, for each data set whose labels are known before anything runs, the photos of each label.

    Raises:
        StudyError: a split or an experiment asks for more photos than there are.
    """
    for name, split in study.splits.items():
        have = counts.get(split.dataset or "")
        if have is None or split.like is not None or split.test is None:
            continue
        total = sum(have.values())
        each = split.test // len(have)
        for label, count in have.items():
            if study.protocol == "corrected" and count < each + max(split.folds, split.keep_for_training):
                raise StudyError(
                    f"{path}: splits.{name}: class {label} has {count} photos, but {each} for the test, and at least "
                    f"{max(split.folds, split.keep_for_training)} for training ({split.folds} folds, keep_for_training "
                    f"{split.keep_for_training}) are asked for; lower splits.{name}.test, folds or keep_for_training"
                )
        for section, entries in (("experiments", study.experiments), ("backbones", study.backbones)):
            for entry_name, entry in entries.items():
                left = total if entry.leak else total - split.test - split.test_as_found
                if entry.split == name and (entry.train_photos or 0) > left:
                    raise StudyError(
                        f"{path}: {section}.{entry_name}.train_photos: {entry.train_photos} asked for, but the split "
                        f"{name} leaves {left} of {total} photos for training; lower it"
                    )
    for name, split in study.splits.items():
        new = split.new_class
        if new is not None and new.dataset in counts and counts[new.dataset].get(new.label, 0) < new.photos:
            raise StudyError(
                f"{path}: splits.{name}.new_class.photos: {new.photos} asked for, but {new.dataset} has "
                f"{counts[new.dataset].get(new.label, 0)} photos of {new.label}; lower it"
            )
