"""Parquet parts on their way to the disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from features.datasets import Rejected
from features.store.feature_set import FeatureSet
from features.store.kind import FEATURES
from features.store.manifest import Manifest
from features.store.parquet import about, is_whole, part_name, table_of, write_rejected, write_table


@dataclass(frozen=True)
class Parts:
    """The parts of one feature set on their way to the disk; a worker of a cluster writes to them as well.

    folder: where they lie. scratch: where each is written until it is whole, on the same file system.
    """

    folder: Path
    scratch: Path
    manifest: Manifest

    def missing(self) -> list[int]:
        """The numbers of the parts that are not there, or not whole."""
        return [number for number in range(len(self.manifest.parts)) if not is_whole(self._path(number))]

    def write(self, number: int, part: FeatureSet) -> None:
        """Write one part: the readable images of `manifest.parts[number]`, with rows that count from the first.

        Raises StoreError if it cannot be written.
        """
        with FEATURES.errors(self.folder):
            write_table(table_of(part, self.manifest), self._path(number), self.scratch)

    def finish(
        self, images_per_second: float | None, made_with: dict[str, Any], aside: Sequence[Rejected] = ()
    ) -> Manifest:
        """Collect what was rejected, and what the manifest says in the end. Every part must be there."""
        told = [about(self._path(number)) for number in range(len(self.manifest.parts))]
        lost = [Rejected(*entry[1:]) for part in told for entry in part["rejected"]]
        write_rejected(lost, aside, self.folder, self.scratch)
        return replace(
            self.manifest,
            made_with=made_with,
            n_rows=sum(part["rows"] for part in told),
            n_rejected=len(lost),
            images_per_second=images_per_second,
        )

    def _path(self, number: int) -> Path:
        return self.folder / part_name(self.manifest, number)
