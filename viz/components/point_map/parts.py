"""What a map shows, as it travels to the browser: points, colours, texts and small pictures."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.errors import FeatureError
from viz.components.point_map.media import digest

MOST_CATEGORIES = 65_535
STEPS = 255  # of a continuous scale; the number after them is that of a missing value
BLOCK = 1024  # rows whose texts the browser fetches at once


@dataclass(frozen=True, eq=False)
class Binary:
    """Bytes for the browser. Made once and kept with what it is made of, since hashing a large map takes a while."""

    content: bytes

    @cached_property
    def name(self) -> str:
        return digest(self.content)


@dataclass(frozen=True, eq=False)
class Panel:
    """One map in a frame of several, all of the same N images, row by row.

    name: what gestures call it, different from the others'. title, note: the lines above it, such as a stage and its
    trust scores. points: (N, 2), finite. neighbours: (N, k) rows, each image's nearest in the feature space without
    itself, to which lines are drawn from the point under the pointer; None for no lines. values: (N,) this map's own
    values in place of the colours', of the same scale, such as how far each point can be trusted here.
    """

    name: str
    title: str
    points: np.ndarray
    note: str = ""
    neighbours: np.ndarray | None = None
    values: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise FeatureError(f"The map '{self.name}' needs points of shape (N, 2), but got {self.points.shape}.")
        if not np.isfinite(self.points).all():
            raise FeatureError(f"The map '{self.name}' has points that are NaN or infinite. Lay it out again.")
        if self.neighbours is not None and (self.neighbours.ndim != 2 or len(self.neighbours) != len(self.points)):
            raise FeatureError(
                f"The map '{self.name}' needs neighbours of shape ({len(self.points)}, k), but got "
                f"{self.neighbours.shape}."
            )

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def binary(self) -> Binary:
        """x and y of every row in turn, float32: 8 bytes a point."""
        return Binary(np.ascontiguousarray(self.points, "<f4").tobytes())

    @cached_property
    def neighbours_binary(self) -> Binary | None:
        """k rows of every row in turn, int32."""
        return None if self.neighbours is None else Binary(np.ascontiguousarray(self.neighbours, "<i4").tobytes())


@dataclass(frozen=True, eq=False)
class Colours:
    """What the points' colours say: a category, or a number on a scale.

    values: (N,) indices into names, -1 for none; or, where names are empty, numbers, NaN for none. palette: CSS
    colours, of the categories in turn, again from the start where they are more; or those along the scale, evenly from
    low to high. title: what is told, such as 'label'.
    """

    values: np.ndarray
    palette: Sequence[str]
    names: Sequence[str] = ()
    low: float = 0.0
    high: float = 1.0
    title: str = ""

    def __post_init__(self) -> None:
        if self.values.ndim != 1:
            raise FeatureError(f"Colours need one value a point, shape (N,), but got {self.values.shape}.")
        if not self.palette:
            raise FeatureError("Colours need a palette of at least one colour.")
        if self.names:
            self._need_categories()
        elif not (np.isfinite(self.low) and np.isfinite(self.high)):
            raise FeatureError(f"A scale of colours needs finite ends, but got {self.low} to {self.high}.")

    def _need_categories(self) -> None:
        if len(self.names) > MOST_CATEGORIES:
            raise FeatureError(
                f"{len(self.names):,} categories cannot be told apart by colours: {MOST_CATEGORIES:,} can at most. "
                "Join the rarest to one."
            )
        if not np.issubdtype(self.values.dtype, np.integer):
            raise FeatureError(f"Categories need integer values, but got {self.values.dtype}.")
        if len(self.values) and not (self.values.min() >= -1 and self.values.max() < len(self.names)):
            raise FeatureError(
                f"Categories must be -1 to {len(self.names) - 1}, but are {self.values.min()} to {self.values.max()}."
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def wide(self) -> bool:
        """Whether a value takes two bytes, not one."""
        return len(self.names) > STEPS

    def encoded(self, values: np.ndarray) -> bytes:
        """(N,) values as indices into the palette's texture, the last of them for none: 1 or 2 bytes a point."""
        if self.names:
            return values.astype("<u2" if self.wide else "u1").tobytes()  # -1 turns into the largest
        spread = self.high - self.low
        share = (
            (values.astype(np.float64) - self.low) / spread if spread > 0 else np.where(np.isnan(values), np.nan, 0.5)
        )
        steps = np.clip(np.nan_to_num(share, nan=0, posinf=1, neginf=0), 0, 1) * (STEPS - 1)
        return np.where(np.isnan(values), STEPS, steps.round()).astype("u1").tobytes()

    @cached_property
    def binary(self) -> Binary:
        return Binary(self.encoded(self.values))

    @cached_property
    def legend(self) -> Binary:
        """Names and colours, apart from the values: JSON."""
        said = {
            "title": self.title, "names": [str(name) for name in self.names], "palette": list(self.palette),
            "low": float(self.low), "high": float(self.high), "wide": self.wide,
        }  # fmt: skip
        return Binary(json.dumps(said).encode())


@dataclass(frozen=True, eq=False)
class Texts:
    """What stands beside the pointer, for each of N rows: lines parted by '\\n'. Browsers fetch BLOCK rows at once.

    content: uint32 offsets of the blocks and of the end, then the blocks: uint32 offsets of each text and of the end,
    counted from the first text, then the texts in UTF-8.
    """

    count: int
    content: bytes

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Texts":
        """Made once for a set: a million take about a second."""
        encoded = [text.encode("utf-8", "replace") for text in lines]
        blocks = [_block(encoded[start : start + BLOCK]) for start in range(0, len(encoded), BLOCK)]
        sizes = np.array([4 * (len(blocks) + 1), *map(len, blocks)])
        return cls(len(encoded), b"".join([np.cumsum(sizes).astype("<u4").tobytes(), *blocks]))

    @cached_property
    def binary(self) -> Binary:
        return Binary(self.content)


def _block(texts: Sequence[bytes]) -> bytes:
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    return b"".join([offsets.tobytes(), *texts])


@dataclass(frozen=True, eq=False)
class Pictures:
    """Small square pictures of rows, on sheets of `rows_of_sheet` rows of `columns` each.

    sheets: their addresses: of `media_address`, under /app/static, or data links (which travel once alone).
    positions: (N,) each row's picture, counted through all sheets, -1 for none; None where row r has picture r.
    """

    sheets: Sequence[str]
    columns: int
    rows_of_sheet: int
    positions: np.ndarray | None = None

    @cached_property
    def binary(self) -> Binary:
        """JSON."""
        said = {"sheets": list(self.sheets), "columns": self.columns, "rows": self.rows_of_sheet}
        return Binary(json.dumps(said).encode())

    @cached_property
    def positions_binary(self) -> Binary | None:
        """int32, of which the browser fetches what it needs."""
        return None if self.positions is None else Binary(np.ascontiguousarray(self.positions, "<i4").tobytes())
