"""Writes a feature set part by part, so that a run that is stopped goes on with the first part that is missing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from features import files
from features.claim import MANIFEST, Claim
from features.datasets import Rejected
from features.store.formats import PARQUET, names_of
from features.store.manifest import EARLIER_PARTS, Manifest, manifest_of, read_manifest
from features.store.parts import Parts

KEPT_PARTS = "parts"  # among the kept files of a claim


class Writer:
    """Writes the parts of one feature set, in any order; parts that are there already stay.

    Parquet parts appear in the folder itself one by one, unless features of another run lie there: then they are kept
    beside them, as the parts are from which another format is made (`store.write_as`).

    parts: where they lie. missing: the numbers of those that were not there when this run began.
    finished: the manifest of an earlier run with the same settings that came to its end, or None.
    """

    def __init__(self, claim: Claim, manifest: Manifest) -> None:
        """Begin, or go on. Raises StoreError if the disk has too little room."""
        self.claim, self.manifest = claim, manifest
        self._shown = manifest.format == PARQUET and claim.direct
        folder = claim.folder if self._shown else claim.kept / KEPT_PARTS
        self.parts = Parts(folder, claim.new, replace(manifest, format=PARQUET))
        self.missing: list[int] = []
        self.finished: Manifest | None = None
        with claim.errors():
            self._begin()

    def _begin(self) -> None:
        claim, manifest = self.claim, self.manifest
        finished = None if claim.finished is None else manifest_of(claim.finished)
        if finished is not None and not self._shown:
            self.finished = finished
            return
        if not self._shown:
            self._adopt_earlier()
            files.make_folder(self.parts.folder)
        self.missing = self.parts.missing()
        if finished is not None and not self.missing:
            self.finished = finished
            return
        if finished is not None:
            claim.redo()
        left = sum(len(manifest.parts[number]) for number in self.missing)
        size = self.parts.manifest.bytes_in_all * left / max(1, manifest.n_images)
        claim.need_room(int(size) + (0 if manifest.format == PARQUET else manifest.bytes_in_all))
        if self._shown and claim.held is None:
            claim.publish(manifest.content(), names_of(manifest), complete=False)

    def _adopt_earlier(self) -> None:
        """Take over the parts that an earlier version left when it was stopped on its way to the same features."""
        earlier = self.claim.folder / EARLIER_PARTS
        leftovers = self.claim.held.leftovers if self.claim.held is not None and self.claim.direct else ()
        if f"{EARLIER_PARTS}/{MANIFEST}" in leftovers and not self.parts.folder.exists():
            earlier.rename(self.parts.folder)

    def collected(self) -> Manifest | None:
        """As `finish`, where an earlier run was stopped after the last part; else None."""
        if self._shown or self.missing or not (self.parts.folder / MANIFEST).exists():
            return None
        done = read_manifest(self.parts.folder)
        return self._show(done) if done.complete else None

    def finish(
        self, images_per_second: float | None, made_with: dict[str, Any], aside: Sequence[Rejected] = ()
    ) -> Manifest:
        """Collect what was rejected, and close the manifest. Every part must be there.

        aside: files of the images' source that were no part of the set.

        Another format than Parquet is then to be made of the parts.
        """
        with self.claim.errors():
            done = self.parts.finish(images_per_second, made_with, aside)
            if not self._shown:
                done.write(self.parts.folder)
        return self._show(done)

    def _show(self, done: Manifest) -> Manifest:
        names = names_of(done) - {MANIFEST}
        if self._shown:
            self.claim.publish(done.content(), names, complete=True)
        elif self.manifest.format == PARQUET:
            self.claim.commit(done.content(), {f"{KEPT_PARTS}/{name}": name for name in names})
        return done
