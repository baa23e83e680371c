"""Runs two networks side by side over images, each stitched to the other wherever their maps have one size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from features.compare.agreement import agreement
from features.compare.stitching.affine import Affine, Sums, Variance, as_positions, best_ridge, fitted
from features.compare.stitching.decoded import FITTED, HELD, TOLD, Read, Reader, frame
from features.compare.stitching.planning import Partners, Plan, Stitches, planned
from features.compare.stitching.results import Joint, Stitching
from features.datasets import ImageSet
from features.datasets.decoding import batch_size, need_images
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.engine.torch_engine import maps_at_once
from features.networks.canonical import ResidualBlock
from features.networks.zoo import Model
from features.progress import Task
from features.results import finite, not_finite, provenance

# Logits (n, K), as a network puts them out, and the images' rows in the set (n,) -> (n,) bool, whether each is right.
Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]
Maps = dict[str, Tensor]


def stitched(
    first: Model, second: Model, images: ImageSet, judges: tuple[Judge, Judge], settings: Stitches | None = None
) -> Task[Stitching]:
    """Put each network's maps into the other, by the best affine map of channels at every position, and count what is
    right then (Lenc & Vedaldi 2015, arXiv:1411.5908; Bansal et al. 2021, arXiv:2106.07682; fitted to the maps
    themselves, as Csiszarik et al. 2021, arXiv:2110.14633).

    The map is a 1x1 convolution with a bias, by least squares over all positions of some images; what is right is
    counted on others. Nothing is done to mapped values below 0, though a ReLU's are never: to set them to 0 brings them
    nearer to what they were fitted to, yet left less accuracy at 31 of 36 joints of three networks of Fashion-MNIST (up
    to 5 points) and more at one.
    judges: say of the first and second network's logits which images are right. Images that either network cannot read
    are left out of both.
    Raises FeatureError if a network has no classifier or puts out NaN, no stages have maps of one size or there are too
    few images; DatasetError if too few can be read.
    """
    for model in (first, second):
        model.need_classifier()
    need_images(images)
    settings = settings or Stitches()
    plan = planned(first, second, len(images), settings)
    sides = (_Side(first, judges[0]), _Side(second, judges[1]))
    size = min(_at_once(side) for side in sides)
    reader = Reader([side.preprocessing for side in sides], images, plan, settings.seed, size, str(sides[0].device))
    with closing(reader.batches()) as stream:
        run = _Run(sides, plan, reader, stream)
        fitting = yield from run.gathered(FITTED)
        held = yield from run.gathered(HELD, fitting)
        solved = yield from _solved(sides, reader, plan, fitting, held)
        tallies = yield from run.counted(solved)
    return _result((first, second), plan, settings, reader, tallies)


class _Side:
    """One network, made to be walked stage by stage."""

    def __init__(self, model: Model, judge: Judge) -> None:
        self.model, self.judge, self.device = model, judge, device_of(model.network)
        self.preprocessing = model.spec.preprocessing
        self.network = FastNetwork(model.network, self.preprocessing, torch.float32, self.device)
        self.stages: dict[str, list[ResidualBlock]] = {
            name: [cast(ResidualBlock, block) for block in cast(nn.Sequential, stage)]
            for name, stage in self.network.stages.items()
        }

    @torch.inference_mode()
    def stem(self, pixels: Tensor) -> Tensor:
        return self.network.stem(pixels.to(self.device, memory_format=torch.channels_last))  # (n, C, H, W)

    @torch.inference_mode()
    def stage(self, name: str, x: Tensor) -> Tensor:
        return forward.through(self.stages[name], x)  # (n, C, H, W)

    def after(self, name: str) -> list[str]:
        """The stages behind one."""
        names = [*self.stages]
        return names[names.index(name) + 1 :]

    @torch.inference_mode()
    def right(self, maps: Tensor, rows: np.ndarray) -> np.ndarray:
        """(n,) bool, of the last stage's output (n, C, H, W)."""
        classifier = self.network.classifier
        assert classifier is not None  # stitched needed it
        logits = finite(classifier(self.network.pooled(maps)), self.model)  # (n, K)
        return np.asarray(self.judge(logits.cpu().numpy(), rows), dtype=bool)


def _at_once(side: _Side) -> int:
    if side.device.type == "cuda":
        return batch_size(side.preprocessing, "cuda")
    return min(batch_size(side.preprocessing), maps_at_once(side.preprocessing, "fp32"))


