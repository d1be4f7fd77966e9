"""A model on labelled photos in a folder: what `external` says of a data set that the study file names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied.answers import Answering
from manihot.core.tables import KEYS, probability_columns
from manihot.scores.external import Answered, Asked, score_external
from manihot.splits.external import external_photos

# What the photos are called in tables; no data set of a study can be called so.
NEW = "(new)"
PLACE = "CLASSES"


@dataclass(frozen=True)
class Labelled:
    """New photos with labels.

    `labels` has image_id, label, given_group and site; `told` image_id, problem and, where it is known, unlike of each
    photo of the folder; `own` is what the members of the model say of those without a problem, [members, usable, K];
    `copies` has the photos (image_id) that are copies of one of the study (copy_of: data set and id), None where none
    was looked for; `classes` the class of each label, None where labels are classes.
    """

    labels: pd.DataFrame
    told: pd.DataFrame
    own: NDArray[np.floating]
    copies: pd.DataFrame | None
    classes: Mapping[str, str | None] | None

    def catalog(self) -> pd.DataFrame:
        """The labelled photos as a catalog has photos: those of a given group have one number."""
        problems = self.labels["image_id"].map(self.told.set_index("image_id")["problem"]).fillna("not in the folder")
        table = self.labels.assign(dataset=NEW, status=problems.where(problems != "", "ok"))
        alone = pd.Series([f"photo {n}" for n in range(len(table))], table.index)
        known = table["given_group"].where(table["given_group"] != "", alone)
        return table.assign(copies=range(len(table)), group=pd.factorize(known)[0])

    def pairs(self, datasets: Collection[str]) -> dict[str, pd.DataFrame]:
        """The copies of photos of each of these data sets of the study, as `external_photos` takes them; of all data
        sets where none is named."""
        if self.copies is None:
            return {}
        named = self.copies.assign(of=self.copies["copy_of"].str.split("/").str[0])
        return {
            str(of): part.rename(columns={"image_id": "image_id_b"})
            for of, part in named.groupby("of")
            if not datasets or of in datasets
        }

    def said(self, photos: pd.DataFrame) -> list[pd.DataFrame]:
        """What each member says of `photos` (dataset, image_id, label), a table a member."""
        usable = pd.Index(self.told.loc[self.told["problem"] == "", "image_id"])
        places = usable.get_indexer(pd.Index(photos["image_id"]))
        keys, columns = photos[[*KEYS, "label"]].reset_index(drop=True), probability_columns(self.own.shape[2])
        return [
            keys.assign(fold=member).join(pd.DataFrame(values[places].astype(np.float64), columns=columns))
            for member, values in enumerate(self.own)
        ]


def evaluate(
    model: Mapping[str, Any],
    answering: Answering,
    new: Labelled,
    own: Mapping[str, Sequence[pd.DataFrame]],
    catalogs: pd.DataFrame | None,
    asked: Asked,
) -> dict[str, Any]:
    """The scores of a model on new photos with labels: plain content for JSON.

    Args:
        model: its record.
        answering: what makes answers of what its members say.
        new: the photos.
        own: of each of its own tests that is known what each member said.
        catalogs: those of the study; None where they are not known: then there is no own test to compare with.
        asked: how scores are made.

    Returns:
        model and kind; photos, as `external_photos` tells of them, with `unlabelled`, how many of the folder have no
        label, and `compared`, whether copies were looked for; own_part, the part that the own test is; and what
        `score_external` gives.

    Raises:
        StudyError: labels that are no classes; no photo is left.
    """
    catalog = new.catalog()
    # A copy of a photo that the study only tries models on, or has in another split, is new to this model.
    datasets = {dataset for tables in own.values() for dataset in tables[0]["dataset"]}
    photos, record = external_photos(catalog, new.classes, [model["classes"]], new.pairs(datasets), PLACE)
    unlabelled = ~new.told["image_id"].isin(new.labels["image_id"])
    record |= {"unlabelled": int(unlabelled.sum()), "compared": new.copies is not None}
    part = next((part for part in ("test", "test_as_found") if part in own and len(own[part][0])), None)
    part = part if catalogs is not None else None
    unlike = None
    if "unlike" in new.told:
        unlike = new.told.set_index("image_id")["unlike"].reindex(photos["image_id"]).to_numpy(np.float64)
    scored = score_external(
        Answered(new.said(photos), answering.priors, answering.temperature),
        None if part is None else Answered(own[part], answering.priors, answering.temperature),
        answering.sets,
        pd.concat([catalog] if catalogs is None else [catalog, catalogs], ignore_index=True),
        model["classes"],
        unlike,
        asked,
    )
    return {"model": model["name"], "kind": model["kind"], "photos": record, "own_part": part, **scored}
