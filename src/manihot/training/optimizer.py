"""Which weights learn how fast, and the running average of weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn, optim
from torch.optim.swa_utils import get_ema_multi_avg_fn

from manihot.networks.cut import units
from manihot.training.recipe import Recipe


def optimizer(recipe: Recipe, model: nn.Module) -> optim.Optimizer:
    """Adam or AdamW over the parameters of `model` that can be trained, in `groups`."""
    kind = {"adam": optim.Adam, "adamw": optim.AdamW}[recipe.optimizer]
    return kind(groups(recipe, model), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def groups(recipe: Recipe, model: nn.Module) -> list[dict[str, Any]]:
    """The parameters that can be trained, as groups with `scale` (of the learning rate) and `weight_decay`.

    The last layer learns at the whole rate, each one below it at `layer_decay` times that of the one above (Clark et
    al. 2020, arXiv 2003.10555; Bao et al. 2022, arXiv 2106.08254). A layer is one of `cut.units` with its weights;
    one of vectors alone (norms) goes with the one before it, and what lies in no unit (a class token, positions) with
    the first. Without `decay_norms` no vector (norms, biases) is pulled to zero.
    """
    depths, top = _depths(model)
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = 1.0 if recipe.layer_decay == 1 else recipe.layer_decay ** (top - depths.get(_unit(name, depths), 0))
            spared = parameter.ndim <= 1 and not recipe.decay_norms
            found.setdefault((scale, 0.0 if spared else recipe.weight_decay), []).append(parameter)
    return [{"params": some, "scale": scale, "weight_decay": decay} for (scale, decay), some in found.items()]


def _depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """The depth of each unit that has parameters, from 0 for the first, and the depth of the last."""
    depths: dict[str, int] = {}
    depth = -1
    for name, unit in units(model).items():
        shapes = [parameter.ndim for parameter in unit.parameters()]
        if shapes:
            depth += depth < 0 or max(shapes) > 1
            depths[name] = depth
    return depths, max(depth, 0)


def _unit(parameter: str, depths: Mapping[str, int]) -> str:
    """The name of the unit that a parameter lies in; empty where it lies in none."""
    return next((name for name in depths if parameter.startswith(f"{name}.")), "")


class Average:
    """The exponential moving average of a network's weights, its running statistics among them.

    After step t, from 1, an average keeps min(decay, t / (9 + t)) of itself: early on, when weights move most, it
    follows them (as TensorFlow's ExponentialMovingAverage does with `num_updates`).
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps, counted from 1; what is no real number (counts) is copied."""
        state = model.state_dict()
        real = [name for name, value in state.items() if value.is_floating_point()]
        kept = min(self.decay, step / (9 + step))
        get_ema_multi_avg_fn(kept)([self.values[name] for name in real], [state[name] for name in real], None)
        for name in state.keys() - set(real):
            self.values[name].copy_(state[name])

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from these values."""
        for name, value in values.items():
            self.values[name].copy_(value)
