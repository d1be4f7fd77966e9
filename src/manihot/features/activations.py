"""The activations of a frozen lower part: each photo runs through it once a view, and what comes out is kept."""

import io
import logging
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from manihot.core import arrays, files
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.networks import augment, build
from manihot.networks import device as machine
from manihot.networks.activations import Activations, rows_of
from manihot.networks.batches import Batches, Photos
from manihot.networks.build import Input
from manihot.networks.cut import Lower, split

log = logging.getLogger(__name__)
# Photos a batch, and photos between two savings: no settings, so that all experiments of a cut share its files.
BATCH, BLOCK = 32, 512
STEM = "activations"
# What rounding to 16 bits may take of a block: some 2e-4 where the numbers are neither tiny nor huge.
MOST_LOST = 1e-3


@dataclass(frozen=True)
class Cut:
    """A network with the file of its weights, and the layer `train_from` before which it is cut."""

    input: Input
    weights: Path
    train_from: str

    def load(self, device: torch.device) -> Lower:
        """The part below the cut, in eval mode, on `device`."""
        seen = self.input
        # The last layer, which is drawn anew, is above every cut.
        model = build.classifier(seen.network, 2, seen.size, 0.0, self.weights, False, 0).to(device)
        return split(model, self.train_from, seen.size)[0]


