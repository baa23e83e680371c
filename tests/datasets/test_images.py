import io
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import InterpolationMode, functional

from features.datasets import images
from features.datasets.images import decode, upright_rgb
from features.errors import FeatureError, ImageError
from features.networks import catalogue
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

ORIENTATION = 0x0112
LOSSLESS = ["PNG", "BMP", "TIFF", "WEBP"]


def noise(width: int = 24, height: int = 16, mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(pixels[..., :3] if mode != "RGBA" else pixels).convert(mode)


def stored(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


# --- kinds of file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_come_back_pixel_for_pixel(kind):
    settings = {"lossless": True} if kind == "WEBP" else {}
    found = decode(stored(noise(), kind, **settings), "picture")
    assert found.mode == "RGB"
    assert np.array_equal(pixels(found), pixels(noise()))


@pytest.mark.parametrize("kind", images.FORMATS)
def test_every_format_keeps_a_flat_colour(kind):
    flat = Image.new("RGB", (20, 10), (200, 30, 90))
    found = decode(stored(flat, kind), "picture")
    assert found.size == (20, 10)
    assert np.abs(pixels(found).astype(int) - (200, 30, 90)).max() <= 3  # JPEG's and WebP's colour rounding


@pytest.mark.parametrize("kind", ["ICO", "PDF", "TGA", "PCX"])
def test_other_formats_are_refused_with_the_list_of_wanted_ones(kind):
    try:
        data = stored(noise(), kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    with pytest.raises(ImageError, match=r"^cat\.jpg is not an image .*JPEG, PNG, WEBP, BMP, GIF, TIFF"):
        decode(data, "cat.jpg")


def test_the_content_decides_and_not_the_name():
    assert np.array_equal(pixels(decode(stored(noise(), "PNG"), "really-a-png.jpg")), pixels(noise()))


def test_a_phones_multi_picture_jpeg_gives_its_first_picture():
    flat = Image.new("RGB", (8, 8), "blue")
    data = stored(flat, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    assert pixels(decode(data, "phone.jpg"))[0, 0, 2] > 200


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "lime", "blue")]
    settings = {"lossless": True} if kind == "WEBP" else {}
    found = decode(stored(frames[0], kind, save_all=True, append_images=frames[1:], **settings), "animation")
    assert np.array_equal(pixels(found), pixels(frames[0]))


# --- EXIF ------------------------------------------------------------------------------------------------------------

# EXIF 2.3, section 4.6.4: where row 0 and column 0 of the stored array lie in the scene, undone with numpy.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_picture_is_turned_as_its_exif_says(orientation, kind):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    settings = {"lossless": True} if kind == "WEBP" else {}
    found = decode(stored(noise(), kind, exif=exif, **settings), "picture")
    assert np.array_equal(pixels(found), UPRIGHT[orientation](pixels(noise())))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photograph_is_turned_as_its_exif_says(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    plain = decode(stored(noise(), "JPEG"), "picture")
    assert np.array_equal(
        pixels(decode(stored(noise(), "JPEG", exif=exif), "picture")), UPRIGHT[orientation](pixels(plain))
    )


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(pixels(decode(stored(noise(), exif=exif), "picture")), pixels(noise()))


# --- modes -----------------------------------------------------------------------------------------------------------


def test_grey_is_repeated_in_all_three_channels():
    grey = noise(mode="L")
    assert np.array_equal(pixels(decode(stored(grey), "grey")), np.repeat(pixels(grey)[..., None], 3, 2))


def test_black_and_white_becomes_0_and_255():
    white_left = Image.fromarray(np.array([[True, False]]))
    assert pixels(decode(stored(white_left), "bits"))[0, :, 0].tolist() == [255, 0]


def test_a_palette_is_looked_up():
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 1, 2, 3])
    assert pixels(decode(stored(image), "palette"))[0].tolist() == [[255, 0, 0], [0, 255, 0], [1, 2, 3]]


def test_a_transparent_palette_entry_becomes_white():
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    for data in (stored(image, transparency=0), stored(image, "GIF", transparency=0)):
        assert pixels(decode(data, "palette"))[0].tolist() == [[255, 255, 255], [0, 255, 0]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_to_8_bits_as_round_of_x_over_257(kind):
    values = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], dtype=np.uint16)
    found = pixels(decode(stored(Image.fromarray(values), kind), "deep"))
    assert found[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.4, 255.0], [0, 100, 255]),
        ([-0.02, 0.5, 1.03], [0, 128, 255]),  # as scaling overshoots
        ([0.0, np.nan, 1.0], [0, 0, 255]),
    ],
)
def test_floating_point_pixels_are_shares_of_white_or_8_bit_values(values, wanted):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert pixels(decode(stored(image, "TIFF"), "float"))[0, :, 0].tolist() == wanted


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 4000]], np.float32), "from 0 to 4,000. Wanted 0 to 1, or 0 to 255"),
        (np.array([[-1, 1]], np.float32), "from -1 to 1. Wanted"),
        (np.array([[-1.8, 2.6]], np.float32), "from -1.8 to 2.6. Wanted"),
        (np.array([[0, 70_000]], np.int32), "from 0 to 70,000. Wanted 0 to 65,535"),
        (np.array([[-5, 9]], np.int32), "from -5 to 9. Wanted"),
    ],
)
def test_numbers_of_which_nobody_knows_what_is_white_are_refused(values, said):
    with pytest.raises(ImageError, match=re.escape(said)):
        decode(stored(Image.fromarray(values), "TIFF"), "deep")


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = pixels(decode(stored(cyan, kind), "print"))[4, 4]
        assert red < 5
        assert min(green, blue) > 250


@pytest.mark.parametrize("alpha", [0, 1, 64, 128, 254, 255])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparency_is_laid_on_white(alpha, kind):
    colour = np.array([10, 120, 250])
    image = Image.new("RGBA", (3, 2), (*colour.tolist(), alpha))
    wanted = (colour * alpha + 255 * (255 - alpha)) / 255
    assert np.abs(pixels(decode(stored(image, kind), "glass")) - wanted).max() <= 1


def test_grey_with_transparency_is_laid_on_white():
    image = Image.merge("LA", (Image.new("L", (2, 2), 0), Image.new("L", (2, 2), 51)))
    assert np.abs(pixels(decode(stored(image), "glass")).astype(int) - 204).max() <= 1  # 80 % of white


def test_a_colour_declared_transparent_becomes_white():
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], dtype=np.uint8))
    assert pixels(decode(stored(image, transparency=(1, 2, 3)), "key"))[0].tolist() == [[255, 255, 255], [9, 9, 9]]


def test_the_picture_that_is_given_is_not_changed():
    image = noise(mode="RGBA")
    before = pixels(image).copy()
    upright_rgb(image)
    assert image.mode == "RGBA"
    assert np.array_equal(pixels(image), before)


# --- what is refused -------------------------------------------------------------------------------------------------


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A greyscale PNG that claims a size, whatever its body holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_100, 9_600, 13_500, 60_000])  # 50, 92, 182 and 3600 megapixels
def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_unpacked(side):
    with pytest.raises(ImageError, match=r"^bomb\.png has .*(pixels|megapixels).* Scale it down"):
        decode(png(side, side), "bomb.png")


@pytest.mark.parametrize(("width", "height"), [(1, 1000), (1000, 1), (101 * 7, 7)])
def test_a_strip_that_scaling_would_blow_up_is_refused(width, height):
    with pytest.raises(ImageError, match=rf"^strip\.png has {width} x {height} pixels.*100 times"):
        decode(stored(Image.new("L", (width, height))), "strip.png")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 100), (700, 7)])
def test_the_narrowest_and_smallest_pictures_are_read(width, height):
    assert decode(stored(Image.new("L", (width, height))), "small").size == (width, height)


def test_a_file_above_the_size_limit_is_refused(monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    with pytest.raises(ImageError, match=r"^large\.png has 2 MiB, but at most 1 MiB"):
        decode(bytes(2**21), "large.png")


def test_an_empty_file_is_refused():
    with pytest.raises(ImageError, match=r"^nothing\.png is empty \(0 bytes\)"):
        decode(b"", "nothing.png")


@pytest.mark.parametrize(
    "data",
    [b"\0", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"],
    ids=["zero", "text", "svg", "pdf", "PNG signature", "JPEG signature"],
)
def test_what_is_no_image_is_refused_by_name(data):
    with pytest.raises(ImageError, match=r"^strange\.png "):
        decode(data, "strange.png")


@pytest.mark.parametrize("kind", images.FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused_by_name(kind, share):
    data = stored(noise(64, 64), kind)
    with pytest.raises(ImageError, match=r"^half\.img "):
        decode(data[: int(share * len(data))], "half.img")


@pytest.mark.parametrize("kind", images.FORMATS)
def test_damaged_files_give_a_picture_or_an_image_error_and_nothing_else(kind):
    data = np.frombuffer(stored(noise(32, 32), kind), dtype=np.uint8)
    random = np.random.default_rng(0)
    for _ in range(40):
        damaged = data.copy()
        damaged[random.integers(0, len(data), 8)] = random.integers(0, 256, 8)
        with suppress(ImageError):
            assert decode(damaged.tobytes(), "damaged").mode == "RGB"


def test_pictures_are_decoded_in_threads_as_alone():
    files = [stored(noise(seed=seed), "PNG") for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda data: pixels(decode(data, "picture")), files))
    assert all(np.array_equal(one, pixels(noise(seed=seed))) for seed, one in enumerate(found))


# --- preprocessing ---------------------------------------------------------------------------------------------------


PRESETS = [
    pytest.param(f"{name}-{weights.name[-2:].lower()}", weights.transforms(), id=f"{name} {weights.name}")
    for name in catalogue.TORCHVISION
    for weights in models.get_model_weights(name)
]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
@pytest.mark.parametrize(
    ("width", "height"), [(300, 200), (200, 301), (224, 224), (33, 47), (1, 1), (500, 375), (683, 1024), (208, 592)]
)
def test_preprocessing_is_bit_equal_to_torchvisions(name, preset, width, height):
    picture = noise(width, height)
    assert torch.equal(catalogue.spec(name).preprocessing(picture), preset(picture))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_preprocessing_is_bit_equal_to_torchvisions_whatever_the_shape(interpolation):
    random = np.random.default_rng(0)
    for _ in range(60):
        width, height = (int(2 ** random.uniform(3, 10)) for _ in range(2))
        crop = int(random.integers(16, 64))
        resize = crop + int(random.integers(-8, 24))
        picture = noise(width, height)
        shorter = functional.resize(picture, [resize], InterpolationMode(interpolation), antialias=True)
        wanted = functional.pil_to_tensor(functional.center_crop(shorter, [crop]))
        ours = Preprocessing(resize, crop, IMAGENET_MEAN, IMAGENET_STD, interpolation)
        assert torch.equal(ours.framed(picture), wanted), (width, height, resize, crop)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "CMYK", "I;16"])
