"""A comparison of two small networks, computed once."""

import pytest

from features.compare import compare
from features.datasets import open_images
from features.networks import zoo
from features.progress import finish


@pytest.fixture(scope="package")
def images():
    return open_images("sample").sample(120)


@pytest.fixture(scope="package")
def told(images):
    return finish(compare([zoo.load("resnet20-fashion"), zoo.load("plain20-fashion")], images))
