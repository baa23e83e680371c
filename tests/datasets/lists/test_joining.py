"""A user's own table, joined to images by their names."""

import io

import numpy as np
import pandas as pd
import pytest

from features.datasets.lists.joining import joined
from features.errors import DatasetError

IDS = ("cat/0.jpg", "cat/1.jpg", "dog/2.jpg")
TABLE = pd.DataFrame(
    {"weight": [3.5, 2.0, 9.0], "name": ["dog/2.jpg", "cat/0.jpg", "cat/1.jpg"], "old": ["a", "b", "c"]}
)
WANTED = {"weight": [2.0, 9.0, 3.5], "old": ["b", "c", "a"]}


def csv(frame, **how):
    return frame.to_csv(index=False, **how).encode(how.pop("encoding", "utf-8"))


def parquet(frame):
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", csv(TABLE)),
        ("t.tsv", csv(TABLE, sep="\t")),
        ("t.csv", TABLE.to_csv(index=False, sep=";").encode("utf-16")),
        ("t.jsonl", TABLE.to_json(orient="records", lines=True).encode()),
        ("t.json", TABLE.to_json(orient="records").encode()),
        ("t.parquet", parquet(TABLE)),
    ],
)
def test_columns_stand_at_the_images_that_they_name(name, data):
    columns, count = joined(IDS, data, name)
    assert count == 3
    assert {key: values.tolist() for key, values in columns.items()} == WANTED


SPELLINGS = (lambda i: i, lambda i: i[4:], lambda i: i[4:5], lambda i: f"./{i}".replace("/", "\\"))


@pytest.mark.parametrize("spell", SPELLINGS)
def test_images_are_named_by_ids_by_files_or_without_endings(spell):
    table = pd.DataFrame({"image": [spell(image_id) for image_id in IDS], "score": [1, 2, 3]})
    columns, count = joined(IDS, csv(table), "t.csv")
    assert (count, columns["score"].tolist()) == (3, [1, 2, 3])


def test_names_of_files_that_two_images_share_join_nothing():
    table = pd.DataFrame({"image": ["0.jpg"], "score": [1]})
    with pytest.raises(DatasetError, match="names any of the 2 images"):
        joined(("cat/0.jpg", "dog/0.jpg"), csv(table), "t.csv")


def test_images_that_no_row_names_have_nothing_and_rows_of_others_are_passed_over():
    table = pd.DataFrame({"id": ["dog/2.jpg", "bee/9.jpg"], "weight": [9, 1], "word": ["x", "y"]})
    columns, count = joined(IDS, csv(table), "t.csv")
    assert count == 1
    np.testing.assert_array_equal(columns["weight"], [np.nan, np.nan, 9])
    assert columns["word"].tolist() == [None, None, "x"]


def test_numbers_name_images_only_in_a_column_that_is_called_so():
    table = pd.DataFrame({"cluster": [0, 1, 2], "score": [1, 2, 3]})
    with pytest.raises(DatasetError, match="No column"):
        joined(IDS, csv(table), "t.csv")
    columns, _ = joined(IDS, csv(table.rename(columns={"cluster": "image_id"})), "t.csv")
    assert columns["score"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"id": ["a", "b"], "x": [1, 2]}), r"No column of t.csv names any of the 3 images.*id \(a\)"),
        (pd.DataFrame({"id": [IDS[0], IDS[0]], "x": [1, 2]}), "'cat/0.jpg' in 2 rows of its column id"),
        (pd.DataFrame({"id": IDS}), "no column beside"),
    ],
)
def test_what_joins_nothing_is_refused_with_the_way_out(frame, said):
    with pytest.raises(DatasetError, match=said):
        joined(IDS, csv(frame), "t.csv")


def test_what_is_no_table_is_refused():
    with pytest.raises(DatasetError, match=r"\.csv, \.tsv"):
        joined(IDS, b"x", "t.xlsx")
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        joined(IDS, b"x", "t.parquet")
