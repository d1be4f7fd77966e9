"""The contact sheet shows what training sees."""

import numpy as np
import pytest
import torch
from PIL import Image
from test_training import RECIPE, fold_of, photos, recipe

from manihot.networks import augment
from manihot.training import contact_sheet
from manihot.training.trainer import LabelledPhotos, Trainer

CROPS = {"horizontal_flip": True, "random_crop": 0.4, "brightness": 0.3}


@pytest.mark.parametrize(
    ("asked", "side"), [(CROPS, 16), (CROPS | {"mixup": 1.0, "cutmix": 1.0}, 24), ({"cutmix": 1.0}, 16)]
)
def test_its_cells_are_what_the_network_gets(asked, side):
    """Also of photos that training reads at a larger size than the network sees."""
    fold, gather = fold_of(photos(27, side), photos(9, side, first=100))
    seed = augment.derive(7, 0, fold.number)
    cells = contact_sheet.draws(fold, gather, asked, RECIPE.batch_size, seed, 16)
    assert cells.shape == (2, 6, 16, 16, 3) and cells.dtype == np.uint8
    known, unknown = (LabelledPhotos.of(rows, fold.labels, gather(rows)) for rows in (fold.training, fold.validation))
    # Pixels from 0 to 1, which normalisation leaves as they are.
    settings = recipe(network="small_cnn", normalisation="none", augment=asked, epochs=6)
    trainer = Trainer(settings, "unit", seed, 3, known, unknown, None, torch.device("cpu"))
    seen: list[torch.Tensor] = []
    model = trainer.model
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]) if model.training else None)
    for epoch in range(6):
        seen.clear()
        trainer.run_epoch(lambda *_: None)
        batches = np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch in seen])
        for row in range(2):
            nearest = np.abs(batches * 255 - cells[row, epoch]).max(axis=(1, 2, 3)).min()
            assert nearest <= 0.51, (row, epoch)


def test_it_has_as_many_cells_as_there_are_photos_and_epochs(tmp_path):
    path = tmp_path / "sheet.jpg"
    tones = np.arange(12, dtype=np.uint8).reshape(2, 6) * 20
    contact_sheet.write(path, np.broadcast_to(tones[:, :, None, None, None], (2, 6, 32, 32, 3)).copy())
    with Image.open(path) as sheet:
        step = contact_sheet.SIDE + contact_sheet.GAP
        assert sheet.format == "JPEG" and sheet.size == (6 * step - 2, 2 * step - 2)
        for row in range(2):
            for column in range(6):
                shown = sheet.getpixel((column * step + 48, row * step + 48))[0]
                assert abs(shown - int(tones[row, column])) <= 3
    assert path.stat().st_size < 30_000


def test_a_fold_of_one_photo_has_a_sheet_too():
    fold, gather = fold_of(photos(1), photos(9, first=100))
    assert contact_sheet.draws(fold, gather, {"mixup": 1.0}, 8, 1, 16).shape == (1, 6, 16, 16, 3)
