"""Images of any number of planes, from files to features, statistics and lesions."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from features import datasets, extract, residual
from features.datasets import images, planes
from features.errors import ImageError
from features.networks import filling, zoo
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from tests.random_networks import randomise

COUNT = 13


def values(seed: int = 0, shape: tuple[int, ...] = (40, 36, COUNT)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 10_000, shape).astype(np.uint16)


def preprocessing(**settings) -> Preprocessing:
    return Preprocessing(**{"resize": 36, "crop": 32, "mean": (0.05,) * COUNT, "std": (0.1,) * COUNT} | settings)


@pytest.fixture(params=["npy", "tif"])
def folder(tmp_path, request) -> Path:
    """Six images in two classes."""
    for number in range(6):
        path = tmp_path / "set" / f"class{number % 2}"
        path.mkdir(parents=True, exist_ok=True)
        if request.param == "npy":
            np.save(path / f"{number}.npy", values(number))
        else:
            tifffile.imwrite(path / f"{number}.tif", values(number).transpose(2, 0, 1), photometric="minisblack")
    return tmp_path / "set"


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    filling.save(randomise(build(cifar(8, in_channels=COUNT, classes=2))), tmp_path / "net.safetensors", {})
    name = f"{tmp_path / 'net.safetensors'}?mean=0.05&std=0.1&resize=36&crop=32&shown=3,2,1"
    return zoo.load(name)


@pytest.mark.parametrize("layout", ["last", "first"])
def test_arrays_are_read_with_their_planes_first_or_last(layout, tmp_path):
    own = values() if layout == "last" else values().transpose(2, 0, 1)
    np.save(tmp_path / "a.npy", own)
    picture = images.decode((tmp_path / "a.npy").read_bytes(), "a.npy")
    assert (picture.size, picture.mode) == ((36, 40), "RGB")
    np.testing.assert_allclose(planes.of(picture), values() * (255 / 65535), rtol=1e-6)


@pytest.mark.parametrize("own", [values(), (values() / 10_000).astype(np.float32)], ids=["uint16", "float32"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_tiffs_of_many_bands_are_read(own, order, tmp_path):
    stored = own.transpose(2, 0, 1) if order == "first" else own
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig" if order == "last" else None
    )
    picture = images.decode((tmp_path / "a.tif").read_bytes(), "a.tif")
    unit = 255 / 65535 if own.dtype == np.uint16 else 255
    np.testing.assert_allclose(planes.of(picture), own * unit, rtol=1e-5)


def test_ordinary_tiffs_are_pictures_as_ever(tmp_path):
    for mode in ("RGB", "L", "RGBA", "I;16", "CMYK"):
        Image.new(mode, (8, 8)).save(tmp_path / "a.tif")
        assert planes.of(images.decode((tmp_path / "a.tif").read_bytes(), "a.tif")) is None


def test_a_stack_of_greys_is_its_first_page_to_whoever_wants_a_picture_and_planes_to_a_network_of_so_many(tmp_path):
    pages = [Image.fromarray(np.full((8, 8), 10 * number, np.uint8)) for number in range(1, 6)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    picture = images.decode((tmp_path / "a.tif").read_bytes(), "a.tif")
    assert picture.getpixel((0, 0)) == (10, 10, 10)
    assert planes.of(picture)[0, 0].tolist() == [10, 20, 30, 40, 50]


def test_what_a_network_is_given_is_each_plane_scaled_cut_and_normalised():
    own = values().astype(np.float32)
    picture = planes.picture_of(planes.scaled(values(), "a"))
    given = preprocessing()(picture).numpy()
    assert given.shape == (COUNT, 32, 32)
    for plane in (0, 7, 12):
        whole = np.asarray(Image.fromarray(own[:, :, plane] / 65535).resize((36, 40), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(given[plane], (whole[4:36, 2:34] - 0.05) / 0.1, atol=1e-4)


def test_the_chosen_planes_are_shown():
    own = np.zeros((40, 36, COUNT), np.uint16)
    own[:20, :, 5] = 1000
    picture = planes.picture_of(planes.scaled(own, "a"))
    seen = preprocessing(shown=(5, 0, 0)).visible(picture)
    assert (seen[2, 2].tolist(), seen[-2, -2].tolist()) == ([255, 0, 0], [0, 0, 0])


def test_a_picture_is_refused_by_a_network_of_other_planes_and_the_other_way_round():
    with pytest.raises(ImageError, match="image of 3 channels was given to a network of 13"):
        preprocessing()(Image.new("RGB", (40, 40)))
    with pytest.raises(ImageError, match="image of 4 channels was given to a network of 13"):
        preprocessing()(planes.picture_of(planes.scaled(values(shape=(40, 40, 4)), "a")))
    for channels in (1, 3):
        colours = Preprocessing(40, 32, (0.5,) * channels, (0.5,) * channels)
        with pytest.raises(ImageError, match=f"image of {COUNT} channels was given to a network of {channels}"):
            colours(planes.picture_of(planes.scaled(values(), "a")))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("count", [1, 3])
def test_an_array_of_a_pictures_planes_is_that_picture(count, kind, tmp_path):
    own = np.random.default_rng(0).integers(60, 120, (40, 36, count)).astype(np.uint8)
    stored = own / np.float32(255) if kind == np.float32 else own.astype(kind) * (257 if kind == np.uint16 else 1)
    np.save(tmp_path / "a.npy", stored.astype(kind))
    picture = images.decode((tmp_path / "a.npy").read_bytes(), "a.npy")
    np.testing.assert_array_equal(np.asarray(picture), np.broadcast_to(own, (40, 36, 3)))


def test_an_array_of_a_pictures_planes_whose_numbers_are_none_of_a_picture_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-1, 1, 300).reshape(10, 10, 3))
    with pytest.raises(ImageError, match=r"a\.npy holds 3 planes of numbers from -1 to 1"):
        images.decode((tmp_path / "a.npy").read_bytes(), "a.npy")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (np.zeros((3, 4, 5, 6)), "of shape"),
        (np.zeros((40, 40, 40)), "at most 16 planes"),
        (np.array(["a"]), "of shape"),
        (np.zeros((4, 4), complex), "type complex128"),
        (np.full((4, 4), np.nan), "infinite or no numbers"),
        (np.array([[None, None]]), "holds object"),
    ],
    ids=["four sides", "forty planes", "text", "complex", "nan", "objects"],
)
def test_other_arrays_are_refused_by_name(made, text, tmp_path):
    np.save(tmp_path / "a.npy", made, allow_pickle=True)
    with pytest.raises(ImageError, match=f"a.npy holds|a.npy has.*|{text}"):
        images.decode((tmp_path / "a.npy").read_bytes(), "a.npy")


def test_half_an_array_and_an_array_that_claims_too_much_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", values())
    data = (tmp_path / "a.npy").read_bytes()
    with pytest.raises(ImageError, match="damaged"):
        images.decode(data[: len(data) // 2], "a.npy")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": (99999, 99999, 9)})
    with pytest.raises(ImageError, match="of shape"):
        images.decode(header.getvalue(), "a.npy")
    with pytest.raises(ImageError, match="damaged"):
        images.decode(data.replace(b"'shape': (40", b"'shape': ((0"), "a.npy")


def test_arrays_beside_pictures_are_no_images(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for name in "abcdefg":
        np.save(tmp_path / f"{name}.npy", np.zeros((8, 8)))
    with zipfile.ZipFile(tmp_path.with_suffix(".zip"), "w") as archive:
        for file in tmp_path.iterdir():
            archive.write(file, file.name)
    for source in (tmp_path, tmp_path.with_suffix(".zip")):
        found = datasets.open_images(str(source))
        assert found.ids == ("a.png",)
        (aside,) = found.aside
        assert "arrays beside pictures" in aside.reason
        assert str(aside).startswith("7 files are left aside: ")
        assert str(aside).endswith(": a.npy, b.npy, c.npy, d.npy, e.npy and 2 more.")
        assert found.sample(1).aside == found.aside


def test_of_pictures_or_arrays_alone_nothing_is_left_aside(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8)))
    assert datasets.open_images(str(tmp_path)).aside == ()


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_a_tiff_of_three_planes_of_shares_is_the_picture_of_them(planar, kind, tmp_path):
    whole = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    stored = (whole / 255).astype(kind)
    stored = stored if planar == "contig" else stored.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    picture = images.decode((tmp_path / "a.tif").read_bytes(), "a.tif")
    np.testing.assert_array_equal(np.asarray(picture), whole)
    assert planes.of(picture) is None


def test_a_tiff_of_three_planes_of_other_numbers_is_refused_with_its_range(tmp_path):
    values = np.linspace(-3, 120, 9 * 7 * 3, dtype=np.float32).reshape(9, 7, 3)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    with pytest.raises(ImageError, match=r"a\.tif holds 3 planes of numbers from -3 to 120, where a picture has 0"):
        images.decode((tmp_path / "a.tif").read_bytes(), "a.tif")


def test_features_statistics_and_lesions_are_those_of_plain_pytorch(folder, model):
    found = datasets.open_images(str(folder))
    assert (len(found), found.class_names) == (6, ("class0", "class1"))
    made = finish(extract.features(model, found))
    x = torch.stack([model.spec.preprocessing(found.open(number)) for number in range(6)])
    with torch.inference_mode():
        wanted = dict(model.network.walk(x))
    np.testing.assert_allclose(made.stages["layer3"], wanted["layer3"].mean((2, 3)), rtol=1e-3, atol=1e-4)
    statistics = finish(residual.statistics(model, found))
    with torch.inference_mode():
        _, branch = next(model.network.blocks())[1].parts(model.network.stem(x))
    np.testing.assert_allclose(statistics.norms[residual.BRANCH][:, 0], branch.flatten(1).norm(dim=1), rtol=1e-3)
    lesion = residual.without("layer3.0")
    sweep = finish(residual.sweep(model, found, [lesion]))
    with torch.inference_mode():
        said = residual.lesioned(model, lesion).network(x).argmax(1)
    assert sweep.agreement[0] == (said == wanted["logits"].argmax(1)).float().mean()
