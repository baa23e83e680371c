"""Writes fashion-mnist-sample.zip: 100 test images of each Fashion-MNIST class, as PNG, with the set's licence.

Run from the project's root, with the set under data/ (see README.md beside this file):
    python -m features.bundled.make_sample
"""

import io
import zipfile
from pathlib import Path

from features.datasets import SAMPLE_FILE, open_images

LICENCE = Path(__file__).parent / "LICENSE.fashion-mnist"
N_IMAGES = 1000


def main() -> None:
    images = open_images("torchvision:FashionMNIST:test").sample(N_IMAGES)
    with zipfile.ZipFile(SAMPLE_FILE, "w") as archive:
        _add(archive, "LICENSE", LICENCE.read_bytes())
        for index, image_id in enumerate(images.ids):
            label = (images.label_name(index) or "").replace("/", "-")
            buffer = io.BytesIO()
            images.open(index).convert("L").save(buffer, "PNG", optimize=True)
            _add(archive, f"{label}/{image_id.rsplit('/', 1)[1]}.png", buffer.getvalue())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """A member with a fixed date, so that the same images make the same file."""
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


if __name__ == "__main__":
    main()
