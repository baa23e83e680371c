"""What stitching tells of two networks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from features.compare.agreement import Agreement
from features.compare.stitching.planning import Unmatched
from features.datasets import Rejected
from features.results import Provenance
from features.shares import Share

if TYPE_CHECKING:
    import pandas as pd

FEW = 10  # positions per unknown, below which a fit may be worse than the best


@dataclass(frozen=True)
class Joint:
    """One network's maps in another's stead: the giver's after `stage`, mapped to the receiver's after `into`.

    giver, receiver: the networks' names. resolution: (H, W) of the maps. widths: channels of the giver and receiver.
    n_positions, n_unknowns: of the fit, the latter for each of the receiver's channels. ridge: a share of a channel's
    mean variance, chosen on images left out of the fit at first.
    explained: the share of the receiver's variance that the affine map explains at other images (R^2, channels weighted
    by their variance); at most 1, below 0 if worse than the mean, NaN where the receiver's maps are constant.
    change: the receiver intact (first) and stitched (second), image by image.
    """

    giver: str
    receiver: str
    stage: str
    into: str
    resolution: tuple[int, int]
    widths: tuple[int, int]
    n_positions: int
    n_unknowns: int
    ridge: float
    explained: float
    change: Agreement

    @property
    def accuracy(self) -> Share:
        """Of the receiver with the giver's maps."""
        return Share(self.change.both + self.change.second_only, self.change.n_images)

    @property
    def intact(self) -> Share:
        """Of the receiver by itself, on the same images."""
        return Share(self.change.both + self.change.first_only, self.change.n_images)

    @property
    def is_lower_bound(self) -> bool:
        """Whether there were few positions for each unknown: with more images, more might be left."""
        return self.n_positions < FEW * self.n_unknowns

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "giver": self.giver, "receiver": self.receiver, "stage": self.stage, "into": self.into,
            "resolution": list(self.resolution), "widths": list(self.widths), "n_positions": self.n_positions,
            "n_unknowns": self.n_unknowns, "is_lower_bound": self.is_lower_bound, "ridge": self.ridge,
            "explained": self.explained if self.explained == self.explained else None,
            "accuracy": self.accuracy.as_dict(), "intact": self.intact.as_dict(),
            "difference": self.change.difference, "interval": list(self.change.interval),
            "p_value": self.change.p_value,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stitching:
    """Two networks stitched at every pair of stages with maps of one size, in both directions.

    names: of the first network and the second. joints: by stages, the first network giving before it receives.
    unmatched: stages without a partner. n_fitted, n_told: images, of those that both networks could read. macs: what it
    cost, in multiply-adds. notes: what should be known, in sentences.
    """

    names: tuple[str, str]
    joints: tuple[Joint, ...]
    unmatched: tuple[Unmatched, ...]
    n_fitted: int
    n_told: int
    seed: int
    macs: float
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]
    first: Provenance
    second: Provenance

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "first": self.first.as_dict(), "second": self.second.as_dict(),
            "joints": [joint.as_dict() for joint in self.joints],
            "unmatched": [
                {"network": self.names[each.network], "stage": each.stage, "reason": each.reason}
                for each in self.unmatched
            ],
            "n_fitted": self.n_fitted, "n_told": self.n_told, "seed": self.seed,
            "rejected": [{"id": each.id, "reason": each.reason} for each in self.rejected], "notes": list(self.notes),
        }  # fmt: skip

    def table(self) -> "pd.DataFrame":
        """One row per joint, its shares in columns of their own."""
        import pandas as pd

        return pd.DataFrame([_row(joint) for joint in self.joints], columns=list(COLUMNS))


COLUMNS = (
    "giver", "receiver", "stage", "into", "height", "width", "channels", "channels_into", "n_positions", "n_unknowns",
    "is_lower_bound", "ridge", "explained", "n", "accuracy", "low", "high", "intact", "difference", "difference_low",
    "difference_high", "p_value",
)  # fmt: skip


def _row(joint: Joint) -> dict[str, Any]:
    (height, width), (channels, into) = joint.resolution, joint.widths
    (low, high), (difference_low, difference_high) = joint.accuracy.interval, joint.change.interval
    same = ("giver", "receiver", "stage", "into", "n_positions", "n_unknowns", "is_lower_bound", "ridge", "explained")
    return {name: getattr(joint, name) for name in same} | {
        "height": height, "width": width, "channels": channels, "channels_into": into, "n": joint.change.n_images,
        "accuracy": joint.accuracy.value, "low": low, "high": high, "intact": joint.intact.value,
        "difference": joint.change.difference, "difference_low": difference_low, "difference_high": difference_high,
        "p_value": joint.change.p_value,
    }  # fmt: skip
