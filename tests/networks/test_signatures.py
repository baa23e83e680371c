"""What is known by what a file is of: networks whose layout tells what their tensors do not."""

from functools import partial

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, GroupNormAct, StdConv2d, create_conv2d
from timm.models.resnetv2 import ResNetV2
from torchvision.models.segmentation import fcn_resnet50

from features.errors import WeightsError
from features.networks import checkpoint, filling
from tests.random_networks import drawn, randomise

pytestmark = pytest.mark.slow

KINDS = {
    "Big Transfer": {
        "stem_type": "fixed", "conv_layer": partial(StdConv2d, eps=1e-8),
        "norm_layer": partial(GroupNormAct, num_groups=32),
    },
    "v2-D": {"stem_type": "deep", "avg_down": True, "conv_layer": create_conv2d, "norm_layer": BatchNormAct2d},
    "v2-D with group norms": {
        "stem_type": "deep", "avg_down": True, "conv_layer": create_conv2d,
        "norm_layer": partial(GroupNormAct, num_groups=32),
    },
}  # fmt: skip
TOLD = {"Big Transfer": {"standardised", "stem_pool"}}


@pytest.mark.parametrize("kind", KINDS)
def test_timms_second_residual_networks_are_read_from_their_tensors(kind, tmp_path):
    source = randomise(ResNetV2(layers=[1, 1, 1, 1], num_classes=5, **KINDS[kind])).eval()
    torch.save(source.state_dict(), tmp_path / "net.pth")
    file = checkpoint.read(tmp_path / "net.pth")
    network = filling.load(file, file.inferred.architecture)
    assert not TOLD.get(kind, {"shortcut_pool"}) & {choice.field for choice in file.inferred.untold}
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = source(x)
        torch.testing.assert_close(network(x), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_the_dilated_body_of_a_network_for_segmentation_is_told_by_the_head_beside_it(tmp_path):
    source = drawn(fcn_resnet50, weights=None, weights_backbone=None, aux_loss=True)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    file = checkpoint.read(tmp_path / "net.pth")
    network = filling.load(file, file.inferred.architecture)
    assert not {"strides", "dilations"} & {choice.field for choice in file.inferred.untold}
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(dict(network.walk(x))["layer4"], source.backbone(x)["out"])


def test_timms_networks_of_ones_own_blocks_are_refused_by_name(tmp_path):
    source = timm.create_model("resnet32ts", num_classes=5)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="byobnet"):
        _ = checkpoint.read(tmp_path / "net.pth").inferred
