"""What sources of images are called, for those who do without the libraries that open them."""

import re
from pathlib import Path

SAMPLE = "sample"  # the bundled images
TORCHVISION = "torchvision:"
HUGGING_FACE = "hf:"
PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".avif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
ARRAYS = (".npy",)  # images only where there are no pictures: beside pictures they are masks, or features
EXTENSIONS = (*PICTURES, *ARRAYS)
ARCHIVES = (*(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst"),)
TABLES = (".parquet", ".parq")
PLAIN_LISTS, CSV, TSV = (".txt", ".lst", ".list"), (".csv",), (".tsv", ".tab")
JSON_LINES, JSON = (".jsonl", ".ndjson"), (".json",)
LISTS = (*PLAIN_LISTS, *CSV, *TSV, *JSON_LINES, *JSON)  # of images, as text

TRAIN, VALIDATION, TEST, EXTRA = "train", "validation", "test", "extra"
ALL = "all"  # every split of a source
SPLITS = {  # a kind of split: what its folders, files and columns are called
    TRAIN: ("train", "training", "trn", "trainval"),
    VALIDATION: ("val", "valid", "validation", "validate", "dev", "minival"),
    TEST: ("test", "testing", "tst", "eval", "evaluation", "holdout", "query", "gallery"),
    EXTRA: ("extra", "unlabeled", "unlabelled", "pred", "predict", "prediction"),
}
CHOICE = r"\{(?:-?\d+\.\.-?\d+|[^{}]*,[^{}]*)\}"
SIGNS, ADDRESS_SIGNS = re.compile(rf"[*?\[]|{CHOICE}"), re.compile(rf"\*|{CHOICE}")


def split_of(source: str) -> tuple[str, str | None]:
    """A source without the split that its name ends in ('photos:test'), and that split; None where it names none."""
    place, colon, name = source.rpartition(":")
    if not colon or not place or "/" in name or "\\" in name or source.startswith(TORCHVISION):
        return source, None
    if source.startswith(HUGGING_FACE):
        return (place, name) if place.startswith(HUGGING_FACE) else (source, None)
    words = {ALL, *(word for words in SPLITS.values() for word in words)}
    if name.lower() in words or (not _there(source) and (_there(place) or is_pattern(place)) and not is_pattern(name)):
        return (source, None) if _there(source) else (place, name)
    return source, None


def in_archive(path: Path) -> tuple[Path, str] | None:
    """The archive that a path leads into ('set.zip/train'), and the path inside it; None where it leads into none."""
    if "://" in str(path):
        return None
    for above in path.parents:
        if above.name.lower().endswith(ARCHIVES):
            return (above, path.relative_to(above).as_posix()) if above.is_file() else None
    return None


def is_pattern(source: str) -> bool:
    """Whether a source names several files, as 'data/*.parquet' and 'shards/{000..999}.tar', and not one called so."""
    return _sign(source) >= 0 and not _there(source)


def fixed_part(pattern: str) -> str:
    """The folder above all that a pattern names."""
    return pattern[: _sign(pattern)].rpartition("/")[0] or ("/" if pattern.startswith("/") else ".")


def _sign(source: str) -> int:
    """Where a pattern begins to be one, -1 for none. At addresses '?' and '[' are signs of these, and of none here."""
    signs = ADDRESS_SIGNS if "://" in source else SIGNS
    match = signs.search(source)
    return match.start() if match else -1


def _there(path: str) -> bool:
    try:
        return "://" not in path and Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a NUL
        return False
