"""The networks: exact sizes, equality with the plain formulation, new last layers, features, bad input."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from manihot.core.errors import StudyError
from manihot.networks import build


def built(network="small_cnn", classes=5, size=32, dropout=0.0, weights=None, frozen=False, seed=0):
    return build.classifier(network, classes, size, dropout, weights, frozen, seed)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ("small_cnn", 13_218_309),
        ("vgg_small", 53_066_245),
        ("resnet18", 11_179_077),
        ("alexnet", 57_024_325),
        ("mobilenet_v3_small", 1_522_981),
        ("efficientnet_b0", 4_013_953),
    ],
)
def test_parameter_counts_are_the_published_ones(network, count):
    with torch.device("meta"):
        model = build.assemble(network, 5, 224, 0.3, None)
    assert build.parameter_counts(model) == {"parameters": count, "trainable": count}


@pytest.mark.parametrize("network", ["timm/tf_efficientnet_lite0", "efficientnet_b0", "swin_t"])
def test_training_leaves_out_residual_blocks(network):
    photos = torch.rand(2, 3, 64, 64)

    def twice(drop_path):
        model = build.classifier(network, 3, 64, 0.0, None, False, 1, drop_path)
        with torch.inference_mode():
            judged = model.eval()(photos)
            return torch.equal(model.train()(photos), model(photos)), judged

    (same, judged), (unlike, other) = twice(0.0), twice(0.5)
    assert (same, unlike) == (True, False)
    torch.testing.assert_close(judged, other)


@pytest.mark.parametrize("network", ["small_cnn", "resnet18", "timm/vgg11"])
def test_networks_without_such_blocks_say_so(network):
    with pytest.raises(StudyError, match=f"{network}.* drop_path|{network} has no blocks that `drop_path`"):
        build.classifier(network, 3, 64, 0.0, None, False, 1, 0.1)


def plain_small_cnn(classes, size):
    """The study's own formulation: ReLU before pooling, and the second pooling apart."""
    layers, before = [], 3
    for channels in (64, 128, 256):
        convolution = nn.Conv2d(before, channels, 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
        before = channels
    width = 256 * (size // 16) ** 2
    head = [nn.Flatten(), nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.0), nn.Linear(256, classes)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), *head)


@pytest.mark.parametrize("size", [32, 44, 53])
def test_small_cnn_is_the_plain_network(size):
    ours, plain = built(size=size, seed=3).double(), plain_small_cnn(5, size).double()
    # The parameters are in the same order, but of other names.
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    photos = torch.rand(6, 3, size, size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    targets = torch.tensor([0, 1, 2, 3, 4, 0])
    found = []
    for model in (ours.train(), plain.train()):
        logits = model(photos)
        nn.functional.cross_entropy(logits, targets).backward()
        state = model.state_dict().values()
        with torch.inference_mode():
            judged = model.eval()(photos)
        # Before batch norm a bias has no gradient but rounding; ours is not learned.
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        found.append([logits, judged, *state, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_initial_weights_follow_the_seed_and_leave_global_state_alone():
    before = torch.random.get_rng_state()
    a, b, c = built(seed=1), built(seed=1), built(seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(*(model[0].convolution.weight for model in (a, b))) and not torch.equal(
        *(m[0].convolution.weight for m in (a, c))
    )


@pytest.mark.parametrize(
    "network",
    ["resnet18", "alexnet", "mobilenet_v2", "efficientnet_b0", "squeezenet1_1", "vgg11", "densenet121",
     "convnext_tiny", "shufflenet_v2_x0_5", "mnasnet0_5", "swin_t", "vit_b_32"],
)  # fmt: skip
def test_torchvision_networks_get_a_new_last_layer(network):
    with torch.device("meta"):
        model = build.assemble(network, 7, 224, 0.4, None).eval()
        assert model(torch.empty(2, 3, 224, 224)).shape == (2, 7)
        width = build.last_layer(model)[1].weight.shape[1]
        features = build.Features(build.torchvision_network(network)).eval()
        assert features(torch.empty(2, 3, 224, 224)).shape == (2, width)
    head = model.get_submodule(build.last_layer(model)[0].split(".")[0])
    assert {module.p for module in head.modules() if isinstance(module, nn.Dropout)} == {0.4}


def test_frozen_trains_the_last_layer_alone():
    model = built("resnet18", frozen=True)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"fc.1.weight", "fc.1.bias"}
    assert build.parameter_counts(model)["trainable"] == 512 * 5 + 5


def test_features_are_everything_but_the_last_layer(tmp_path):
    torch.manual_seed(0)
    whole = build.torchvision_network("efficientnet_b0").eval()
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    features = build.feature_network("efficientnet_b0", tmp_path / "w.safetensors")
    photos = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = nn.Sequential(*list(whole.children())[:-1])(photos).flatten(1)
        assert torch.allclose(features(photos), expected, atol=1e-5)
    again = built("efficientnet_b0", weights=tmp_path / "w.safetensors")
    assert torch.equal(again.features[0][0].weight, whole.features[0][0].weight)


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(build.torchvision_network("squeezenet1_1").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(StudyError, match="does not hold the weights of resnet18"):
        built("resnet18", weights=tmp_path / "w.safetensors")
    with pytest.raises(StudyError, match="small_cnn has no published weights"):
        built("small_cnn", weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        ("resnet81", 64, "did you mean resnet18"),
        ("small_cn", 64, "did you mean small_cnn"),
        ("googlenet", 64, "none of this name"),
        ("alexnet", 32, "alexnet cannot take photos of 32 px"),
        ("vit_b_32", 96, "vit_b_32 cannot take photos of 96 px"),
    ],
)
def test_bad_networks_are_told(network, size, message):
    with pytest.raises(StudyError, match=message):
        built(network, size=size)


def test_normalisation():
    assert build.normalisation("small_cnn") == build.PIXELS
    assert build.normalisation("small_cnn", "standard") == build.IMAGENET
    assert build.normalisation("resnet18", "none") == build.PIXELS
    mean, deviation = build.normalisation("resnet18")
    assert (tuple(mean), tuple(deviation)) == build.IMAGENET
    assert tuple(build.normalisation("efficientnet_v2_l")[0]) == (0.5, 0.5, 0.5)


def test_a_backbone_that_cannot_take_a_size_is_told_so(tmp_path):
    with torch.device("meta"):
        state = build.torchvision_network("vit_b_32").state_dict()
    save_file({name: torch.zeros(value.shape) for name, value in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(StudyError, match=r"network vit_b_32 cannot take photos of 128 px \(Wrong image height"):
        build.feature_network("vit_b_32", tmp_path / "w.safetensors", 128)
