"""Bytes of tensors that are alive, counted by hand."""

import torch

from features.compare.live_tensors import LiveTensors

KIB = 1024


def test_memory_is_counted_once_until_it_is_let_go_of():
    with LiveTensors() as live:
        one = torch.zeros(256)
        assert live.now == KIB
        view = one.view(16, 16)[2:]
        one.add_(1)
        other = torch.ones(512, dtype=torch.float64)
        assert live.now == 5 * KIB
        del one
        assert live.now == 5 * KIB  # the view holds it
        del view
        assert live.now == 4 * KIB
    del other
    assert (live.now, live.peak) == (0, 5 * KIB)


def test_what_was_there_before_adds_nothing():
    before = torch.zeros(256)
    with LiveTensors() as live:
        view = before.detach().reshape(2, 128)
        assert live.now == 0
        copy = view.clone()
        assert live.now == KIB
    del copy


def test_a_peak_begins_where_it_is_told_to():
    with LiveTensors() as live:
        kept = torch.zeros(256)
        large = torch.zeros(2560)
        del large
        live.begin_peak()
        small = kept + 1
        del small
    assert live.peak == 2 * KIB


def test_layers_hold_what_they_are_given_and_what_they_make():
    layer, relu = torch.nn.Conv2d(4, 8, 1, bias=False), torch.nn.ReLU(inplace=True)
    x = torch.zeros(2, 4, 8, 8)  # 2 KiB
    with LiveTensors() as live, torch.inference_mode():
        y = relu(layer(x))  # 4 KiB
        z = layer(y[:, :4])  # 4 KiB
    assert live.peak >= 8 * KIB
    assert live.now == 8 * KIB
    del y, z
    assert live.now == 0


def test_tensors_without_numbers_take_no_memory():
    with LiveTensors() as live:
        torch.zeros(256, device="meta") + 1
    assert live.peak == 0
