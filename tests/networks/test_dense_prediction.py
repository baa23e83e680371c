"""Networks for segmentation, detection and keypoints: their bodies are read, and what uses these is left aside."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from features.networks import zoo
from tests.random_networks import Narrow, drawn

State = dict[str, Tensor]


def dilated(network: ResNet, first: str) -> ResNet:
    """The last two stages with stride 1 and gaps. first: of their first blocks, as `Architecture.first_dilation`."""
    for stage, own, before in ((network.layer3, 2, 1), (network.layer4, 4, 2)):
        for number, block in enumerate(stage):
            gaps = before if first == "previous" and number == 0 else own
            block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (gaps, gaps), (gaps, gaps)
        stage[0].downsample[0].stride = (1, 1)
    return network


def last_dilated(network: ResNet) -> ResNet:
    for block in network.layer4:
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (2, 2), (2, 2)
    network.layer4[0].downsample[0].stride = (1, 1)
    return network


def conv(name: str, outputs: int, inputs: int, side: int = 1) -> State:
    return {f"{name}.weight": torch.randn(outputs, inputs, side, side), f"{name}.bias": torch.zeros(outputs)}


def block(name: str, outputs: int, inputs: int, side: int = 1, norm: str = "1") -> State:
    """A convolution and a batch norm, in a Sequential or under the names of MMCV."""
    first, second = (f"{name}.conv", f"{name}.bn") if norm == "bn" else (f"{name}.0", f"{name}.1")
    state = {f"{first}.weight": torch.randn(outputs, inputs, side, side)}
    return state | {f"{second}.{key}": value for key, value in nn.BatchNorm2d(outputs).state_dict().items()}


def before(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def in_layer0(state: State) -> State:
    return {re.sub(r"^conv1\.", "layer0.0.", re.sub(r"^bn1\.", "layer0.1.", name)): state[name] for name in state}


def in_initial(state: State) -> State:
    return {re.sub(r"^conv1\.", "initial.0.", re.sub(r"^bn1\.", "initial.1.", name)): state[name] for name in state}


def mmseg_psp(state: State) -> State:
    pools = [block(f"decode_head.psp_modules.{number}.1", 128, 512, norm="bn") for number in range(4)]
    state = before("backbone.", state) | block("decode_head.bottleneck", 128, 1024, 3, "bn")
    for each in pools:
        state |= each
    return state | conv("decode_head.conv_seg", 19, 128) | block("auxiliary_head.convs.0", 64, 256, 3, "bn")


def uper(state: State) -> State:
    return mmseg_psp(state) | block("decode_head.lateral_convs.0", 128, 64, norm="bn")


def semseg_psp(state: State) -> State:
    state = in_layer0(state) | block("cls", 128, 1024, 3) | conv("cls.4", 19, 128) | block("aux", 64, 256, 3)
    for number in range(4):
        state |= {f"ppm.features.{number}.1.weight": torch.randn(128, 512, 1, 1)}
    return before("module.", state)


def own_psp(state: State) -> State:
    state = in_initial(state) | conv("master_branch.1", 21, 128) | block("auxiliary_branch", 64, 256, 3)
    return state | {"master_branch.0.stages.0.1.weight": torch.randn(128, 512, 1, 1)}


def smp_psp(state: State) -> State:
    state = before("encoder.", state) | block("decoder.conv", 512, 256) | conv("segmentation_head.0", 5, 512, 3)
    return state | block("decoder.psp.blocks.0.pool.1", 32, 128)


def smp_deeplab(state: State) -> State:
    state = before("encoder.", state) | block("decoder.0.convs.0", 64, 512) | block("decoder.0.convs.1", 64, 512, 3)
    return state | conv("segmentation_head.0", 5, 64)


def smp_deeplab_plus(state: State) -> State:
    return before("encoder.", state) | block("decoder.aspp.0.convs.0", 64, 512) | block("decoder.block1", 48, 64)


def keypoints(state: State) -> State:
    state = state | {"deconv_layers.0.weight": torch.randn(512, 64, 4, 4)}
    return state | before("deconv_layers.1.", nn.BatchNorm2d(64).state_dict()) | conv("final_layer", 17, 64)


def centernet(state: State) -> State:
    return keypoints(state) | conv("hm.0", 64, 64, 3) | conv("hm.2", 80, 64) | conv("wh.2", 2, 64)


def retina(state: State) -> State:
    state = state | conv("fpn.P5_1", 64, 512) | conv("fpn.P5_2", 64, 64, 3)
    return state | conv("regressionModel.conv1", 64, 64, 3) | conv("classificationModel.output", 720, 64, 3)


def detectron2(state: State) -> State:
    """Of its pyramid, one layer has the widths of a classifier."""
    names = {r"^(conv1|bn1)": r"stem.\1", r"bn(\d)": r"conv\1.norm", "downsample.0": "shortcut",
             "downsample.1": "shortcut.norm"}  # fmt: skip
    made = {}
    for name, value in state.items():
        for pattern, word in names.items():
            name = re.sub(pattern, word, name)
        made[f"backbone.bottom_up.{re.sub(r'layer(.)', lambda found: f'res{int(found[1]) + 1}', name)}"] = value
    for number in (2, 3, 4, 5):
        made |= conv(f"backbone.fpn_lateral{number}", 64, 16 << number)
    return {"model": made}  # type: ignore[dict-item]


def linknet(state: State) -> State:
    names = {r"^conv1\.": "firstconv.", r"^bn1\.": "firstbn.", r"^layer(\d)": r"encoder\1"}
    for pattern, word in names.items():
        state = {re.sub(pattern, word, name): value for name, value in state.items()}
    state = state | conv("decoder4.conv1", 128, 512) | {"decoder4.deconv2.weight": torch.randn(128, 128, 3, 3)}
    return state | conv("finaldeconv1", 64, 32, 3) | conv("finalconv3", 2, 32) | {"global_step": torch.tensor(7)}


def pyramid(state: State) -> State:
    state = before("backbone.", state) | conv("smooth1", 64, 64, 3)
    return state | conv("toplayer", 64, 512) | conv("latlayer1", 64, 256)


PLAIN, OWN, PREVIOUS = (lambda network: network), (lambda network: dilated(network, "own")), (
    lambda network: dilated(network, "previous")
)  # fmt: skip
CASES: dict[str, tuple[Callable[[State], State], Callable[[ResNet], ResNet]]] = {
    "MMSegmentation's PSPNet": (mmseg_psp, PREVIOUS),
    "MMSegmentation's UPerNet": (uper, PLAIN),
    "semseg's PSPNet": (semseg_psp, OWN),
    "a PSPNet with branches": (own_psp, OWN),
    "PSPNet of segmentation_models.pytorch": (smp_psp, PLAIN),
    "DeepLabV3 of segmentation_models.pytorch": (smp_deeplab, OWN),
    "DeepLabV3+ of segmentation_models.pytorch": (smp_deeplab_plus, last_dilated),
    "keypoints": (keypoints, PLAIN),
    "CenterNet": (centernet, PLAIN),
    "RetinaNet": (retina, PLAIN),
    "detectron2's pyramid": (detectron2, PLAIN),
    "LinkNet": (linknet, PLAIN),
    "a pyramid beside its body": (pyramid, PLAIN),
}


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_the_body_gives_the_maps_of_the_source_and_has_no_head(case, tmp_path):
    make, changed = CASES[case]
    source = changed(drawn(Narrow, block=Bottleneck, layers=[1, 1, 2, 2], num_classes=5))
    trunk = {name: value for name, value in source.state_dict().items() if not name.startswith("fc.")}
    torch.save(make(trunk), tmp_path / "net.pth")
    model = zoo.load(weights=tmp_path / "net.pth")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted = nn.Sequential(*list(source.children())[:-2])(x)
    found = dict(model.network.walk(x))["layer4"]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    assert model.spec.architecture.classes is None
    assert any("(--strides)" in guess and "(--dilation)" in guess for guess in model.spec.assumed)
