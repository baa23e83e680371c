"""Orders of a layer's channels, each by one number of theirs that is named."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.channels.last_stage import Contributions, contributions, is_sum_of_means
from features.channels.layers import need_channel
from features.channels.next_block import Readers, reader_of, readers
from features.channels.results import Channels, Layer
from features.channels.selectivity import Selectivity
from features.channels.sweep import ChannelSweep
from features.errors import FeatureError
from features.networks.zoo import Model
from features.registry import Registry

LABELS, CLASS, READERS, CONTRIBUTIONS, SWEEP = "labels", "class_name", "readers", "contributions", "sweep"
NEEDED = {
    LABELS: "labels. Choose a labelled set",
    CLASS: "a class. Name one",
    READERS: "a block whose convolutions read the layer. Choose a layer before another block",
    CONTRIBUTIONS: "logits that are sums over its channels. Choose the last block of a network whose classifier is one "
    "layer on means",
    SWEEP: "what the network does without each channel. Measure that first",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a layer's C channels.

    readers: what the next block's convolutions read of them, None where none does. contributions: what each adds to the
    logits, None where these are no sums over them. sweep: accuracy without each, None where it was not measured.
    class_name: the class that some orders are about, None for none.
    """

    told: Channels
    layer: Layer
    readers: Readers | None = None
    contributions: Contributions | None = None
    sweep: ChannelSweep | None = None
    class_name: str | None = None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The classes of the images, None for images without."""
        return self.told.classes.names or None

    @property
    def selectivity(self) -> Selectivity:
        return self.told.selectivity(self.layer.name)


def evidence(
    told: Channels, model: Model, layer: str, class_name: str | None = None, sweep: ChannelSweep | None = None
) -> Evidence:
    """All that follows from what was measured and from the network's weights.

    layer: one of those measured, by its name or its stage's. sweep: of the same layer, None where none was made.
    Raises FeatureError if the layer was not measured, or the sweep is of another.
    """
    chosen = told.layer(layer)
    if sweep is not None and sweep.layer != chosen.name:
        raise FeatureError(f"The sweep is of {sweep.layer}, but {chosen.name} is looked at. Measure that one.")
    read = readers(model, chosen.name) if reader_of(model, chosen.name) else None
    return Evidence(told, chosen, read, _contributions(model, chosen), sweep, class_name)


def _contributions(model: Model, layer: Layer) -> Contributions | None:
    last = [name for name, _ in model.network.blocks()][-1]
    return contributions(model, layer.means) if layer.name == last and is_sum_of_means(model) else None


@dataclass(frozen=True, eq=False)
class Ranked:
    """A layer's C channels in the order of a ranking, the first first: channels (C,) int64, values (C,) float64.

    Those without a value (NaN) come last. layer: its name. title: of the ranking.
    """

    layer: str
    title: str
    channels: np.ndarray
    values: np.ndarray

    def rank_of(self, channel: int) -> int:
        """A channel's place in the order, from 1 on. Raises FeatureError if there is no such channel."""
        need_channel("The layer", len(self.channels), channel)
        return int(np.flatnonzero(self.channels == channel)[0]) + 1

    def table(self) -> pd.DataFrame:
        """One row per channel, in the order."""
        return pd.DataFrame({"layer": self.layer, "channel": self.channels, self.title: self.values})


@dataclass(frozen=True)
class Ranking:
    """An order of channels.

    name: on the command line, in links and files. title: for people. means: what its number is, with its unit.
    values: what is known -> (C,), NaN for what a channel has none of. needs: of NEEDED. smallest_first: its direction.
    classes: what is known -> the names of which one is needed, for orders that are about a class.
    """

    name: str
    title: str
    means: str
    values: Callable[[Evidence], np.ndarray]
    needs: tuple[str, ...] = ()
    smallest_first: bool = False
    classes: Callable[[Evidence], tuple[str, ...]] | None = None

    @property
    def needs_sweep(self) -> bool:
        """Whether it takes measuring what the network does without each channel."""
        return SWEEP in self.needs

    def missing(self, known: Evidence) -> str:
        """What it needs that is not known, a class not chosen yet too, and what to do; '' for nothing."""
        for need in self.needs:
            if getattr(known, need) is None:
                return NEEDED[need]
        return ""

    def can_rank(self, known: Evidence) -> bool:
        """Whether all that it needs is known, but for a class that can be chosen."""
        return all(getattr(known, need) is not None for need in self.needs if need != CLASS)

    def of(self, known: Evidence) -> Ranked:
        """The order. Raises FeatureError if something that it needs is not known, or there is no such class."""
        if missing := self.missing(known):
            raise FeatureError(f"The order by {self.title} of {known.layer.name} needs {missing}.")
        if self.classes is not None and known.class_name not in (there := self.classes(known)):
            raise FeatureError(
                f"There is no class {known.class_name!r} for the order by {self.title}. Choose one of "
                f"{', '.join(there[:20])}{', ...' if len(there) > 20 else ''}."
            )
        values = np.asarray(self.values(known), np.float64)  # (C,)
        order = np.argsort(values if self.smallest_first else -values, kind="stable")  # NaN is last either way
        return Ranked(known.layer.name, self.title, order, values[order])


