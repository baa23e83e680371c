"""Reads rows of a Parquet column in any order, holding few of them in memory."""

import os
import threading
from collections import OrderedDict, deque
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.files import readable

GROUPS_KEPT = 2  # row groups held in memory at a time
LARGE_GROUP = 128 << 20  # bytes
PIECE_ROWS, PIECE_BYTES, PIECES_KEPT = 32, 4 << 20, 8  # of large row groups
LEAST_ROWS = 8  # of a piece: decoders ask for rows in about their order, and no row is to be read twice


class RowGroups:
    """Row groups of one column, of which as much is held as is small: whole groups, or of a large one a few pieces.

    A large group, such as pandas makes of a whole table, is read from its beginning on: a row that lies before what is
    held starts it again. No less is read than the pages of the file, of which the first may hold a thousand rows.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._whole: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()
        self._pieces: deque[tuple[tuple[Path, int], int, pa.Array]] = deque(maxlen=PIECES_KEPT)  # with their first row
        self._open_group: _OpenGroup | None = None
        # Where reading a group failed, and whether it did twice: then it is the file and not what lies before it.
        self._failed: dict[tuple[Path, int], tuple[int, bool, Exception]] = {}

    def value(self, file: Path, number: int, size: int, row: int) -> pa.Scalar:
        """One row of a file's row group of `size` bytes."""
        with self._lock:
            if self._process != os.getpid():  # open files cannot be shared with the process that this came from
                self._begin()
            group = file, number
            if size > LARGE_GROUP:
                return self._piece(group, row)
            if group not in self._whole:
                with readable(file) as source, pq.ParquetFile(source) as opened:
                    self._whole[group] = opened.read_row_group(number, columns=[self._column]).column(0)
                while len(self._whole) > GROUPS_KEPT:
                    self._whole.popitem(last=False)
            self._whole.move_to_end(group)
            return self._whole[group][row]

    def _piece(self, group: tuple[Path, int], row: int) -> pa.Scalar:
        while True:
            failed_at, again, error = self._failed.get(group, (row + 1, False, None))
            if again and row >= failed_at and error is not None:
                raise error
            for held, first, values in self._pieces:
                if held == group and first <= row < first + len(values):
                    return values[row - first]
            if self._open_group is None or self._open_group.group != group or self._open_group.row > row:
                if self._open_group is not None:
                    self._open_group.close()
                self._open_group = _OpenGroup(group, self._column)
            first = self._open_group.row
            try:
                self._pieces.append((group, first, self._open_group.next()))
            except Exception as problem:
                self._failed[group] = first, failed_at == first, problem
                self._open_group.close()
                self._open_group = None
                raise


class _OpenGroup:
    """A row group that is being read, piece by piece. row: the first of the next piece."""

    def __init__(self, group: tuple[Path, int], column: str) -> None:
        self.group, self.row = group, 0
        self._open = ExitStack()
        source = self._open.enter_context(readable(group[0]))
        # Without a buffer a whole group is fetched at once.
        opened = self._open.enter_context(pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20))
        whole = opened.metadata.row_group(group[1])
        rows = PIECE_BYTES * whole.num_rows // max(1, whole.total_byte_size)
        rows = max(min(LEAST_ROWS, PIECE_ROWS), min(PIECE_ROWS, rows))
        self._batches = opened.iter_batches(rows, row_groups=[group[1]], columns=[column], use_threads=False)

    def next(self) -> pa.Array:
        """The next piece."""
        values = next(self._batches).column(0)
        self.row += len(values)
        return values

    def close(self) -> None:
        self._open.close()
