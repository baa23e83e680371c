"""Reads lists that are text: paths, paths with labels, CSV, TSV, JSON Lines, in every encoding."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from features.datasets.lists import json_rows
from features.datasets.lists.roles import is_known
from features.datasets.lists.table import Table, different, numbered
from features.errors import DatasetError
from features.sources import CSV, EXTENSIONS, JSON, JSON_LINES, PLAIN_LISTS, TSV

csv.field_size_limit(1 << 30)  # bytes of a cell: masks that are written as text are longer than 128 KiB
SAMPLED = 50  # lines by which it is told how a list is written
MARKS = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
There = Callable[[str], bool]


def decoded(data: bytes, where: str) -> str:
    """The text of a list, its lines ended by a newline. Bytes that are no UTF-8 stay those of a file's name."""
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None)
    encoding = encoding or _unmarked(data[:1000])
    try:
        text = data.decode(encoding) if encoding else data.decode("utf-8", "surrogateescape")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{where} begins as {encoding}, but is damaged: {error.reason}. Save it again.") from error
    return text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")


def _unmarked(data: bytes) -> str | None:
    """The encoding of a list without a mark of which every other byte is 0, as of letters in UTF-16; else None."""
    zeros = {"utf-16-le": data[1::2].count(0), "utf-16-be": data[::2].count(0)}
    return next((name for name, count in zeros.items() if 4 * count > len(data)), None)


def table_of(data: bytes, where: str, ending: str, there: There) -> Table:
    """A list as a table. ending: '.csv' and so on. there: whether a cell names a file.

    Raises DatasetError if it has no rows, or is damaged.
    """
    text = _decoded(data, where, ending, there)
    if ending in (*JSON_LINES, *JSON):
        return json_rows.table_of(text, where, ending in JSON_LINES, _looks)
    rows = _with_all_names(_rows(_without_count(text), where, ending, there))
    if not rows:
        raise DatasetError(f"{where} names no images. Write a path a line into it.")
    named = _is_header(rows, there)
    width = max(map(len, rows))
    names = different([*rows[0], *[""] * (width - len(rows[0]))]) if named else numbered(width)
    body = rows[1:] if named else rows
    if not body:
        raise DatasetError(f"{where} names no images: it has only a line of {', '.join(names)}. Write them below.")
    columns = [list(column) for column in zip_longest(*body, fillvalue="")]
    columns += [[""] * len(body) for _ in range(width - len(columns))]
    return Table(where, dict(zip(names, columns, strict=True)), named)


def _without_count(text: str) -> str:
    """A list without a first line that only says how many rows follow, as CelebA's have it."""
    first, _, rest = text.partition("\n")
    if not first.strip().isdecimal():
        return text
    follow = sum(bool(line.strip()) for line in rest.split("\n"))
    return rest if int(first) in (follow, follow - 1) and follow > 1 else text


def _with_all_names(rows: list[list[str]]) -> list[list[str]]:
    """Rows whose first is names with blanks between, of all columns or of all but that of the paths, as cells."""
    if len(rows) < 2 or len(rows[0]) > 1 or len(rows[1]) < 2:
        return rows
    names = rows[0][0].split()
    missing = len(rows[1]) - len(names)
    return [["image", *names] if missing else names, *rows[1:]] if missing in (0, 1) else rows


def _decoded(data: bytes, where: str, ending: str, there: There) -> str:
    """As `decoded`; bytes that are no UTF-8 and no file's either are those of Windows' spreadsheets."""
    text = decoded(data, where)
    if ending not in WAYS or text.isascii() or not any(map(_is_byte, text)):
        return text
    rows = _rows(text, where, ending, there)
    odd = [cell for row in rows for cell in row if any(map(_is_byte, cell))]
    if any(map(there, odd[:SAMPLED])):
        return text
    return decoded(data.decode("cp1252", "replace").encode(), where)


def _is_byte(sign: str) -> bool:
    return "\udc80" <= sign <= "\udcff"


@dataclass(frozen=True)
class _Way:
    """A way to write a row on a line. cells: of one line, or None where `csv` reads it with a delimiter."""

    cells: Callable[[str], list[str]] | None
    delimiter: str = ""

    def rows(self, text: str) -> Iterator[list[str]]:
        if self.cells is not None:
            for line in text.split("\n"):
                if line.strip() and not _is_comment(line):
                    yield self.cells(line)
            return
        lines = (line for line in io.StringIO(text, newline="") if not _is_comment(line))
        for row in csv.reader(lines, delimiter=self.delimiter):
            if any(cell.strip() for cell in row):
                yield row