def _of_class(known: Evidence, names: tuple[str, ...], table: np.ndarray) -> np.ndarray:
    """The row (C,) of the class that is asked for, of a table (K, C)."""
    assert known.class_name is not None  # as `needs` says
    return table[names.index(known.class_name)]


def _best_auroc(known: Evidence) -> np.ndarray:
    return np.fmax.reduce(known.selectivity.auroc)  # NaN where no class has one


def _lost(known: Evidence) -> np.ndarray:
    """Accuracy that is lost without each channel, or agreement where there is no accuracy; NaN for those not swept."""
    assert known.sweep is not None  # as `needs` says
    values = np.full(known.layer.n_channels, np.nan)
    made = known.sweep
    values[made.channels] = made.intact_accuracy - made.accuracy if made.judged else 1 - made.agreement
    return values


def _strengths(known: Evidence) -> np.ndarray:
    assert known.readers is not None  # as `needs` says
    return known.readers.strengths


def _logits(known: Evidence) -> np.ndarray:
    assert known.contributions is not None  # as `needs` says
    return _of_class(known, known.contributions.class_names, known.contributions.values)


def _images_classes(known: Evidence) -> tuple[str, ...]:
    return known.told.classes.names


def _networks_classes(known: Evidence) -> tuple[str, ...]:
    return () if known.contributions is None else known.contributions.class_names


RANKINGS = Registry(
    "order of channels",
    (
        Ranking(
            "index", "number", "the channel's number in the layer",
            lambda known: np.arange(known.layer.n_channels), smallest_first=True,
        ),
        Ranking(
            "mean", "mean", "mean over images and positions, in the layer's own unit", lambda known: known.layer.mean
        ),
        Ranking(
            "highest", "highest value", "largest value at any position of any image, in the layer's own unit",
            lambda known: known.layer.highest,
        ),
        Ranking(
            "silent", "silence", "share of images without a position above 0, from 0 to 1",
            lambda known: known.layer.silent,
        ),
        Ranking(
            "auroc", "best AUROC", "AUROC, from 0 to 1, for the class that it tells apart best", _best_auroc, (LABELS,)
        ),
        Ranking(
            "class-auroc", "AUROC for a class", "how often an image of the class has the larger mean of two, 0 to 1",
            lambda known: _of_class(known, known.told.classes.names, known.selectivity.auroc), (LABELS, CLASS),
            classes=_images_classes,
        ),
        Ranking(
            "class-difference", "difference for a class", "mean of the class less that of all others, in the layer's "
            "own unit",
            lambda known: _of_class(known, known.told.classes.names, known.selectivity.difference), (LABELS, CLASS),
            classes=_images_classes,
        ),
        Ranking(
            "logit", "contribution to a logit", "what it adds to a class's logit, exactly, as the mean over images",
            _logits, (CONTRIBUTIONS, CLASS), classes=_networks_classes,
        ),
        Ranking(
            "lost", "accuracy lost without it", "accuracy with all channels less accuracy without this one, as a "
            "share; without labels the share of images that are predicted otherwise", _lost, (SWEEP,),
        ),
        Ranking(
            "read", "how much it is read", "Euclidean norm of the next block's weights that read it", _strengths,
            (READERS,),
        ),
    ),
)  # fmt: skip


def usual(told: Channels) -> Ranking:
    """The order of channels that nobody chose: by the best AUROC where enough images have labels for it to tell
    anything, else by the highest value."""
    return RANKINGS.need("auroc" if told.classes.names and told.classes.are_enough else "highest")
