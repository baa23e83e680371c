"""What results weigh, counted by hand."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from viz.jobs.weight import weight


@dataclass(frozen=True, eq=False)
class Told:
    values: np.ndarray
    parts: tuple
    names: dict


def test_arrays_are_counted_wherever_they_lie_and_once():
    values = np.zeros(1000)  # 8,000 bytes
    assert weight(values) == 8000
    assert weight([values, values, values[:10].reshape(2, 5)]) == 8000
    assert weight(values[:10]) == 8000  # it keeps all of it in memory
    assert weight(Told(values, (np.zeros(10, np.float32), b"123"), {"a": "12", "b": [values]})) == 8000 + 40 + 3 + 2


def test_tables_and_arrays_of_texts_count_what_they_hold():
    table = pd.DataFrame({"a": np.zeros(1000)})
    assert weight(table) >= 8000
    assert weight(np.array(["x" * 100], dtype=object)) >= 100


def test_what_lies_in_a_file_takes_no_memory(tmp_path):
    values = open_memmap(tmp_path / "a.npy", "w+", np.float32, (1000, 1000))
    assert weight(values) == 0
    assert weight(values[:10]) == 0


def test_what_holds_itself_ends():
    loop: list = [np.zeros(10)]
    loop.append(loop)
    assert weight(loop) == 80
