"""Networks in two parts: together they are the whole, whatever network; what is frozen, and what a mistake says."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from manihot.core.errors import StudyError
from manihot.networks import build, cut
from manihot.networks.activations import ActivationBatches, Activations, rows_of
from manihot.networks.augment import DrawnViews, Views

CPU = torch.device("cpu")
CUTS = {
    "mobilenet_v2": "features.14", "mobilenet_v3_small": "features.9", "resnet18": "layer4", "efficientnet_b0": "features.6",
    "convnext_tiny": "features.6", "swin_t": "features.6", "squeezenet1_1": "features.9", "densenet121": "features.denseblock4",
    "shufflenet_v2_x0_5": "stage4", "regnet_y_400mf": "trunk_output.block3", "mnasnet0_5": "layers.12",
    "timm/tf_efficientnet_lite0": "blocks.5", "timm/mobilenetv4_conv_small": "blocks.4", "timm/convnext_atto": "stages.3",
    "timm/vit_tiny_patch16_224": "blocks.9", "timm/resnet18": "layer4",
}  # fmt: skip


def network(name, size=64):
    return build.classifier(name, 5, size, 0.0, None, False, 0)


def seen(size=64, n=3):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CUTS)
def test_both_parts_together_are_the_network(name):
    model = network(name)
    lower, upper = cut.split(model, CUTS[name], 64)
    with torch.inference_mode():
        assert torch.allclose(upper(lower(seen())), model(seen()), atol=1e-6)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    below = list(cut.units(model))
    first = next(place for place, unit in enumerate(below) if f"{unit}.".startswith(f"{CUTS[name]}."))
    assert trained and all(any(name.startswith(f"{unit}.") for unit in below[first:]) for name in trained)
    assert f"{build.last_layer(model)[0]}.weight" in trained


def timm_like():
    """What timm's vision transformers do between their layers: a class token and positions are put in, one read out."""

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch_embed = nn.Conv2d(3, 16, 16, 16)
            self.cls_token, self.pos_embed = nn.Parameter(torch.rand(1, 1, 16)), nn.Parameter(torch.rand(1, 17, 16))
            layers = (nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True) for _ in range(4))
            self.blocks = nn.Sequential(*layers)
            self.norm, self.unused, self.head = nn.LayerNorm(16), nn.Linear(16, 3), nn.Linear(16, 5)

        def forward(self, photos):
            tokens = self.patch_embed(photos).flatten(2).mT
            tokens = torch.cat([self.cls_token.expand(len(photos), -1, -1), tokens], 1) + self.pos_embed
            return self.head(self.norm(self.blocks(tokens))[:, 0])

    return Transformer()


