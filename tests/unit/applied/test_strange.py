"""Strange pictures are drawn the same again, and a backbone says of each how unlike it is."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from manihot.applied import strange
from manihot.applied.photos import Seen
from manihot.applied.unlike import Reference
from manihot.core.gpus import Compute


@pytest.mark.parametrize("kind", strange.KINDS)
def test_pictures_follow_from_the_seed(kind):
    [one], [again], [other] = (list(strange.drawn(kind, 24, seed)) for seed in (1, 1, 2))
    assert one.shape == (strange.DRAWN, 24, 24, 3) and one.dtype == np.uint8
    assert (one == again).all() and (one != other).any()
    assert len({picture.tobytes() for picture in one}) == strange.DRAWN


def test_textures_are_smooth_and_noise_is_not():
    steps = {
        kind: np.abs(np.diff(next(strange.drawn(kind, 64, 1)).astype(int), axis=1)).mean() for kind in strange.KINDS
    }
    assert steps["noise"] > 70 > 20 > steps["textures"] > 1


def test_photos_are_opened_and_damaged_ones_left_out(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for n in (0, 2):
        Image.new("RGB", (40, 30), (80 * n, 0, 0)).save(paths[n])
    paths[1].write_bytes(b"no image")
    batches = list(strange.opened(paths, Seen(16, "exact"), 2, 1, 10**6))
    assert [len(batch) for batch in batches] == [1, 1] and batches[1][0, 0, 0].tolist() == [160, 0, 0]


def test_how_unlike_they_are_is_told_of_each_kind():
    seen = Seen(8, "exact")

    def features(pixels, computing):
        return pixels[seen].reshape(len(pixels[seen]), -1)[:, :4].astype(np.float32)

    reference = Reference.of(np.random.default_rng(1).uniform(1, 9, (30, 4)), np.arange(30))
    pixels = np.random.default_rng(2).integers(1, 9, (5, 8, 8, 3), dtype=np.uint8)
    kinds = {"two batches": iter([pixels[:3], pixels[3:]]), "one": iter([pixels]), "none": iter([])}
    backbone = SimpleNamespace(seen=seen, features=features)
    found = strange.how_unlike(reference, backbone, kinds, 4, Compute("cpu"))
    assert (found["two batches"] == found["one"]).all() and len(found["none"]) == 0
    assert (found["one"] == reference.unlike(features({seen: pixels}, None))).all()