def store(
    state: State,
    cut: Cut,
    catalog: pd.DataFrame,
    gather: Callable[[pd.DataFrame], Photos],
    view: str,
    compute: Compute,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Activations at a cut of every photo of one data set's catalog in one view; returns what it cost.

    `gather` gives the pixels, uint8 [n, size, size, 3], of rows of the catalog. Writes activations.npy, float16
    [N, *row] in the catalog's order with zeros for photos that were set aside (rows as `activations.rows_of` makes
    them), and its manifest activations.json to the state's folder. Goes on after the blocks that are there.

    Raises:
        StudyError: weights of another network, no such layer, damaged pixels, activations that float16 cannot hold, or
            a disk with less room than they take.
    """
    torch.set_num_threads(compute.threads)
    usable, path = np.flatnonzero(catalog["status"] == "ok"), state.folder / f"{STEM}.npy"
    with machine.choose(compute) as chosen:
        dtype = machine.precision(compute.precision, chosen)
        lower, channels = cut.load(chosen), cut.input.channels()

        def run(rows: pd.DataFrame) -> NDArray[np.float16]:
            made = forward(lower, Batches(gather(rows), chosen, channels), view, dtype)
            lost = (made.half().float() - made).norm() / made.norm()
            if not lost < MOST_LOST:
                raise StudyError(
                    f"{cut.input.network} gives activations at {cut.train_from} that 16 bits cannot hold: set "
                    "train_from to another layer"
                )
            return rows_of(made)

        row = run(catalog.iloc[usable[:1]]).shape[1:]
        shape = (len(catalog), *row)
        told = f"{np.prod(shape) * 2 / 1e9:.2f} GB"
        log.info("%d photos of %s numbers take %s a view", len(catalog), " x ".join(map(str, row)), told)
        done, checksums = _begun(state, path, shape, told, usable)
        stored = np.lib.format.open_memmap(path, mode="r+")
        # Whole batches a block, so that a photo's neighbours do not depend on where a run was cut.
        for start in range(done, len(usable), BLOCK):
            index = usable[start : start + BLOCK]
            made = run(catalog.iloc[index])
            stored[index] = made
            stored.flush()
            checksums[index] = [zlib.crc32(row) for row in made]
            _note(state, start + len(index), checksums)
            progress(start + len(index), len(usable), told)
        cost = machine.costs(chosen, dtype)
    record = {
        **cut.input.record(cut.weights),
        "train_from": cut.train_from,
        "precision": cost["precision"],
        "weights": {"path": str(cut.weights), "sha256": files.sha256(cut.weights)},
    }
    about = {"dataset": str(catalog["dataset"].iloc[0]), "view": view, "cut": record}
    arrays.write_manifest(path, shape, catalog["image_id"].tolist(), checksums.tolist(), about)
    return {"photos": len(usable), **cost}


@torch.inference_mode()
def forward(lower: Lower, batches: Batches, view: str, dtype: torch.dtype) -> Tensor:
    """Activations of all photos of `batches` in one view, float32 [n, ...]; convolutions in `dtype`."""
    with torch.autocast(batches.device.type, dtype, enabled=dtype != torch.float32):
        return batches.outputs(lambda photos: lower(augment.view(photos, view)).float(), BATCH)


def _begun(
    state: State, path: Path, shape: tuple[int, ...], told: str, usable: NDArray[np.intp]
) -> tuple[int, NDArray[np.uint32]]:
    """How many of the `usable` photos an earlier run has done in the array at `path`, and all rows' checksums so far;
    where there is no such run, or what it left is damaged, the array is made, of zeros."""
    kept = state.load(f"{STEM}.done") if path.is_file() else None
    if kept is not None:
        done, *checksums = np.load(io.BytesIO(kept)).tolist()
        if _intact(path, shape, usable[:done], checksums):
            return done, np.array(checksums, np.uint32)
        log.warning("%s is damaged and not used: this work starts again", path)
    nbytes = 2 * int(np.prod(shape))
    free = shutil.disk_usage(state.folder).free
    if free < nbytes:
        raise StudyError(
            f"the activations take {told} a view and {state.folder} has {free / 1e9:.2f} GB left: free some, "
            "take fewer views, or set train_from to a layer further up"
        )
    zeros = bytes(2 * int(np.prod(shape[1:])))
    with files.atomic(path) as temporary, temporary.open("wb") as handle:
        # Zeros are written before the file is mapped: a full disk is then an error with a name.
        handle.write(arrays.header(shape, Activations.dtype))
        for _ in range(shape[0]):
            handle.write(zeros)
    return 0, np.full(shape[0], zlib.crc32(zeros), np.uint32)


def _intact(path: Path, shape: tuple[int, ...], rows: NDArray[np.intp], checksums: Sequence[int]) -> bool:
    """Whether an array is of this shape and these rows of it have their checksums."""
    try:
        stored = np.load(path, mmap_mode="r")
    except ValueError:  # cut off, or a header that is none
        return False
    return stored.shape == shape and all(zlib.crc32(stored[row].data) == checksums[row] for row in rows)


def _note(state: State, done: int, checksums: NDArray[np.uint32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([done, *checksums.tolist()], np.int64))
    files.sync(state.folder / f"{STEM}.npy")
    state.save(f"{STEM}.done", buffer.getvalue())


def gather(photos: pd.DataFrame, stored: Sequence[str | PathLike[str]], views: Sequence[str]) -> Activations:
    """The stored activations of `photos` (columns dataset, image_id) in `views`, in order, each row checked once.

    `stored` are the arrays of the data sets and views that there are.

    Raises:
        StudyError: an array is missing, damaged (one wrong byte is noticed), or does not hold a photo.
    """
    manifests = {(m["dataset"], m["view"]): (path, m) for path in stored for m in [arrays.read_manifest(path)]}
    row = tuple(next(iter(manifests.values()))[1]["shape"][1:])
    found = Activations(len(photos), views, row)
    for dataset, places in photos.reset_index(drop=True).groupby("dataset").indices.items():
        for number, view in enumerate(views):
            if (dataset, view) not in manifests:
                raise StudyError(f"there are no stored activations of {dataset} in the view {view}: run again")
            path, manifest = manifests[dataset, view]
            rows = pd.Index(manifest["image_ids"], dtype="str").get_indexer(photos["image_id"].iloc[places])
            if (rows < 0).any():
                lost = photos["image_id"].iloc[places[rows < 0][0]]
                raise StudyError(f"{path} does not hold the photo {lost}: {arrays.mend(path)}")
            array = arrays.open_array(path, manifest, Activations.dtype, row)
            arrays.check_rows(path, manifest, rows, (array[row] for row in rows))
            found.add(number, array, places, rows)
    return found