def torchvision_vit():
    """torchvision's vision transformer, a small one; its last layer starts at zero, where every cut would seem right."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VisionTransformer(32, 16, num_layers=4, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
        nn.init.normal_(model.heads.head.weight)
        nn.init.normal_(model.encoder.pos_embedding)
    return model


@pytest.mark.parametrize(("name", "first"), [
    ("encoder.layers.encoder_layer_2", "encoder.layers.encoder_layer_2"), ("encoder.ln", "encoder.ln"), ("heads", "heads.head"),
    ("encoder.layers", "encoder.layers.encoder_layer_0"), ("encoder", "encoder.dropout"),
])  # fmt: skip
def test_the_layers_of_torchvisions_transformers_can_be_cut_at(name, first):
    model = torchvision_vit()
    layers = [f"encoder.layers.encoder_layer_{place}" for place in range(4)]
    known = ["conv_proj", "encoder.dropout", *layers, "encoder.ln", "heads.head"]
    assert list(cut.units(model)) == known
    lower, upper = cut.split(model, name, 32)
    assert lower.first == first
    with torch.inference_mode():
        assert torch.allclose(upper(lower(seen(32))), model(seen(32)), atol=1e-5)
        assert model(seen(32)).std() > 0.1
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    above = known[known.index(first) :]
    # The class token and the positions come in below all of these.
    expected = {name for name, _ in model.named_parameters() if name.startswith(tuple(f"{unit}." for unit in above))}
    assert trained == expected
    held = {id(parameter) for parameter in upper.parameters()}
    assert held >= {id(model.get_parameter(name)) for name in trained}


def test_what_lies_around_a_stack_is_above_the_cut_where_it_comes_after_it():
    class Tower(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.scale = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3))), nn.Parameter(torch.ones(4))

        def forward(self, maps):
            return self.layers(maps) * self.scale

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.tower, self.head = nn.Conv2d(3, 4, 16, 16), Tower(), nn.Linear(4, 5)

        def forward(self, photos):
            return self.head(self.tower(self.first(photos).mean((2, 3))))

    model = Network()
    _, upper = cut.split(model, "tower.layers.1", 64)
    # A step of the upper part is one of the network's own.
    assert upper.network.tower.scale is model.tower.scale and model.tower.scale.requires_grad
    assert not model.tower.layers[0].weight.requires_grad


def test_layers_side_by_side_are_one():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = (nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 1)) for _ in range(2))

    class Short(nn.Module):
        def __init__(self):
            super().__init__()
            self.row = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    model = nn.ModuleDict({"a": Branches(), "b": Short()})
    assert list(cut.units(model)) == ["a", "b"]


def test_what_lies_between_layers_is_below_the_cut_where_it_comes_before_it():
    model = timm_like()
    lower, upper = cut.split(model, "blocks.2", 64)
    with torch.inference_mode():
        assert lower(seen()).shape == (3, 17, 16)
        assert torch.allclose(upper(lower(seen())), model(seen()), atol=1e-6)
    trained = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    # The unused layer is nobody's, and not trained either.
    assert trained == {"blocks", "norm", "head"}
    assert not model.blocks[1].linear1.weight.requires_grad and model.blocks[2].linear1.weight.requires_grad


def test_the_upper_parts_layers_are_the_networks_own():
    model = network("mobilenet_v2")
    _, upper = cut.split(model, "features.17", 64)
    assert upper.network.get_submodule("features.17") is model.get_submodule("features.17")
    assert sum(p.numel() for p in upper.parameters()) < sum(p.numel() for p in model.parameters()) * 0.6
    values = {name: value + 1 for name, value in upper.state_dict().items()}
    whole = upper.whole(model, values)
    assert whole.keys() == model.state_dict().keys()
    changed = {name for name, value in model.state_dict().items() if not value.equal(whole[name])}
    assert changed == {name.removeprefix("network.") for name in values}
    upper.train()
    assert model.get_submodule("features.17").training and not model.get_submodule("features.16").training


def two_ways():
    class TwoWays(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(8, 5)

        def forward(self, photos):
            below = self.first(photos)
            return self.head(torch.cat([self.second(below), below], 1).mean((2, 3)))

    return TwoWays()


@pytest.mark.parametrize(("model", "name", "line"), [
    ("mobilenet_v2", "feature.14", "train_from: the network has no layer feature.14; did you mean features.14?"),
    ("mobilenet_v2", "blocks", "the network has no layer blocks; "),
    ("mobilenet_v2", "features.0", "train_from: nothing lies before features.0"),
    ("mobilenet_v2", "features", "train_from: nothing lies before features"),
    (two_ways, "second", "train_from: the network cannot be cut at second ("),
    (two_ways, "first", "nothing lies before first"),
])  # fmt: skip
def test_what_cannot_be_cut_is_said_in_a_line(model, name, line):
    with pytest.raises(StudyError) as caught:
        cut.split(network(model) if isinstance(model, str) else model(), name, 64)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def stored(n=6, shape=(8, 3, 2)):
    """Activations of `n` photos in two views from two arrays, and their values float32 [n, 2, *shape]."""
    values = torch.rand(n, 2, *shape, generator=torch.Generator().manual_seed(2)).half()
    rows = [rows_of(values[:, view].float()) for view in range(2)]
    found = Activations(n, ["identity", "hflip"], rows[0].shape[1:])
    order = np.arange(n)
    for view in range(2):
        found.add(view, rows[view][::-1], order[: n // 2], n - 1 - order[: n // 2])
        found.add(view, rows[view], order[n // 2 :], order[n // 2 :])
    return found, values.float()


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("shape", [(8, 3, 2), (5, 4), (7,)])
def test_batches_are_the_photos_activations_in_their_views(monkeypatch, resident, shape):
    monkeypatch.setattr("manihot.networks.activations.fits", lambda *_: resident)
    known, values = stored(shape=shape)
    batches = ActivationBatches(known, CPU)
    assert (batches.resident is not None) == resident and len(batches) == 6
    order, which = np.array([4, 0, 3, 5, 1]), np.array([0, 1, 1, 0, 0, 1])
    for changes, views in ((None, [0] * 5), (Views(which), which[order])):
        made = list(batches(order, 2, changes))
        assert [len(index) for _, index in made] == [2, 2, 1]
        assert torch.cat([index for _, index in made]).tolist() == order.tolist()
        assert torch.cat([maps for maps, _ in made]).equal(values[order, views])
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps, _ in made if len(shape) == 3)
    assert batches.outputs(lambda maps: maps, 4, batches.in_view("hflip")).equal(values[:, 1])
    assert known.nbytes == values.numel() * 2


def test_a_view_is_drawn_for_each_photo_and_epoch_from_their_hash_alone():
    keys = np.arange(4000, dtype=np.uint64)
    drawn = DrawnViews(4).draw(keys, 3, 1).which
    assert np.bincount(drawn) == pytest.approx([1000] * 4, abs=120)
    assert DrawnViews(4).draw(keys[::-7], 3, 1).which.tolist() == drawn[::-7].tolist()
    for seed, epoch in ((3, 2), (4, 1)):
        assert (DrawnViews(4).draw(keys, seed, epoch).which == drawn).mean() == pytest.approx(0.25, abs=0.04)
    assert DrawnViews(1).draw(keys, 3, 1) is None
