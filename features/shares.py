"""Shares of a count, with the interval in which the true share may lie."""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Share:
    """hits of n, n at least 1; `value`, `low` and `high` are in [0, 1]."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the true share: Wilson 1927, doi:10.1080/01621459.1927.10502953."""
        centre = (self.value + Z_95**2 / (2 * self.n)) / (1 + Z_95**2 / self.n)
        spread = (
            Z_95 * sqrt(self.value * (1 - self.value) / self.n + Z_95**2 / (4 * self.n**2)) / (1 + Z_95**2 / self.n)
        )
        return max(0.0, centre - spread), min(1.0, centre + spread)

    def as_dict(self) -> dict[str, float]:
        """As it stands in files."""
        low, high = self.interval
        return {"value": self.value, "low": low, "high": high, "n": self.n}