def _is_comment(line: str) -> bool:
    return line.startswith("#") and (line[1:2] in (" ", "\t", "#", "") or not _looks(line.split("\t")[0]))


def _looks(cell: str) -> bool:
    """Whether a cell is called as images are."""
    return cell.strip().strip("\"'").split("?")[0].lower().endswith(EXTENSIONS)


def _alone(line: str) -> list[str]:
    return [_unquoted(line)]


def _unquoted(text: str) -> str:
    bare = text.strip()
    return bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else text


def _last_blank(line: str) -> list[str]:
    return [_unquoted(part) for part in line.strip().rsplit(None, 1)]


def _first_blank(line: str) -> list[str]:
    quoted = re.fullmatch(r"\"([^\"]+)\"\s+(.*)", line.strip())
    return [*quoted.groups()] if quoted else [_unquoted(part) for part in line.strip().split(None, 1)]


def _numbers_behind(line: str) -> list[str]:
    """A path and numbers; else as one cell."""
    parts = line.split()
    return parts if len(parts) > 2 and all(re.fullmatch(r"[-+\d.]+", part) for part in parts[1:]) else [line]


TAB, COMMA, SEMICOLON, BAR = (_Way(None, sign) for sign in "\t,;|")
WHOLE, LAST, FIRST, NUMBERS = map(_Way, (_alone, _last_blank, _first_blank, _numbers_behind))
WAYS = {
    **dict.fromkeys(PLAIN_LISTS, (TAB, WHOLE, COMMA, SEMICOLON, BAR, NUMBERS, LAST, FIRST)),
    **dict.fromkeys(CSV, (COMMA, SEMICOLON, TAB, BAR, WHOLE)),
    **dict.fromkeys(TSV, (TAB, COMMA, WHOLE)),
}


def _rows(text: str, where: str, ending: str, there: There) -> list[list[str]]:
    """The rows, read in the way in which most of the first ones name files, or are called as images are."""
    first = "\n".join(text.split("\n", SAMPLED)[:SAMPLED])
    ways = WAYS[ending]

    def fits(way: _Way) -> tuple[int, int, bool]:
        try:
            rows = [*way.rows(first)]
        except csv.Error:
            return 0, 0, False
        widths = {*map(len, rows)}
        regular = len(widths) == 1 and widths != {1}
        return _most(rows, there), _most(rows, _looks), regular and (ending not in PLAIN_LISTS or way is NUMBERS)

    best = max(ways, key=lambda way: (fits(way), -ways.index(way)))
    try:
        rows = [*best.rows(text)]
        if rows and best.cells is None and (len(rows[-1]) != len(rows[0]) or any("\n" in cell for cell in rows[-1])):
            _need_quotes_closed(text, best.delimiter)
        return rows
    except csv.Error as error:
        raise DatasetError(f"{where} cannot be read as a table: {error}. Write it again as CSV.") from error


def _need_quotes_closed(text: str, delimiter: str) -> None:
    """Raises csv.Error if a quote is open at the end of a table, which then has taken in the rows behind it."""
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            raise csv.Error("a quote that is opened is never closed") from error


def _most(rows: Sequence[Sequence[str]], fits: There) -> int:
    """Of how many rows a cell fits, in the column where most do."""
    counts: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row):
            counts[column] = counts.get(column, 0) + fits(cell)
    return max(counts.values(), default=0)


def _is_header(rows: Sequence[Sequence[str]], there: There) -> bool:
    """Whether the first line names the columns."""
    first, others = rows[0], rows[1 : SAMPLED + 1]
    if any(_looks(cell) or there(cell) for cell in first):
        return False
    if any(map(is_known, first)):
        return True
    if len(first) > 1 and any(_looks(cell) or there(cell) for row in others for cell in row):
        return True
    columns = zip_longest(*others, fillvalue="")
    return any(
        not _is_number(name) and all(map(_is_number, cells)) for name, cells in zip(first, columns, strict=False)
    )


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", cell))
