"""Takes residual branches out of a network, scales or swaps them.

Veit, Wilber & Belongie 2016, arXiv:1605.06431.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb

import numpy as np
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.canonical import NoShortcut, PaddedShortcut, ResidualBlock, ResidualNetwork, freeze
from features.networks.zoo import Model
from features.registry import Registry

WITHOUT, SCALED, RANDOM, SWAPPED = "without", "scaled", "random", "swapped"
FACTORS = (-1.0, -0.5, 0.0, 0.5, 1.5, 2.0)
DRAWS = 5


@dataclass(frozen=True)
class Lesion:
    """What is done to a network.

    name: for people. kind: one of KINDS. factors: block -> what its branch is multiplied with, 0 for leaving it out.
    swaps: pairs of blocks that change places. seed: what drew it, None if nothing did.
    """

    name: str
    kind: str
    factors: tuple[tuple[str, float], ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    seed: int | None = None

    @property
    def touched(self) -> tuple[str, ...]:
        """The blocks to which something is done."""
        return (*(name for name, _ in self.factors), *(name for pair in self.swaps for name in pair))

    @property
    def n_blocks(self) -> int:
        """How many blocks are touched."""
        return len(self.touched)

    def __str__(self) -> str:
        """As `parse` reads it, which knows nothing of what drew it."""
        if self.swaps:
            return f"{SWAPPED}:{':'.join(self.touched)}"
        factor = self.factors[0][1]
        return f"{SCALED}:{factor!r}:{','.join(self.touched)}" if factor else f"{WITHOUT}:{','.join(self.touched)}"


def without(*blocks: str) -> Lesion:
    """Leave out the branches of some blocks. In a plain network, which has no shortcuts, they hand on their input."""
    return Lesion(f"without {', '.join(blocks)}", WITHOUT, tuple((block, 0.0) for block in blocks))


def scaled(factor: float, *blocks: str) -> Lesion:
    """Multiply what some blocks' branches add."""
    return Lesion(f"{', '.join(blocks)} times {factor:g}", SCALED, tuple((block, factor) for block in blocks))


def swapped(one: str, other: str) -> Lesion:
    """Have two blocks of the same shape change places."""
    return Lesion(f"{one} and {other} swapped", SWAPPED, swaps=((one, other),))


def parse(text: str) -> Lesion:
    """A lesion as it is written: 'without:layer3.1,layer3.2', 'scaled:0.5:layer3.1' or 'swapped:layer3.1:layer3.2'.

    Raises FeatureError if it is none of these. Whether the blocks exist shows when it is made.
    """
    kind, *rest = text.split(":")
    blocks = [name.strip() for name in rest[-1].split(",") if name.strip()] if rest else []
    try:
        match kind, rest:
            case "without", [_] if blocks:
                return without(*blocks)
            case "scaled", [factor, _] if blocks:
                return scaled(float(factor), *blocks)
            case "swapped", [one, other]:
                return swapped(one.strip(), other.strip())
    except ValueError:
        pass
    raise FeatureError(
        f"The lesion was {text[:80]!r}. Wanted without:BLOCK, scaled:FACTOR:BLOCK or swapped:BLOCK:BLOCK, as in "
        "without:layer3.1 or scaled:0.5:layer3.1,layer3.2."
    )


def each(network: ResidualNetwork) -> tuple[Lesion, ...]:
    """Every block left out in turn."""
    return tuple(without(name) for name, _ in network.blocks())


def scalings(network: ResidualNetwork, factors: Sequence[float] = FACTORS) -> tuple[Lesion, ...]:
    """Every block's branch multiplied with every factor."""
    return tuple(scaled(factor, name) for name, _ in network.blocks() for factor in factors)


def at_random(network: ResidualNetwork, counts: Sequence[int], seeds: Sequence[int]) -> tuple[Lesion, ...]:
    """k blocks left out at a time, for every k of `counts` and every seed; no draw comes twice.

    Where there are fewer ways to choose k blocks than seeds, all of them.
    """
    names = [name for name, _ in network.blocks()]
    if not all(1 <= count <= len(names) for count in counts):
        raise FeatureError(f"There are {len(names)} blocks. Leave out from 1 to {len(names)}, not {list(counts)}.")
    lesions = []
    for count in counts:
        seen: set[tuple[int, ...]] = set()
        for seed in seeds:
            if len(seen) == comb(len(names), count):
                break
            random = np.random.default_rng([seed, count])
            while (drawn := tuple(sorted(random.choice(len(names), count, replace=False).tolist()))) in seen:
                pass
            seen.add(drawn)
            chosen = tuple((names[place], 0.0) for place in drawn)
            lesions.append(Lesion(f"{count} at random, seed {seed}", RANDOM, chosen, seed=seed))
    return tuple(lesions)


def neighbours(network: ResidualNetwork) -> tuple[Lesion, ...]:
    """Every two blocks of one shape that follow each other in a stage, swapped."""
    return tuple(
        swapped(name, next_name)
        for (name, block), (next_name, next_block) in pairwise(network.blocks())
        if _changes_no_shape(block) and _changes_no_shape(next_block) and _stage(name) == _stage(next_name)
    )


def powers_at_random(network: ResidualNetwork, seed: int = 0) -> tuple[Lesion, ...]:
    """1, 2, 4, ... blocks left out at random, each number DRAWS times with seeds from `seed` on."""
    n_blocks = len(list(network.blocks()))
    counts = [2**power for power in range(n_blocks.bit_length()) if 2**power <= n_blocks]
    return at_random(network, counts, range(seed, seed + DRAWS))


