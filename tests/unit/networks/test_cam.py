"""The layer of a Grad-CAM: it is there, and gives maps or tokens. (timm's networks are in test_timm.py.)"""

import pytest
from maps import shape_of

from manihot.networks import build
from manihot.networks.cam import cam_layer

CLASSES = 3


@pytest.mark.parametrize(
    ("name", "size", "layer", "channels"),
    [
        ("small_cnn", 32, "2", 256),
        ("vgg_small", 32, "3", 512),
        ("resnet18", 64, "layer4", 512),
        ("efficientnet_b0", 64, "features", 1280),
        ("mobilenet_v2", 64, "features", 1280),
        ("densenet121", 64, "features", 1024),
        ("shufflenet_v2_x0_5", 64, "conv5", 1024),
        ("squeezenet1_1", 64, "classifier.2", CLASSES),
        ("alexnet", 64, "features", 256),
        ("swin_t", 64, "permute", 768),
        ("convnext_tiny", 64, "features", 768),
    ],
)
def test_the_layer_of_a_grad_cam_in_other_networks(name: str, size: int, layer: str, channels: int) -> None:
    model = build.classifier(name, CLASSES, size, 0.0, None, False, 1).train()
    assert cam_layer(model, size) == {"cam_layer": layer, "cam_layout": "nchw"}
    assert model.training and not any(part._forward_hooks for part in model.modules())
    shape = shape_of(model, layer, size)
    assert len(shape) == 4 and shape[1] == channels


def test_torchvisions_vit_has_tokens() -> None:
    model = build.classifier("vit_b_32", CLASSES, 224, 0.0, None, False, 1)
    assert cam_layer(model, 224) == {"cam_layer": "encoder.layers.encoder_layer_11.ln_1", "cam_layout": "nlc"}
    assert shape_of(model, "encoder.layers.encoder_layer_11.ln_1", 224) == (2, 50, 768)
