"""Representation similarity: how alike the features of two networks are, layer by layer, by several measures."""

from features.similarity.at_hand import streamed
from features.similarity.comparison import Resampling, compared, similarity
from features.similarity.layers import FLATTENED, FORMS, POOLED, Form, Layers, as_rows, layers
from features.similarity.measures import MEASURES, Measure
from features.similarity.streaming import Batching, Rows, Stream, with_batch
from features.similarity.table import Similarity, Spread, relative_depths

__all__ = [
    "FLATTENED",
    "FORMS",
    "MEASURES",
    "POOLED",
    "Batching",
    "Form",
    "Layers",
    "Measure",
    "Resampling",
    "Rows",
    "Similarity",
    "Spread",
    "Stream",
    "as_rows",
    "compared",
    "layers",
    "relative_depths",
    "similarity",
    "streamed",
    "with_batch",
]
