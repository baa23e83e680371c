"""The forward walk against the exact network, its terms against each other, and what it keeps and lets go of."""

import weakref

import pytest
import torch
from torch import nn

from features import residual
from features.engine import FastNetwork, forward
from features.engine.forward import INPUTS, OUTPUT, PARTS, Keep
from features.networks.canonical import ResidualBlock
from features.residual.lesions import changed_blocks
from tests.engine.cases import KINDS, network, pixels, preprocessing

EVERYTHING = Keep(parts=True, inputs=True)


def fast(net) -> FastNetwork:
    return FastNetwork(net, preprocessing(), torch.float32, torch.device("cpu"))


def stem_of(net: FastNetwork) -> torch.Tensor:
    return net.stem(pixels().contiguous(memory_format=torch.channels_last))


def off(values: torch.Tensor, exact: torch.Tensor) -> float:
    """How far values are from exact ones, relative to these; 0 where both are zero."""
    return float((values - exact).norm() / exact.norm().clamp_min(1e-9))


def walked(net: FastNetwork, keep: Keep) -> list[forward.Step]:
    with torch.inference_mode():
        return list(forward.steps(net.blocks(), stem_of(net), lambda index: keep))


@pytest.mark.parametrize("kind", KINDS)
def test_every_block_is_that_of_the_exact_network(kind):
    net = network(kind)
    steps = walked(fast(net), EVERYTHING)
    with torch.inference_mode():
        x = net.stem(preprocessing().scaled(pixels()))
        for step, (name, block) in zip(steps, net.blocks(), strict=True):
            shortcut, branch = block.parts(x)
            x = block(x)
            assert step.name == name
            assert off(step.parts.shortcut, shortcut) < 1e-5
            assert off(step.parts.branch, branch) < 1e-5
            assert off(step.output, x) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [PARTS, INPUTS, EVERYTHING], ids=["parts", "inputs", "both"])
def test_what_is_kept_changes_nothing_of_what_comes_out(kind, keep):
    net = fast(network(kind))
    for step, plain in zip(walked(net, keep), walked(net, OUTPUT), strict=True):
        torch.testing.assert_close(step.output, plain.output, rtol=1e-6, atol=1e-6)
        assert (plain.parts, plain.inputs) == (None, ())
        assert (step.parts is not None, bool(step.inputs)) == (keep.parts, keep.inputs)


def test_the_terms_sum_to_the_pre_activation_and_its_relu_is_the_output():
    for step in walked(fast(network()), PARTS):
        assert torch.equal(step.parts.shortcut + step.parts.branch, step.parts.total)
        assert torch.equal(step.parts.total.relu(), step.output)
        assert (step.parts.total < 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_walk_goes_on_from_any_block_and_stops_at_any(kind):
    net = fast(network(kind))
    blocks, steps = list(net.blocks()), walked(net, OUTPUT)
    with torch.inference_mode():
        for start in range(1, len(blocks)):
            x = steps[start - 1].output
            for stop in (start + 1, len(blocks)):
                found = forward.through([block for _, block in blocks[start:stop]], x)
                assert torch.equal(found, steps[stop - 1].output)
                *_, last = forward.steps(blocks[start:stop], x)
                assert torch.equal(last.output, found)


def test_the_network_itself_walks_that_way():
    net = fast(network("projection"))
    with torch.inference_mode():
        put_out = dict(net.walk(pixels().contiguous(memory_format=torch.channels_last)))
    for step in walked(net, OUTPUT):
        stage, number = step.name.split(".")
        if int(number) == len(net.stages[stage]) - 1:
            assert torch.equal(step.output, put_out[stage])


@pytest.mark.parametrize("lesion", [residual.without("layer1.1"), residual.scaled(0.5, "layer2.0")])
def test_a_block_with_a_lesion_is_walked_like_any_other(lesion):
    net = network("projection")
    blocks = changed_blocks(dict(fast(net).blocks()), lesion)
    changed = changed_blocks(dict(net.blocks()), lesion)
    with torch.inference_mode():
        found = forward.through(blocks, stem_of(fast(net)))
        x = net.stem(preprocessing().scaled(pixels()))
        for block in changed:
            x = block(x)
        assert off(found, x) < 1e-5
        assert found.is_contiguous(memory_format=torch.channels_last)


class Witness(nn.Module):
    """The first layer of a branch, which sees whether what a caller has let go of is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: weakref.ref | None = None
        self.gone: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.watched is not None:
            self.gone.append(self.watched() is None)
        return x * 2


def test_the_terms_of_a_block_are_gone_before_the_next_one_computes():
    witness = Witness()
    block = ResidualBlock(nn.Identity(), nn.Sequential(witness), nn.ReLU())
    with torch.inference_mode():
        for step in forward.steps(
            [(str(number), block) for number in range(4)], torch.ones(1, 1, 2, 2), lambda _: PARTS
        ):
            witness.watched = weakref.ref(step.parts.branch)
            del step
    assert witness.gone == [True] * 3


def test_what_is_not_a_number_is_kept_by_every_way_to_walk():
    net = network()
    with torch.no_grad():
        net.stages["layer1"][0].branch[0].weight[0, 0, 0, 0] = float("nan")
    for keep in (OUTPUT, PARTS, INPUTS, EVERYTHING):
        assert all(step.output.isnan().any() for step in walked(fast(net), keep))
