"""What processes hand to each other through files comes back as it was, and nothing in such a file is ever run."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from features.residual import without
from features.results import Provenance
from viz.jobs import results
from viz.jobs.results import ResultError


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, 2.5, True, "x", b"y"], "b": (None, {3}, frozenset({4}))},
        OrderedDict(one=1),
        Path("a/b"),
        without("layer1.0"),
        Provenance(model="resnet18", settings={"stage": "layer2"}),
        np.float32(0.1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_as_they_were(tmp_path, value):
    results.write(tmp_path / "value", value)
    back = results.read(tmp_path / "value")
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.float16).reshape(2, 3)[:, ::2],
        np.asfortranarray(np.eye(3)),
        np.array(["a", None], object),
        np.zeros((0, 4), np.int64),
        np.array([True, False]),
        np.array(["ab", "c"]),
        np.array([[[1, 2], None], ["a", [3, 4]]], object),
        np.array(7.5),
        np.zeros(2, [("a", "i4")]),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_arrays_come_back_with_their_shape_and_type(tmp_path, values):
    results.write(tmp_path / "array", {"of": values})
    back = results.read(tmp_path / "array")["of"]
    assert back.dtype == values.dtype
    assert np.array_equal(back, values)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.bfloat16], ids=str)
def test_tensors_come_back_as_tensors(tmp_path, dtype):
    values = torch.arange(6, dtype=dtype).reshape(2, 3).T
    results.write(tmp_path / "tensor", [values])
    (back,) = results.read(tmp_path / "tensor")
    assert torch.equal(back, values)
    assert back.dtype == dtype


class Runs:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    "value",
    [
        Runs(os.system, "touch ran"),
        Runs(eval, "open('ran', 'w')"),
        Runs(exec, "open('ran', 'w')"),
        [np.zeros(1), {"deep": Runs(os.mkdir, "ran")}],
    ],
    ids=["system", "eval", "exec", "deep inside"],
)
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(pickle.dumps(value))
    with pytest.raises(ResultError, match="is no type of a result"):
        results.read(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "named",
    [
        "cfeatures.files\nremove_all\n.",  # a function of this project
        "cfeatures.files\nos\n.",  # what one of its modules imports
        "cfeatures.datasets.image_set\nPath\n.",
        "cfeatures.errors\nFeatureError\n.",  # a class, but of no result
    ],
)
def test_of_this_project_only_the_types_of_results_are_named(tmp_path, named):
    (tmp_path / "file").write_bytes(named.encode())
    with pytest.raises(ResultError, match="is no type of a result"):
        results.read(tmp_path / "file")


def test_a_file_changes_no_class(tmp_path):
    exists = Path.exists
    (tmp_path / "file").write_bytes(b"\x80\x04cpathlib\nPath\nN}\x8c\x06existsK\x07s\x86b.")
    with pytest.raises(ResultError, match=r"changes <class 'pathlib\.Path'>"):
        results.read(tmp_path / "file")
    assert Path.exists is exists


def test_arrays_are_not_told_of_pointers(tmp_path):
    """numpy's pickled types take fields of objects whose pointers are in the file, and follow these."""
    dtype, made = Runs(None), Runs(None)
    dtype.reduced = np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
    made.reduced = np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, (2,), dtype, False, b"A" * 16)
    (tmp_path / "file").write_bytes(pickle.dumps(made))
    with pytest.raises(ResultError, match="is no type of a result"):
        results.read(tmp_path / "file")


def test_a_result_of_another_version_is_refused(tmp_path):
    lesion = without("layer1.0")
    vars(lesion).pop("kind")
    (tmp_path / "file").write_bytes(pickle.dumps([lesion]))
    with pytest.raises(ResultError, match="has no kind: it is of another version"):
        results.read(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1] * 100)[:20]], ids=["empty", "text", "half"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ResultError, match="cannot be read"):
        results.read(tmp_path / "file")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ResultError, match="cannot be read"):
        results.read(tmp_path / "file")
