"""Image sets decoded ahead, batch by batch."""

from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest

from features.datasets import decoding
from features.networks import catalogue
from features.networks.preprocessing import Preprocessing


class AtOnce(Executor):
    """Does what it is given while it is given it, as a pool of threads would that is never short of time."""

    def __init__(self, *_, **__):
        pass

    def submit(self, work, /, *arguments):
        future = Future()
        future.set_result(work(*arguments))
        return future


def test_two_batches_are_decoded_ahead_and_no_more(tiny_images, monkeypatch):
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", AtOnce)
    opened = []

    def opener(index):
        opened.append(index)
        return tiny_images.open(index)

    stream = decoding.batches(replace(tiny_images, opener=opener), catalogue.CIFAR_PREPROCESSING, 2)
    assert opened == []
    for taken in (1, 2):
        next(stream)
        assert opened == list(range(2 * (taken + decoding.AHEAD)))
    stream.close()
    assert len(opened) == 2 * (2 + decoding.AHEAD)


@pytest.mark.parametrize(("side", "size"), [(224, 32), (32, 256), (8, 256), (448, 16), (1000, 16)])
def test_batches_hold_as_many_pixels_as_32_images_of_224_within_limits(side, size):
    preprocessing = Preprocessing(side, side, (0.0,), (1.0,))
    assert decoding.batch_size(preprocessing) == size
    assert decoding.batch_size(preprocessing, "cuda:0") == 8 * size


def test_pictures_that_cannot_be_read_are_shown_as_grey_squares(tiny_folder, tiny_images):
    (tiny_folder / tiny_images.ids[1]).unlink()
    good, bad = decoding.pictures(tiny_images, [0, 1])
    assert np.array_equal(np.asarray(good), np.asarray(tiny_images.open(0)))
    assert len(np.unique(np.asarray(bad))) == 1
