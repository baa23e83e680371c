"""Feature sets in memory and on disk.

A folder of features, format version 1, holds

    manifest.json     what made the features, the shape of every stage, and how many images there were
    rejected.parquet  id and reason of every image that could not be read

and the rows, in the order of the images, in one of these formats:

    parquet      part-00000.parquet, ...: id, uri, label (several with ';' between them),
                 pred, confidence; the further columns of a list of images; then one column a stage: fixed-size lists
                 of float32, or of float16 for spatial maps (C x H x W, flattened)
    npy          STAGE.npy, one memory-mappable array a stage, and ids.txt
    npz          features.npz, uncompressed: one array a stage, and id, label, pred, confidence
    safetensors  features.safetensors, one tensor a stage
    tensorboard  what the Embedding Projector loads: STAGE.tsv, metadata.tsv, sprite.png, projector_config.pbtxt

All but parquet have rows.parquet beside, with every row's id, uri, label, pred and confidence. A run writes Parquet,
part by part: each part holds the images of a fixed range of the source in one row group and appears under its name only
when it is whole. So a run that was killed goes on with the first part that is missing, and ends as if it had never
stopped (`features.claim` has the rules for all folders of results).
"""

from features.claim import MANIFEST
from features.store.conversion import convert, write_as
from features.store.feature_set import FeatureSet, images_of
from features.store.formats import (
    FORMATS,
    PARQUET,
    TENSORBOARD,
    Format,
    names_of,
    need_format,
    need_local,
    open_features,
)
from features.store.kind import FEATURES, claimed
from features.store.manifest import REJECTED, Manifest, StoreError, part_images, read_manifest, unique_names
from features.store.parquet import columns_of
from features.store.parts import Parts
from features.store.projector import SPRITE
from features.store.vectors import holds_vectors, open_vectors
from features.store.writer import Writer

__all__ = [
    "FEATURES",
    "FORMATS",
    "MANIFEST",
    "PARQUET",
    "REJECTED",
    "SPRITE",
    "TENSORBOARD",
    "FeatureSet",
    "Format",
    "Manifest",
    "Parts",
    "StoreError",
    "Writer",
    "claimed",
    "columns_of",
    "convert",
    "holds_vectors",
    "images_of",
    "names_of",
    "need_format",
    "need_local",
    "open_features",
    "open_vectors",
    "part_images",
    "read_manifest",
    "unique_names",
    "write_as",
]
