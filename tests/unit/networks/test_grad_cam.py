"""Grad-CAM: exact where the answer is known by hand, and of what the network learned, not of the photo alone."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from manihot.networks import build
from manihot.networks.cam import cam_layer
from manihot.networks.grad_cam import grad_cam

SIDE, PATCH = 32, 12


class Tokens(nn.Module):
    """Maps [n, C, h, w] as tokens [n, prefix + h * w, C], with `prefix` tokens without a place before them."""

    def __init__(self, prefix: int):
        super().__init__()
        self.prefix = prefix

    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(1, keepdim=True).expand(-1, self.prefix, -1) * 9, tokens], dim=1)


class Mean(nn.Module):
    """The mean of the tokens [n, L, C] that have a place."""

    def __init__(self, prefix: int):
        super().__init__()
        self.prefix = prefix

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.prefix :].mean(1)


class Last(nn.Module):
    """Maps [n, C, h, w] with their channels last, and back."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


def small(seed: int, *between: nn.Module) -> nn.Sequential:
    """A network of two convolutions, whose pooled maps a linear layer weighs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        maps = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()]
        pooled = between or (nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*maps, *pooled, nn.Linear(12, 2))


def photos(seed: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a patch of stripes, across for class 0 and down for class 1: photos, classes, and where it is."""
    generator = torch.Generator().manual_seed(seed)
    shown = torch.rand(count, 3, SIDE, SIDE, generator=generator)
    classes = torch.arange(count) % 2
    places = torch.randint(0, SIDE - PATCH, (count, 2), generator=generator)
    stripes = (torch.arange(PATCH) // 2 % 2).float().expand(PATCH, PATCH)
    for photo, kind, (top, left) in zip(shown, classes, places.tolist(), strict=True):
        photo[:, top : top + PATCH, left : left + PATCH] = stripes if kind else stripes.T
    return shown, classes, places


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    model, (shown, classes, _) = small(1), photos(2, 128)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(shown), classes).backward()
        optimizer.step()
    held, wanted, _ = photos(3, 64)
    assert (model(held).argmax(1) == wanted).float().mean() > 0.9
    return model


def hits(told: np.ndarray, places: Tensor) -> float:
    """The share of photos whose strongest place lies in the patch."""
    step = SIDE // told.shape[1]
    rows, columns = np.unravel_index(told.reshape(len(told), -1).argmax(1), told.shape[1:])
    inside = [
        -step < row * step - top < PATCH and -step < column * step - left < PATCH
        for row, column, (top, left) in zip(rows, columns, places.tolist(), strict=True)
    ]
    return float(np.mean(inside))


def test_below_a_mean_and_a_linear_layer_it_is_the_class_activation_map() -> None:
    model, (shown, classes, _) = small(4), photos(5, 6)
    told = grad_cam(model, shown, classes, "3", "nchw")
    maps, last = model[:4](shown), model[-1]
    # Zhou et al. 2016: the maps, weighed by the linear layer; Grad-CAM divides by the number of places.
    exact = torch.einsum("nchw,nc->nhw", maps, last.weight[classes]).relu() / maps[0, 0].numel()
    np.testing.assert_allclose(told, exact.detach(), rtol=1e-4, atol=1e-7)
    assert told.dtype == np.float32 and told.shape == (6, 8, 8)


@pytest.mark.parametrize("prefix", [0, 1])
def test_tokens_and_channels_last_give_what_maps_give(prefix: int) -> None:
    shown, classes, _ = photos(5, 6)
    expected = grad_cam(small(4), shown, classes, "3", "nchw")
    tokens = small(4, Tokens(prefix), Mean(prefix))
    np.testing.assert_allclose(grad_cam(tokens, shown, classes, "4", "nlc"), expected, rtol=1e-4, atol=1e-7)
    # timm's networks say how many tokens come first: 81 tokens would else be taken for 9 x 9 places.
    known = small(4, Tokens(17), Mean(17))
    known.num_prefix_tokens = 17  # type: ignore[assignment]
    np.testing.assert_allclose(grad_cam(known, shown, classes, "4", "nlc"), expected, rtol=1e-4, atol=1e-7)
    last = small(4, Last(), nn.Flatten(1, 2), Mean(0))
    np.testing.assert_allclose(grad_cam(last, shown, classes, "4", "nhwc"), expected, rtol=1e-4, atol=1e-7)


def test_it_finds_what_the_class_is_told_by(trained: nn.Sequential) -> None:
    shown, classes, places = photos(6, 60)
    assert hits(grad_cam(trained, shown, classes, "3", "nchw"), places) >= 0.9


def test_random_weights_give_another_picture(trained: nn.Sequential) -> None:
    """Adebayo et al. 2018: a picture that random weights give too shows the photo, and nothing of the network."""
    shown, classes, places = photos(6, 60)
    told = grad_cam(trained, shown, classes, "3", "nchw")

    def alike(other: np.ndarray) -> float:
        """The mean rank correlation of the pictures."""
        return float(np.mean([spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(told, other, strict=True) if b.any()]))

    drawn = [grad_cam(small(seed), shown, classes, "3", "nchw") for seed in range(20, 26)]
    assert alike(told) == pytest.approx(1)
    assert np.mean([alike(other) for other in drawn]) < 0.5
    assert np.mean([hits(other, places) for other in drawn]) < 0.7
    # Of the other class it is another picture, too.
    assert alike(grad_cam(trained, shown, 1 - classes, "3", "nchw")) < 0.5


def test_work_in_place_after_the_layer_changes_nothing() -> None:
    shown, classes, _ = photos(5, 4)
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    plain, in_place = small(4, nn.Hardtanh(0, 0.2), *pooled), small(4, nn.Hardtanh(0, 0.2, inplace=True), *pooled)
    given, same = (grad_cam(model, shown, classes, "3", "nchw") for model in (in_place, plain))
    np.testing.assert_array_equal(given, same)


@pytest.mark.parametrize(("name", "size", "grid"), [("small_cnn", 32, (2, 2)), ("squeezenet1_1", 64, (3, 3))])
def test_networks_of_a_study_have_one(name: str, size: int, grid: tuple[int, int]) -> None:
    model = build.classifier(name, 3, size, 0.0, None, False, 1)
    layer = cam_layer(model, size)
    shown = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    told = grad_cam(model, shown, torch.tensor([0, 1, 2, 0]), layer["cam_layer"], layer["cam_layout"])
    assert told.shape == (4, *grid) and told.any() and np.isfinite(told).all()
    assert not any(part._forward_hooks for part in model.modules())
