"""What work of channels costs, and what tells it from other work."""

import pytest

from viz.cached import channels


@pytest.fixture
def passes(monkeypatch):
    """The passes through the network that were reckoned with."""
    reckoned = []

    def queue_of(model, images, passes=1):
        reckoned.append(passes)
        return "short"

    monkeypatch.setattr(channels, "queue_of", queue_of)
    return reckoned


def test_layers_are_the_stem_and_every_block_and_know_how_many_channels_they_have(tiny_model):
    layers = channels.layers_of(tiny_model)
    assert layers == ("stem", *(name for name, _ in tiny_model.network.blocks()))
    assert channels.n_channels(tiny_model, layers[-1]) == tiny_model.spec.architecture.features


def test_a_channel_costs_the_passes_through_what_lies_above_it(tiny_model, tiny_images, passes):
    layers = channels.layers_of(tiny_model)
    for layer in (layers[0], layers[-1]):
        channels.sweep_work(tiny_model, tiny_images, layer, (0, 1))
    channels.sweep_work(tiny_model, tiny_images, layers[0])
    n = len(layers)
    count = channels.n_channels(tiny_model, "stem")
    above = (n - 1) / n
    assert passes == pytest.approx([1 + 2 * above, 1 + 2 * channels.HEAD, 1 + count * above])


def test_sweeps_of_other_channels_and_layers_are_other_work(tiny_model, tiny_images):
    made = [("stem", (1,)), ("stem", (2,)), ("stem", ()), ("layer1.0", (1,))]
    keys = [channels.sweep_work(tiny_model, tiny_images, *each).key for each in made]
    keys.append(channels.responses_work(tiny_model, tiny_images).key)
    assert len({*keys}) == len(keys)
