"""The two small networks of the paper."""

from itertools import pairwise

from torch import nn

from manihot.networks.blocks import Block


def small_cnn(classes: int, size: int, dropout: float) -> nn.Sequential:
    """The paper's small network: float photos [n, 3, size, size] to logits [n, classes].

    Three 3x3 convolutions (64, 128, 256), each with batch norm, ReLU and 2x2 pooling, one more 2x2 pooling,
    fully connected 256. 13,218,309 parameters at 5 classes and 224 px.
    """
    # The last block's pooling and the one after it are one.
    features = [Block(3, 64, pooling=2), Block(64, 128, pooling=2), Block(128, 256, pooling=4)]
    connected = _connected(256 * (size // 16) ** 2, 256, dropout=dropout, classes=classes)
    return nn.Sequential(*features, nn.Flatten(), *connected)


def vgg_small(classes: int, size: int, dropout: float) -> nn.Sequential:
    """The paper's larger network: four blocks (64 to 512 channels), fully connected 512 and 256.

    53,066,245 parameters at 5 classes and 224 px.
    """
    features = [Block(before, after, pooling=2) for before, after in pairwise((3, 64, 128, 256, 512))]
    connected = _connected(512 * (size // 16) ** 2, 512, 256, dropout=dropout, classes=classes)
    return nn.Sequential(*features, nn.Flatten(), *connected)


OWN = {"small_cnn": small_cnn, "vgg_small": vgg_small}


def _connected(inputs: int, *widths: int, dropout: float, classes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *widths)):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return [*layers, nn.Linear(widths[-1], classes)]
