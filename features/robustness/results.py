"""How often a network is right on worse pictures, as numbers: curves over strengths, mean corruption error, attacks."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from features.datasets import Rejected
from features.errors import FeatureError
from features.results import Provenance
from features.shares import Share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Curve:
    """Accuracy over a family's five strengths, the mildest first. shares: of the images, (5,)."""

    family: str
    unit: str
    strengths: tuple[float, ...]
    shares: tuple[Share, ...]

    @property
    def errors(self) -> tuple[float, ...]:
        """(5,) the share that is wrong at each strength."""
        return tuple(1 - share.value for share in self.shares)


@dataclass(frozen=True, eq=False)
class Robustness:
    """How a network does on N corrupted images. clean: its accuracy on them as they are.

    seed: of what is drawn of each image. labels_matched: with the network's classes, as `labels.Matched.how`.
    """

    network: str
    clean: Share
    curves: tuple[Curve, ...]
    seed: int
    labels_matched: str
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    @property
    def mean_error(self) -> float:
        """Over all families and strengths, of 1."""
        errors = [error for curve in self.curves for error in curve.errors]
        return sum(errors) / len(errors)

    def corruption_errors(self, baseline: "Robustness | None" = None) -> dict[str, float | None]:
        """Of each family the errors of all strengths in sum, over those of a baseline network on the same images.

        CE of Hendrycks & Dietterich 2019, section 4.2, whose baseline is AlexNet. Without a baseline, over the
        network's own error on the images as they are, once for each strength: how many times more often it is wrong.
        None where the divisor is 0.
        """
        own = [(1 - self.clean.value) * len(curve.errors) for curve in self.curves]
        divisors = own if baseline is None else [sum(curve.errors) for curve in self._same(baseline)]
        return {
            curve.family: sum(curve.errors) / divisor if divisor > 0 else None
            for curve, divisor in zip(self.curves, divisors, strict=True)
        }

    def relative_errors(self, baseline: "Robustness") -> dict[str, float | None]:
        """As `corruption_errors`, of how much each network's error rises above that on the images as they are.

        Relative CE of Hendrycks & Dietterich 2019. None where the baseline's does not rise.
        """
        return {
            curve.family: self._rise(curve) / rise if (rise := baseline._rise(other)) > 0 else None
            for curve, other in zip(self.curves, self._same(baseline), strict=True)
        }

    def _rise(self, curve: Curve) -> float:
        return sum(curve.errors) - len(curve.errors) * (1 - self.clean.value)

    def _same(self, baseline: "Robustness") -> tuple[Curve, ...]:
        """The baseline's curves. Raises FeatureError if they are of other images or corruptions."""
        mine, other = ((each.clean.n, each.seed, [c.family for c in each.curves]) for each in (self, baseline))
        if mine != other:
            raise FeatureError(
                f"Errors are compared on the same corrupted images, but {self.network} was shown {mine[0]} and "
                f"{baseline.network} {other[0]}, or other corruptions. Measure both on one set."
            )
        return baseline.curves

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row per family and strength, the images as they are first."""
        yield {"network": self.network, "corruption": "none", "level": 0, "strength": None, "unit": ""} | _told(
            self.clean
        )
        for curve in self.curves:
            for level, (strength, share) in enumerate(zip(curve.strengths, curve.shares, strict=True), start=1):
                yield {
                    "network": self.network, "corruption": curve.family, "level": level, "strength": strength,
                    "unit": curve.unit, **_told(share),
                }  # fmt: skip

    def table(self) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(list(self.rows()))

    def as_dict(self, baseline: "Robustness | None" = None) -> dict[str, Any]:
        """As JSON can hold it. baseline: as of `corruption_errors`."""
        errors = self.corruption_errors(baseline)
        content: dict[str, Any] = {
            "network": self.network,
            "n_images": self.clean.n,
            "clean": self.clean.as_dict(),
            "corruptions": {
                curve.family: {
                    "unit": curve.unit,
                    "strengths": list(curve.strengths),
                    "accuracy": [share.as_dict() for share in curve.shares],
                }
                for curve in self.curves
            },
            "mean_error": self.mean_error,
            "relative_to": "its own error on the images as they are" if baseline is None else baseline.network,
            "corruption_errors": errors,
            "mean_corruption_error": mean(errors),
            "seed": self.seed,
            "labels_matched": self.labels_matched,
            "rejected": [asdict(entry) for entry in self.rejected],
            "provenance": self.provenance.as_dict(),
        }
        if baseline is not None:
            relative = self.relative_errors(baseline)
            content |= {"relative_errors": relative, "relative_mean_corruption_error": mean(relative)}
            content["baseline"] = baseline.as_dict()
        return content


@dataclass(frozen=True, eq=False)
class Attacked:
    """Accuracy within balls. epsilons: radii of pixels from 0 to 1, 0 first; shares: (E,) of the images, at each.

    norm: of NORMS. step: the length of each of the steps, as a share of the radius.
    """

    network: str
    norm: str
    epsilons: tuple[float, ...]
    shares: tuple[Share, ...]
    steps: int
    step: float
    seed: int
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    def table(self) -> "pd.DataFrame":
        """One row per radius."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"network": self.network, "norm": self.norm, "epsilon": epsilon, **_told(share)}
                for epsilon, share in zip(self.epsilons, self.shares, strict=True)
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "network": self.network,
            "norm": self.norm,
            "epsilons": list(self.epsilons),
            "accuracy": [share.as_dict() for share in self.shares],
            "steps": self.steps,
            "step": self.step,
            "seed": self.seed,
            "rejected": [asdict(entry) for entry in self.rejected],
            "provenance": self.provenance.as_dict(),
        }


def mean(errors: Mapping[str, float | None]) -> float | None:
    """Over all families; None where one has none."""
    known = [error for error in errors.values() if error is not None]
    return sum(known) / len(known) if known and len(known) == len(errors) else None


def _told(share: Share) -> dict[str, float]:
    low, high = share.interval
    return {"accuracy": share.value, "low": low, "high": high, "images": share.n}
