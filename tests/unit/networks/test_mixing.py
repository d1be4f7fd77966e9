"""Mixup and CutMix: what is drawn, what comes out, and the loss of two labels."""

import numpy as np
import pytest
import torch
from torch import nn

from manihot.networks.mixing import Mix, Mixing

PARTNERS = torch.tensor([2, 0, 1])
TARGETS = torch.tensor([0, 1, 2])


def photos(size=8):
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_nothing_asked_for_is_nothing_drawn():
    assert Mixing().draw(1, 1, 0, 8) is None


def test_draws_follow_from_seed_epoch_and_step():
    def drawn(*place):
        mix = Mixing(mixup=0.4).draw(*place, 8)
        return mix.share, mix.partners.tolist()

    assert drawn(5, 2, 9) == drawn(5, 2, 9)
    others = [drawn(6, 2, 9), drawn(5, 3, 9), drawn(5, 2, 10)]
    assert len({share for share, _ in [drawn(5, 2, 9), *others]}) == 4
    assert sorted(drawn(5, 2, 9)[1]) == list(range(8))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_shares_are_of_a_beta_distribution(kind, alpha):
    shares = [Mixing(**{kind: alpha}).draw(1, 1, step, 2).share for step in range(2000)]
    deviation = 0.5 / (2 * alpha + 1) ** 0.5
    assert abs(np.mean(shares) - 0.5) < 5 * deviation / 2000**0.5
    assert np.std(shares) == pytest.approx(deviation, rel=0.08)


def test_with_both_each_batch_takes_one_by_a_fair_draw():
    def boxed(mixing):
        return sum(mixing.draw(1, 1, step, 2).centre is not None for step in range(1000))

    assert abs(boxed(Mixing(1.0, 1.0)) - 500) < 80  # five standard deviations
    assert boxed(Mixing(mixup=1.0)) == 0 and boxed(Mixing(cutmix=1.0)) == 1000


def test_mixup_adds_shares_of_two_photos():
    batch = photos().contiguous(memory_format=torch.channels_last)
    mixed, own = Mix(0.7, PARTNERS).photos(batch)
    assert own == 0.7 and mixed.is_contiguous(memory_format=torch.channels_last)
    for place, partner in enumerate(PARTNERS):
        torch.testing.assert_close(mixed[place], 0.7 * batch[place] + 0.3 * batch[partner])
    assert torch.equal(batch, photos()), "the batch may be what is kept of the photos"


@pytest.mark.parametrize(("share", "centre", "rows", "columns"), [
    (0.75, (0.5, 0.5), (2, 6), (2, 6)),  # half of each side
    (0.75, (0.5, 0.0), (0, 2), (2, 6)),  # cut off above
    (0.0, (0.99, 0.99), (3, 8), (3, 8)),  # cut off in a corner
    (1.0, (0.5, 0.5), (4, 4), (4, 4)),  # nothing
])  # fmt: skip
def test_cutmix_puts_in_a_box_and_its_share_is_that_of_the_area(share, centre, rows, columns):
    batch = photos()
    mixed, own = Mix(share, PARTNERS, centre).photos(batch)
    expected = batch.clone()
    for place, partner in enumerate(PARTNERS):
        expected[place, :, slice(*rows), slice(*columns)] = batch[partner, :, slice(*rows), slice(*columns)]
    assert torch.equal(mixed, expected) and torch.equal(batch, photos())
    assert own == 1 - (rows[1] - rows[0]) * (columns[1] - columns[0]) / 64


def test_the_loss_is_that_of_both_labels_by_their_shares():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [0.0, 1.0, 3.0]])
    mix = Mix(0.7, PARTNERS)
    ours = mix.loss(nn.CrossEntropyLoss(), logits, TARGETS, 0.7)
    logs = [[x - np.log(np.exp(row).sum()) for x in row] for row in logits.tolist()]
    by_hand = -np.mean(
        [0.7 * logs[0][0] + 0.3 * logs[0][2], 0.7 * logs[1][1] + 0.3 * logs[1][0], 0.7 * logs[2][2] + 0.3 * logs[2][1]]
    )
    assert ours.item() == pytest.approx(by_hand, rel=1e-6)
    # The same as one loss of soft labels.
    soft = 0.7 * nn.functional.one_hot(TARGETS, 3) + 0.3 * nn.functional.one_hot(TARGETS[PARTNERS], 3)
    torch.testing.assert_close(ours, nn.CrossEntropyLoss()(logits, soft.float()))


def test_the_larger_part_gives_the_label_that_accuracy_is_measured_against():
    mix = Mix(0.3, PARTNERS)
    assert mix.larger(TARGETS, 0.5).tolist() == [0, 1, 2]
    assert mix.larger(TARGETS, 0.49).tolist() == [2, 0, 1]