@dataclass(frozen=True)
class LesionKind:
    """A family of lesions that are measured together.

    name: on the command line and in tables; title: what is done, for people; paper: its source.
    shows: what to read off a measurement of all of them; shows_plain: the same of a network without shortcuts, where
    that is another. absent: why a network may have none.
    lesions: (network, seed) -> all of them.
    """

    name: str
    title: str
    shows: str
    paper: str
    lesions: Callable[[ResidualNetwork, int], tuple[Lesion, ...]]
    shows_plain: str = ""
    absent: str = ""


KINDS = Registry(
    "kind of lesion",
    (
        LesionKind(
            name=WITHOUT,
            title="without each block",
            shows="Every block in turn hands on its shortcut alone; below it, how large its branch is beside the "
            "shortcut. A network that is a bundle of many paths loses little with one block; first blocks of a stage "
            "matter most.",
            shows_plain="Every block in turn hands on its input as it is: in a plain network, a single path, that "
            "ruins nearly all.",
            paper="Veit et al. 2016, arXiv:1605.06431",
            lesions=lambda network, seed: each(network),
        ),
        LesionKind(
            name=SCALED,
            title="with each branch made larger, smaller or turned round",
            shows="One column a block, one row a factor of its branch. Where 0.5 and 2 hurt little, what matters is "
            "the branch's direction rather than its size.",
            paper="in the manner of Veit et al. 2016, arXiv:1605.06431",
            lesions=lambda network, seed: scalings(network),
        ),
        LesionKind(
            name=RANDOM,
            title="with several blocks left out at random",
            shows="Five draws for every number of blocks. A smooth fall says that paths share the work; a cliff at one "
            "block says that each is needed.",
            paper="Veit et al. 2016, arXiv:1605.06431",
            lesions=powers_at_random,
        ),
        LesionKind(
            name=SWAPPED,
            title="with two neighbours swapped",
            shows="Neighbours of one shape in each other's place: a network whose blocks refine one representation "
            "bears it.",
            paper="Veit et al. 2016, arXiv:1605.06431",
            lesions=lambda network, seed: neighbours(network),
            absent="No two neighbours of this network have the same shape, so none can be swapped.",
        ),
    ),
)


def lesions_of(network: ResidualNetwork, kind: str, seed: int = 0) -> tuple[Lesion, ...]:
    """All lesions of a kind of KINDS; seed: of what is drawn.

    Raises FeatureError for a kind that does not exist.
    """
    return KINDS.need(kind).lesions(network, seed)


def lesioned(model: Model, lesion: Lesion) -> Model:
    """The same network with a lesion, for any analysis: it shares its parameters with the intact one, which stays so.

    Its key is another, so that nothing that is known of one is taken for the other's.
    Raises FeatureError if a block does not exist, or two that are swapped differ in shape.
    """
    if not lesion.n_blocks:
        return model
    stages: dict[str, list[ResidualBlock]] = {}
    names = [name for name, _ in model.network.blocks()]
    for name, block in zip(names, changed_blocks(dict(model.network.blocks()), lesion), strict=True):
        stages.setdefault(_stage(name), []).append(block)
    network = freeze(ResidualNetwork(model.network.stem, stages, model.network.head))
    spec = replace(model.spec, name=f"{model.spec.name} {lesion.name}")
    again = None
    if model.name is not None and model.name.lesion is None and parse(str(lesion)) == lesion:
        again = replace(model.name, lesion=str(lesion))
    return Model(network, spec, model.digest, lesion.name, name=again)


def _stage(block: str) -> str:
    return block.split(".")[0]


def _changes_no_shape(block: ResidualBlock) -> bool:
    inputs, outputs, stride = block.shape
    return inputs == outputs and stride == 1


def changed_blocks(blocks: dict[str, ResidualBlock], lesion: Lesion) -> list[ResidualBlock]:
    """The blocks in the order of their places, changed where the lesion touches them."""
    for name in lesion.touched:
        if name not in blocks:
            raise FeatureError(f"There is no block {name}. This network has {', '.join(blocks)}.")
        if not blocks[name].shape[0]:
            raise FeatureError(f"{name} has been left out before. Name all that is done to a network in one lesion.")
    if len(set(lesion.touched)) < lesion.n_blocks:
        raise FeatureError(f"A block is named more than once in {lesion.name}. Name each once.")
    changed = dict(blocks)
    for one, other in lesion.swaps:
        if blocks[one].shape != blocks[other].shape:
            raise FeatureError(f"{one} and {other} differ in shape. Swap blocks that take and give the same.")
        changed[one], changed[other] = changed[other], changed[one]
    for name, factor in lesion.factors:
        changed[name] = _weakened(changed[name], factor)
    return [changed[name] for name in blocks]


def _weakened(block: ResidualBlock, factor: float) -> ResidualBlock:
    """The block with its branch times a factor, on the same parameters."""
    if factor != 0:
        return ResidualBlock(block.shortcut, nn.Sequential(*block.branch, Times(factor)), block.activation)
    inputs, outputs, stride = block.shape
    shortcut: nn.Module = block.shortcut
    if block.shortcut_kind == "none":  # without its only path nothing at all would come through
        same = inputs == outputs and stride == 1
        shortcut = nn.Identity() if same else PaddedShortcut(inputs, outputs, stride)
    return ResidualBlock(shortcut, nn.Sequential(NoShortcut(outputs, stride)), block.activation)


class Times(nn.Module):
    """A branch's last layer that makes it larger or smaller."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor
