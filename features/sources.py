"""What sources of images are called, for those who do without the libraries that open them."""

from pathlib import Path

SAMPLE = "sample"  # the bundled images
TORCHVISION = "torchvision:"
PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".avif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
ARRAYS = (".npy",)  # images only where there are no pictures: beside pictures they are masks, or features
EXTENSIONS = (*PICTURES, *ARRAYS)
PLAIN_LISTS, CSV, TSV = (".txt", ".lst", ".list"), (".csv",), (".tsv", ".tab")
JSON_LINES, JSON = (".jsonl", ".ndjson"), (".json",)
LISTS = (*PLAIN_LISTS, *CSV, *TSV, *JSON_LINES, *JSON)  # of images, as text

TRAIN, VALIDATION, TEST, EXTRA = "train", "validation", "test", "extra"
ALL = "all"  # every split of a source
SPLITS = {  # a kind of split: what its folders, files and columns are called
    TRAIN: ("train", "training", "trn"),
    VALIDATION: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing", "tst"),
    EXTRA: ("extra", "unlabeled", "unlabelled", "pred", "predict", "prediction"),
}


def split_of(source: str) -> tuple[str, str | None]:
    """A source without the split that its name ends in ('photos:test'), and that split; None where it names none."""
    place, colon, name = source.rpartition(":")
    if not colon or not place or "/" in name or "\\" in name or source.startswith(TORCHVISION):
        return source, None
    words = {ALL, *(word for words in SPLITS.values() for word in words)}
    if name.lower() in words or ("://" not in source and not _there(source) and _there(place)):
        return (source, None) if _there(source) else (place, name)
    return source, None


def _there(path: str) -> bool:
    try:
        return "://" not in path and Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a NUL
        return False
