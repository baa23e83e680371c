"""Vectors in a Parquet file, as another program might have made them, for the Embedding page."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, CLUSTERS, AT_ONCE = 64, 100, 50_000


def write(folder: Path, n_points: int) -> None:
    """Clusters with a label each, and ids of images that are not there: small pictures are grey."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLUSTERS, WIDTH)).astype(np.float32)
    vectors = pa.list_(pa.float32(), WIDTH)
    schema = pa.schema([("path", pa.string()), ("label", pa.string()), ("embedding", vectors)])
    with pq.ParquetWriter(folder / "vectors.parquet", schema) as writer:
        for start in range(0, n_points, AT_ONCE):
            rows = range(start, min(start + AT_ONCE, n_points))
            labels = random.integers(0, CLUSTERS, len(rows))
            values = centres[labels] + 0.6 * random.standard_normal((len(rows), WIDTH), dtype=np.float32)
            columns = {
                "path": [f"{row:07d}.jpg" for row in rows],
                "label": [f"class {label}" for label in labels],
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), WIDTH),
            }
            writer.write_table(pa.table(columns, schema))
