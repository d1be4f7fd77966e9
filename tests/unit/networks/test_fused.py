"""Batch norms in convolutions: the same answers from fewer layers, and networks that it does not suit stay as they are."""

import pytest
import torch
from torch import Tensor, nn

from manihot.networks import build
from manihot.networks.fused import fused


def norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


def seasoned(name: str) -> nn.Module:
    """A network whose batch norms have statistics that are no identity."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build.published_network(name)
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.running_mean, -0.5, 0.5)
                nn.init.uniform_(part.running_var, 0.5, 2)
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.uniform_(part.bias, -0.5, 0.5)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "left"), [("resnet18", 0), ("timm/tf_efficientnet_lite0", 0), ("timm/mobilenetv4_conv_small", 0)]
)
def test_the_answers_are_the_same_without_batch_norms(name: str, left: int) -> None:
    model = seasoned(name)
    before, photos = norms(model), torch.rand(2, 3, 96, 96)
    made = fused(model)
    assert norms(made) == left and norms(model) == before > 5
    with torch.inference_mode():
        exact = model(photos)
        assert exact.std() > 1e-3
        torch.testing.assert_close(made(photos), exact, atol=1e-4 * float(exact.abs().max()), rtol=1e-4)


class Twice(nn.Module):
    """What a convolution gives is used beside its batch norm, and nothing here can be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        nn.init.constant_(self.norm.running_mean, 1.0)

    def forward(self, photos: Tensor) -> Tensor:
        if photos.sum() < -1e9:
            return photos
        made = self.convolution(photos)
        return (self.norm(made) + made).mean((2, 3))


class Again(nn.Module):
    """A convolution and its batch norm run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        nn.init.constant_(self.norm.running_mean, 1.0)

    def forward(self, photos: Tensor) -> Tensor:
        if photos.sum() < -1e9:
            return photos
        return self.norm(self.convolution(self.norm(self.convolution(photos)))).mean((2, 3))


@pytest.mark.parametrize("kind", [Twice, Again])
def test_what_has_another_use_is_left_alone(kind: type[nn.Module]) -> None:
    model = kind().eval()
    made, photos = fused(model), torch.rand(2, 3, 8, 8)
    assert norms(made) == 1 and made is not model
    with torch.inference_mode():
        assert made(photos).equal(model(photos))