class _Run:
    """Both networks over the images of a reader."""

    def __init__(self, sides: tuple[_Side, _Side], plan: Plan, reader: Reader, stream: Iterator[Read]) -> None:
        self.sides, self.plan, self.reader, self.stream = sides, plan, reader, stream
        self.n_stages = sum(len(side.stages) for side in sides)

    def gathered(self, number: int, about: Sequence[Sums] = ()) -> Task[list[Sums]]:
        """The sums of every pair of stages over the images of a span. about: those whose origins to take."""
        sums = [each.like() for each in about]
        for read in self.reader.span(self.stream, number):
            maps = yield from self._maps(read, "fitting", self.n_stages)
            pairs = [self._positions(maps, partners) for partners in self.plan.partners]
            sums = sums or [Sums(*pair) for pair in pairs]
            for each, pair in zip(sums, pairs, strict=True):
                each.add(*pair)
            del maps, pairs  # before the next batch makes its own
        for each in sums:
            for side, is_finite in zip(self.sides, each.is_finite, strict=True):
                if not is_finite:
                    raise not_finite(side.model)
        return sums

    def counted(self, solved: "Sequence[_Solved]") -> Task[list["_Tally"]]:
        """What is right with each of the maps, over the images of the last span."""
        tallies = [_Tally(each) for each in solved]
        behind = [self.sides[1 - each.giver].after(each.into) for each in solved]
        n_steps = self.n_stages + sum(map(len, behind))
        for read in self.reader.span(self.stream, TOLD):
            maps = yield from self._maps(read, "counting", n_steps)
            intact = [
                side.right(made[last], read.rows)
                for side, made in zip(self.sides, maps, strict=True)
                for *_, last in [side.stages]
            ]
            done = self.n_stages
            for tally, names in zip(tallies, behind, strict=True):
                giver, receiver = tally.of.giver, 1 - tally.of.giver
                side = self.sides[receiver]
                x = tally.mapped(maps[giver], maps[receiver], side)
                for name in names:
                    x = side.stage(name, x)
                    done += 1
                    yield self.reader.progress("counting", done / n_steps, read)
                tally.add(intact[receiver], side.right(x, read.rows))
            del maps, x
        return tallies

    def _maps(self, read: Read, note: str, n_steps: int) -> Task[tuple[Maps, Maps]]:
        """What every stage of both networks puts out, in steps of `n_steps` for the batch."""
        made: tuple[Maps, Maps] = ({}, {})
        done = 0
        for side, pixels, maps in zip(self.sides, read.pixels, made, strict=True):
            x = side.stem(pixels)
            for name in side.stages:
                x = maps[name] = side.stage(name, x)
                done += 1
                yield self.reader.progress(note, done / n_steps, read)
        return made

    def _positions(self, maps: tuple[Maps, Maps], partners: Partners) -> tuple[Tensor, Tensor]:
        """(P, C) and (P, C') of a pair of stages, on the first network's device."""
        one, other = (as_positions(made[name]) for made, name in zip(maps, partners.stages, strict=True))
        return one, other.to(one.device)


@dataclass(frozen=True, eq=False)
class _Solved:
    """One direction of a pair of stages. giver: 0 for the first network."""

    partners: Partners
    giver: int
    fit: Affine
    n_positions: int

    @property
    def stage(self) -> str:
        return self.partners.stages[self.giver]

    @property
    def into(self) -> str:
        return self.partners.stages[1 - self.giver]


def _solved(
    sides: tuple[_Side, _Side], reader: Reader, plan: Plan, fitting: list[Sums], held: list[Sums]
) -> Task[list[_Solved]]:
    """Both directions' maps of every pair of stages; sums are let go of as soon as they have served."""
    solved = []
    for partners in plan.partners:
        sums, tried = fitting.pop(0), held.pop(0)
        ridges = []
        for giver in (0, 1):
            yield reader.progress("solving")
            ridges.append(best_ridge(sums, tried, giver))
        sums.take_in(tried)
        for giver, ridge in enumerate(ridges):
            yield reader.progress("solving")
            solved.append(_Solved(partners, giver, fitted(sums, giver, ridge).to(sides[1 - giver].device), sums.n))
    return solved


class _Tally:
    """What is counted of one direction of a pair of stages."""

    def __init__(self, of: _Solved) -> None:
        self.of, self.variance = of, Variance()
        self._intact: list[np.ndarray] = []
        self._stitched: list[np.ndarray] = []

    def mapped(self, giver: Maps, receiver: Maps, side: _Side) -> Tensor:
        """The giver's maps as the receiver takes them, (n, C', H, W)."""
        mapped = self.of.fit(giver[self.of.stage].to(side.device))
        self.variance.add(as_positions(receiver[self.of.into]), as_positions(mapped))
        return mapped

    def add(self, intact: np.ndarray, stitched: np.ndarray) -> None:
        """(n,) bool each: where the receiver is right by itself, and with the mapped maps."""
        self._intact.append(intact)
        self._stitched.append(stitched)

    def joint(self, names: tuple[str, str]) -> Joint:
        of, giver = self.of, self.of.giver
        widths = of.partners.widths if giver == 0 else of.partners.widths[::-1]
        return Joint(
            names[giver], names[1 - giver], of.stage, of.into, of.partners.resolution, (widths[0], widths[1]),
            of.n_positions, widths[0] + 1, of.fit.ridge, self.variance.explained,
            agreement(np.concatenate(self._intact), np.concatenate(self._stitched)),
        )  # fmt: skip


def _result(
    models: tuple[Model, Model], plan: Plan, settings: Stitches, reader: Reader, tallies: list[_Tally]
) -> Stitching:
    one, other = (model.spec.name for model in models)
    names = (one, other) if one != other else (f"{one} (1)", f"{other} (2)")
    made = [provenance(model, reader.images) for model in models]
    n_fitted, n_told = sum(reader.n_read[:TOLD]), reader.n_read[TOLD]
    return Stitching(
        names, tuple(tally.joint(names) for tally in tallies), plan.unmatched, n_fitted, n_told, settings.seed,
        plan.macs, tuple(reader.rejected.values()), (*_notes(names, models), *plan.notes), made[0], made[1],
    )  # fmt: skip


def _notes(names: tuple[str, str], models: tuple[Model, Model]) -> Iterator[str]:
    one, other = (model.spec.preprocessing for model in models)
    if frame(one) != frame(other):
        yield (
            f"{names[0]} and {names[1]} see different cuts of an image ({one.describe_size()}; "
            f"{other.describe_size()}), so that the same position of their maps is not quite the same in the image."
        )
