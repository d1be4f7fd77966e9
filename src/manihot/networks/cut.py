"""A network cut in two at a layer: the lower part, which stays as it is, and the upper part, which is trained.

What passes between them (the activations at the cut) can be computed once and kept. The upper part is the network
itself, run on an empty photo whose way up to the cut costs nothing: each layer there gives zeros of the right shape,
and at the cut the activations take their place. So whatever a network does between its layers stays in its own code.
"""

import contextlib
import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean

CONTAINERS = (nn.Sequential, nn.ModuleList)


def units(model: nn.Module) -> dict[str, nn.Module]:
    """A network's layers in the order in which it holds them, by name: its children, and in place of a child that only
    holds others in a row these (`features.3`, `blocks.5`, `layer4.1`, `fc`). A child around a single stack of layers of
    one kind is what it holds, and these (`encoder.layers.encoder_layer_3` of torchvision's vision transformers)."""
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        inner = units(child) if _holds_a_stack(child) else _in_a_row(child)
        found |= {f"{name}.{place}": part for place, part in inner.items()} or {name: child}
    return found


def _in_a_row(child: nn.Module) -> dict[str, nn.Module]:
    return dict(child.named_children()) if isinstance(child, CONTAINERS) else {}


def _holds_a_stack(child: nn.Module) -> bool:
    # Layers of several rows may run side by side.
    rows = [row for row in map(_in_a_row, child.children()) if len(row) > 1]
    return not isinstance(child, CONTAINERS) and len(rows) == 1 and len(set(map(type, rows[0].values()))) == 1


class _ReachedError(Exception):
    """Ends a run of a network at the cut."""


class Lower(nn.Module):
    """A network up to its layer `first`: float photos [n, 3, h, w] to what that layer takes in, a tensor [n, ...]."""

    def __init__(self, network: nn.Module, first: str):
        super().__init__()
        self.network, self.first = network, first

    def forward(self, photos: Tensor) -> Tensor:
        """The activations at the cut."""
        taken: list[Tensor] = []

        def stop(module: nn.Module, given: tuple[Any, ...]) -> None:
            taken.extend(given)
            raise _ReachedError

        hook = self.network.get_submodule(self.first).register_forward_pre_hook(stop)
        with hook, contextlib.suppress(_ReachedError):
            self.network(photos)
        if len(taken) != 1 or not isinstance(taken[0], Tensor) or len(taken[0]) != len(photos):
            raise ValueError("what passes there is not one tensor with a row a photo")
        return taken[0]


class Upper(nn.Module):
    """A network from its layer `first` on: activations [n, ...] to logits [n, K].

    Its layers and their parameters are those of `network` itself; `shapes` are what each layer before the cut gives
    for one photo of `size` pixels.
    """

    def __init__(self, network: nn.Module, first: str, shapes: dict[nn.Module, torch.Size], size: int):
        super().__init__()
        parts = units(network).values()
        inside = {id(parameter) for part in parts for parameter in part.parameters()}
        between = [parameter for parameter in network.parameters() if id(parameter) not in inside]
        shared: dict[int, Any] = {id(part): part for part in parts if part not in shapes}
        shared |= {id(parameter): parameter for parameter in between}
        self.network = copy.deepcopy(network, {**shared, **{id(part): _Zeros(shapes[part]) for part in shapes}})
        self.first, self.size = first, size

    def forward(self, activations: Tensor) -> Tensor:
        """The logits."""
        empty = activations.new_zeros(1, 3, self.size, self.size)
        with self.network.get_submodule(self.first).register_forward_pre_hook(lambda *_: (activations,)):
            logits: Tensor = self.network(empty)
        return logits

    def whole(self, network: nn.Module, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of the `network` that was cut, with these `values` of its upper part."""
        return network.state_dict() | {name.removeprefix("network."): value for name, value in values.items()}


class _Zeros(nn.Module):
    """Zeros of one shape, which take no memory, in place of a layer."""

    def __init__(self, shape: torch.Size):
        super().__init__()
        self.shape = shape

    def forward(self, maps: Tensor, *_: Any, **__: Any) -> Tensor:
        return maps.new_zeros(()).expand(self.shape)


def split(model: nn.Module, name: str, size: int) -> tuple[Lower, Upper]:
    """Cut a network before the layer `name`, one of its `units` or a row of them (`layer4`).

    `size` is that of its photos in pixels. The network is put into eval mode, and everything before the cut is frozen:
    from then on only parameters that the upper part uses can be trained, and those are the network's own.

    Raises:
        StudyError: there is no such layer, nothing lies before it, or the network cannot be cut there.
    """
    parts = units(model)
    rows = {part.rpartition(".")[0]: part for part in reversed(parts)}
    first = name if name in parts else rows.get(name, "")
    names = [*parts, *(row for row in rows if row and row not in parts)]
    if not first:
        raise StudyError(f"train_from: the network has no layer {name}; {did_you_mean(name, names)}")
    model.eval()
    parameter = next(model.parameters())
    photos = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(parameter.device)
    lower = Lower(model, first)
    with torch.no_grad():
        shapes = _shapes(lower, parts.values(), photos[:1])
    if not shapes:
        raise StudyError(f"train_from: nothing lies before {name}: take one of {', '.join(names[1:])}")
    try:
        upper = Upper(model, first, shapes, size)
        with torch.no_grad():
            activations = lower(photos)
            whole, halves = model(photos), upper(activations.clone())
        if halves.shape != whole.shape or (halves - whole).abs().max() > 1e-3 * whole.abs().max():
            raise ValueError("the layers above take in more than passes there")
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(
            f"train_from: the network cannot be cut at {name} ({reason}): take one of {', '.join(names)}"
        ) from error
    _freeze(model, upper, activations)
    return lower, upper


def _shapes(lower: Lower, parts: Iterable[nn.Module], photo: Tensor) -> dict[nn.Module, torch.Size]:
    """What each of the layers `parts` that run before the cut gives for one photo."""
    found: dict[nn.Module, torch.Size] = {}

    def note(module: nn.Module, _: Any, made: Any) -> None:
        found[module] = made.shape if isinstance(made, Tensor) else torch.Size()

    handles = [part.register_forward_hook(note) for part in parts]
    try:
        lower(photo)
    except ValueError as error:
        raise StudyError(f"train_from: the network cannot be cut at {lower.first}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return found


def _freeze(model: nn.Module, upper: Upper, activations: Tensor) -> None:
    """Freeze each parameter of the whole network that the upper part's logits do not depend on."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    used = torch.autograd.grad(upper(activations).sum(), wanted, allow_unused=True)
    for parameter, gradient in zip(wanted, used, strict=True):
        parameter.requires_grad_(gradient is not None)
