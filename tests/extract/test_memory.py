"""Memory does not grow with the number of images: each run in a process of its own, which reports its peak."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from features import datasets, engine, extract
from features.networks import architecture, canonical, zoo
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish

n_images, format, out = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
shape = architecture.imagenet("bottleneck", (1, 1, 1, 1), classes=10)  # stages as wide as ResNet-50's
spec = ModelSpec("wide", "", shape, Preprocessing(32, 32, (0.5,) * 3, (0.2,) * 3), (), "", "")
model = zoo.Model(canonical.freeze(canonical.build(shape)), spec, "0" * 64)
picture = Image.new("RGB", (32, 32), (5, 7, 9))
ids = tuple(f"{number:07d}" for number in range(n_images))
images = datasets.ImageSet("drawn", ids, None, (), "1" * 64, lambda index: picture)
random = np.random.default_rng(0)
WIDTHS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048, "logits": 10}

class Drawn:  # values that no compression makes smaller, at no cost
    name = "drawn"
    def __call__(self, pixels):
        return {name: random.random((len(pixels), width), dtype=np.float32) for name, width in WIDTHS.items()}
    def begin(self, pixels):
        found = self(pixels)
        return lambda: found

engine.start = lambda *arguments: Drawn()
plan = engine.choose(model.network, precision="fp32", device="cpu", engine="torch")
done = finish(extract.to_folder(model, images, plan, out, 64, format))
assert done.n_rows == n_images
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize("format", ["npy"])  # which goes through Parquet
def test_the_peak_for_20000_images_is_within_100_mb_of_that_for_2000(format, tmp_path):
    def peak(n_images: int) -> int:
        command = [sys.executable, "-c", RUN, str(n_images), format, str(tmp_path / str(n_images))]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert peak(20_000) - peak(2_000) < 100
