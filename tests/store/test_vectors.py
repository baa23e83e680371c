"""Features of other programs: what a column of vectors is, and what is none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import store
from features.errors import ImageError
from features.store import StoreError, vectors

VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def written(path, **columns):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"file_name": [f"{row}.jpg" for row in range(6)]} | columns), path)
    return path


def lists(values, kind=None):
    return pa.array([list(map(float, row)) for row in values], kind or pa.list_(pa.float32()))


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 4)],
    ids=str,
)
def test_lists_of_numbers_are_vectors_whatever_their_type(tmp_path, kind):
    found = store.open_vectors(written(tmp_path / "clip.parquet", embedding=lists(VECTORS, kind)))
    np.testing.assert_allclose(found.stages["embedding"], VECTORS, rtol=1e-6)
    assert found.stages["embedding"].dtype == np.float32
    assert found.ids == tuple(f"{row}.jpg" for row in range(6))
    assert found.uris[0] == str(tmp_path / "0.jpg")
    assert found.labels is None


def test_half_precision_is_read(tmp_path):
    halves = pa.array([row.astype(np.float16) for row in VECTORS], pa.list_(pa.float16()))
    found = store.open_vectors(written(tmp_path / "dino.parquet", embedding=halves))
    np.testing.assert_array_equal(found.stages["embedding"], VECTORS.astype(np.float16).astype(np.float32))


def test_pandas_columns_of_arrays_are_read(tmp_path):
    pd.DataFrame({"path": list("abcdef"), "vector": list(VECTORS)}).to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(store.open_vectors(tmp_path / "x.parquet").stages["vector"], VECTORS)


def test_labels_come_with_them_numbers_in_their_order(tmp_path):
    path = written(tmp_path / "x.parquet", v=lists(VECTORS), label=["10", "9", "9", "10", "2", "2"])
    found = store.open_vectors(path)
    assert found.class_names == ("2", "9", "10")
    assert found.label_names().tolist() == ["10", "9", "9", "10", "2", "2"]


def test_several_columns_are_stages_of_which_one_can_be_chosen(tmp_path):
    path = written(tmp_path / "x.parquet", early=lists(VECTORS), late=lists(VECTORS[:, :2]))
    assert {name: values.shape for name, values in store.open_vectors(path).stages.items()} == {
        "early": (6, 4),
        "late": (6, 2),
    }
    assert list(store.open_vectors(path, "late").stages) == ["late"]


def test_a_folder_of_parts_is_one_set_in_the_order_of_their_names(tmp_path):
    written(tmp_path / "set" / "b.parquet", v=lists(VECTORS + 1))
    written(tmp_path / "set" / "a.parquet", v=lists(VECTORS))
    assert store.holds_vectors(tmp_path / "set")
    found = store.open_vectors(tmp_path / "set")
    np.testing.assert_array_equal(found.stages["v"], np.concatenate([VECTORS, VECTORS + 1]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no column of vectors, only file_name"),
        ({"v": pa.array([[1.0], [1.0, 2.0], [1.0], [1.0], [1.0], [1.0]])}, "vectors of 1 to 2 numbers"),
        ({"v": pa.array([[1.0], None, [1.0], [1.0], [1.0], [1.0]])}, "1 row has no v"),
        (
            {"v": pa.array([[None], [1.0], [1.0], [1.0], [1.0], [1.0]], pa.list_(pa.float32()))},
            "in the vectors of v 1 number is missing",
        ),
    ],
)
def test_what_is_no_column_of_vectors_is_an_error(tmp_path, columns, message):
    with pytest.raises(StoreError, match=message):
        store.open_vectors(written(tmp_path / "x.parquet", **columns))


def test_a_column_that_is_not_there_is_an_error_with_those_that_are(tmp_path):
    with pytest.raises(StoreError, match="it has v"):
        store.open_vectors(written(tmp_path / "x.parquet", v=lists(VECTORS)), "w")


def test_what_is_no_parquet_holds_no_vectors(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no")
    assert not store.holds_vectors(tmp_path / "x.parquet")
    assert not store.holds_vectors(tmp_path / "nothing")
    with pytest.raises(StoreError, match="cannot be read"):
        store.open_vectors(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("{out}/secret.png", "outside the folders"),
        ("file://{out}/secret.png::{root}/0.png", "does not lie on this machine"),
        ("http://127.0.0.1:9/x::{root}/0.png", "does not lie on this machine"),
        ("zip://x::http://127.0.0.1:9/x.zip", "does not lie on this machine"),
        ("zip://x::{out}/x.zip", "outside the folders"),
        ("parquet://one::{root}/x.parquet", "no row of a table"),
        ("parquet://99::{root}/x.parquet", "has 6 rows"),
        ("{root}/\0", "cannot be followed"),
        ("", "does not lie on this machine"),
    ],
)
def test_a_file_of_features_cannot_have_other_places_opened_than_may_be_read(tmp_path, monkeypatch, uri, message):
    root, out = tmp_path / "root", tmp_path / "out"
    for path in (root / "0.png", out / "secret.png"):
        path.parent.mkdir()
        Image.new("L", (9, 9)).save(path)
    picture = (root / "0.png").read_bytes()
    pq.write_table(pa.table({"image": [picture] * 6}), root / "x.parquet")
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(root))
    found = store.open_vectors(written(root / "clip.parquet", v=lists(VECTORS)))
    places = (uri.format(root=root, out=out), f"{root}/0.png", f"parquet://5::{root}/x.parquet")
    images = store.images_of(replace(found, uris=places))
    with pytest.raises(ImageError, match=message):
        images.open(0)
    assert images.open(1).size == images.open(2).size == (9, 9)


def test_whole_numbers_are_vectors_where_there_are_none_of_floats(tmp_path):
    whole = pa.array([[1, -2, 3]] * 6, pa.list_(pa.int8()))
    found = store.open_vectors(written(tmp_path / "quantised.parquet", vector=whole))
    np.testing.assert_array_equal(found.stages["vector"], np.tile(np.float32([1, -2, 3]), (6, 1)))
    boxes = pa.array([[0, 0, 4, 4]] * 6, pa.list_(pa.int64()))
    assert list(store.open_vectors(written(tmp_path / "x.parquet", box=boxes, v=lists(VECTORS))).stages) == ["v"]


def test_rows_come_in_order_however_few_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BATCH", 2)
    written(tmp_path / "set" / "a.parquet", v=lists(VECTORS), label=list("abcabc"))
    written(tmp_path / "set" / "b.parquet", v=lists(VECTORS + 1), label=list("cccccc"))
    found = store.open_vectors(tmp_path / "set")
    np.testing.assert_array_equal(found.stages["v"], np.concatenate([VECTORS, VECTORS + 1]))
    assert found.label_names().tolist() == list("abcabccccccc")
    written(tmp_path / "set" / "c.parquet", v=lists(VECTORS[:, :2]), label=list("abcabc"))
    with pytest.raises(StoreError, match="v has vectors of 2 to 4 numbers"):
        store.open_vectors(tmp_path / "set")


def test_a_part_without_the_column_lacks_its_rows(tmp_path):
    written(tmp_path / "set" / "a.parquet", v=lists(VECTORS))
    written(tmp_path / "set" / "b.parquet", other=list("abcdef"))
    with pytest.raises(StoreError, match="6 rows have no v"):
        store.open_vectors(tmp_path / "set")
