"""A network's layers in their order, by the names that a study may use."""

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList)


def units(model: nn.Module) -> dict[str, nn.Module]:
    """A network's parts in the order in which it holds them, by name: its children, and in place of a child that only
    holds others in a row these (`features.3`, `blocks.5`, `layer4.1`, `fc`)."""
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        if isinstance(child, CONTAINERS):
            found |= {f"{name}.{place}": part for place, part in child.named_children()}
        else:
            found[name] = child
    return found