def test_preprocessing_of_a_decoded_file_is_torchvisions_of_the_rgb_picture(mode):
    rgb = noise(90, 70)
    image = Image.fromarray(pixels(rgb.convert("L")).astype(np.uint16) * 257) if mode == "I;16" else rgb.convert(mode)
    file = stored(image, "TIFF" if mode == "CMYK" else "PNG")
    reference = rgb.convert("L") if mode == "I;16" else image
    found = catalogue.IMAGENET_PREPROCESSING(decode(file, "picture"))
    assert torch.equal(found, models.ResNet18_Weights.DEFAULT.transforms()(reference.convert("RGB")))


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (50, 30)])
def test_cifar_preprocessing_of_a_picture_of_its_own_size_only_normalises(size):
    picture = noise(32, 32)
    values = torch.from_numpy(pixels(picture).copy()).permute(2, 0, 1) / 255  # (3, 32, 32)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(catalogue.CIFAR_PREPROCESSING(picture), (values - mean) / std)
    assert catalogue.CIFAR_PREPROCESSING(noise(*size)).shape == (3, 32, 32)


def test_a_grey_networks_input_is_pillows_luma():
    grey = Preprocessing(32, 32, (0.0,), (1.0,))
    picture = noise(32, 32)
    wanted = torch.from_numpy(pixels(picture.convert("L")).copy())[None] / 255  # (1, 32, 32)
    torch.testing.assert_close(grey(picture), wanted)
    assert grey.channels == 1


def test_a_batch_is_its_pictures_stacked():
    pictures = [noise(40, 50, seed=seed) for seed in range(3)]
    batch = catalogue.CIFAR_PREPROCESSING.batch(pictures)
    assert batch.shape == (3, 3, 32, 32)
    assert batch.dtype == torch.float32
    assert all(
        torch.equal(row, catalogue.CIFAR_PREPROCESSING(picture)) for row, picture in zip(batch, pictures, strict=True)
    )


@pytest.mark.parametrize("preprocessing", [catalogue.CIFAR_PREPROCESSING, Preprocessing(32, 32, (0.286,), (0.353,))])
def test_what_the_network_sees_is_the_picture_itself_when_nothing_is_scaled_or_cropped(preprocessing):
    picture = noise(32, 32)
    wanted = picture if preprocessing.channels == 3 else picture.convert("L").convert("RGB")
    seen = preprocessing.visible(picture)
    assert seen.dtype == np.uint8
    assert np.array_equal(seen, pixels(wanted))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": (0.5, 0.5)},
        {"mean": (0.5,) * 3, "std": (0.5,)},
        {"std": (0.2, 0.0, 0.2)},
        {"resize": 0},
        {"crop": -1},
        {"interpolation": "spline"},
        {"framing": "left"},
    ],
)
def test_impossible_preprocessing_is_refused(changes):
    good = {"resize": 256, "crop": 224, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    with pytest.raises(FeatureError, match="Wanted"):
        Preprocessing(**(good | changes))


def test_the_description_says_how_to_repeat_it():
    text = Preprocessing(232, 224, (0.5,), (0.25,), "bicubic").describe()
    assert all(word in text for word in ("232 px", "bicubic", "224 x 224", "grey", "0.500", "0.250"))
