"""What `evaluate` is asked of worse pictures: corruptions at five strengths, and attacks."""

import argparse
from typing import TYPE_CHECKING, Any

from features.commands.common import (
    Parser,
    loaded,
    made_of,
    names,
    on_this_machine,
    positive,
    print_table,
    seed,
    show,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.networks.zoo import Model


def add(evaluate: Parser) -> None:
    """Add these options to the command."""
    worse = evaluate.add_argument_group(
        "worse pictures",
        "What is changed is the square that the network sees, in grey levels, after it was scaled and cut.",
    )
    worse.add_argument(
        "--corruptions",
        action="store_true",
        help="accuracy with noise, blur, less contrast, JPEG, rotation and shift at five strengths",
    )
    evaluate.add_choice(
        "--families",
        "features.robustness:FAMILIES",
        "corruptions of {names} (default: all)",
        type=names,
        metavar="A,B",
    )
    worse.add_argument(
        "--baseline",
        metavar="NETWORK",
        help="over whose errors those of each corruption are told (default: the network's own on the images as they "
        "are)",
    )
    evaluate.add_choice(
        "--attack",
        "features.robustness:NORMS",
        "accuracy under projected gradient descent within a ball of {names}",
        metavar="NORM",
    )
    worse.add_argument(
        "--epsilons",
        type=_radii,
        default=(),
        metavar="A,B",
        help="radii of the attack, of pixels from 0 to 1 (default: 1, 2, 4 and 8 of 255 of linf, 0.125 to 1 of l2)",
    )
    worse.add_argument("--steps", type=positive, default=10, metavar="N", help="of the attack (default: %(default)s)")
    worse.add_argument(
        "--step", type=float, default=0.25, metavar="X", help="of the attack, of its radius (default: %(default)s)"
    )
    worse.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of what is drawn of each image (default: %(default)s)"
    )
    worse.add_argument("--out", type=on_this_machine, metavar="DIR", help="where tables and JSON of these go")
    worse.add_argument(
        "--replace", action="store_true", help="replace what an earlier run with other settings left there"
    )


def _radii(text: str) -> tuple[float, ...]:
    """'0.01,8/255' as numbers."""
    try:
        parts = [part.split("/") for part in names(text)]
        return tuple(float(part[0]) / float(part[1]) if len(part) == 2 else float(part[0]) for part in parts)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"wanted numbers with commas between, as 2/255,0.03, got {text}") from None


def need_asked(options: argparse.Namespace) -> None:
    """Raise FeatureError for what goes with corruptions or an attack alone, before anything is read."""
    given = {"--families": options.families, "--baseline": options.baseline}
    if not options.corruptions and (extra := next((name for name, value in given.items() if value), "")):
        raise FeatureError(f"{extra} is of --corruptions. Add it, or leave {extra} away.")
    if not options.attack and options.epsilons:
        raise FeatureError("--epsilons are of --attack. Add it, or leave --epsilons away.")
    if options.out is not None:
        if not (options.corruptions or options.attack):
            raise FeatureError("--out is for --corruptions or --attack. Add one of them, or leave --out away.")
        from features.claim import need_kind
        from features.datasets import need_outside
        from features.robustness import ROBUSTNESS

        need_outside(options.source, options.out)
        need_kind(options.out, ROBUSTNESS)


def measured(options: argparse.Namespace, model: "Model", images: "ImageSet", way: str | None) -> dict[str, Any]:
    """What was asked for, as JSON can hold it, measured or read from a finished folder; {} for nothing."""
    if not (options.corruptions or options.attack):
        return {}
    from features import robustness
    from features.claim import Claim
    from features.networks import naming

    baseline = None if options.baseline is None else loaded(naming.parse(options.baseline), images)
    settings = made_of(model, images) | {
        name: getattr(options, name) for name in ("corruptions", "attack", "seed", "match")
    }
    if options.corruptions:
        settings["families"] = options.families or list(robustness.FAMILIES)
        settings["baseline"] = None if baseline is None else baseline.key
    if options.attack:
        settings |= {"epsilons": list(options.epsilons), "steps": options.steps, "step": options.step}
    results = _Asked(options, model, baseline, images, way)
    if options.out is None:
        return results.content()
    with Claim(options.out, robustness.ROBUSTNESS, settings, options.replace) as claim:
        if claim.finished is None:
            content = results.content()
            robustness.write(claim, *results.made)
            return content
        return {name: claim.finished[name] for name in ("robustness", "attack") if name in claim.finished}


class _Asked:
    """What is asked for, measured when its content is."""

    def __init__(
        self, options: argparse.Namespace, model: "Model", baseline: "Model | None", images: "ImageSet", way: str | None
    ) -> None:
        self.options, self.model, self.baseline, self.images, self.way = options, model, baseline, images, way
        self.made: tuple[Any, Any, Any] = (None, None, None)

    def content(self) -> dict[str, Any]:
        from features import robustness
        from features.robustness.export import content_of

        options = self.options
        told = baseline = attack = None
        if options.corruptions:
            families = options.families or tuple(robustness.FAMILIES)
            told, baseline = (
                None
                if each is None
                else show(robustness.robustness(each, self.images, families, self.way, options.seed))
                for each in (self.model, self.baseline)
            )
        if options.attack:
            attack = show(
                robustness.attacked(
                    self.model, self.images, options.attack, options.epsilons, options.steps, options.step, self.way,
                    options.seed,
                )
            )  # fmt: skip
        self.made = (told, baseline, attack)
        return content_of(*self.made)


def tell(content: dict[str, Any]) -> None:
    """Print what was measured as tables."""
    if (told := content.get("robustness")) is not None:
        _tell_corruptions(told)
    if (attack := content.get("attack")) is not None:
        _tell_attack(attack)


def _tell_corruptions(told: dict[str, Any]) -> None:
    print(f"\ncorrupted at five strengths, the mildest first; as they are {told['clean']['value']:.1%} are right")
    table: list[tuple[str, ...]] = [("corruption", *map(str, range(1, 6)), "strengths", "error, relative")]
    for family, each in told["corruptions"].items():
        error = told["corruption_errors"][family]
        strengths = " ".join(f"{strength:.3g}" for strength in each["strengths"])
        accuracy = (f"{share['value']:.1%}" for share in each["accuracy"])
        table.append((family, *accuracy, f"{strengths} {each['unit']}", "-" if error is None else f"{error:.2f}"))
    print_table(table)
    print(f"mean error {told['mean_error']:.2%}; errors are relative to {told['relative_to']}")
    if (error := told["mean_corruption_error"]) is not None:
        print(f"mean corruption error {error:.1%}")
    if (error := told.get("relative_mean_corruption_error")) is not None:
        print(f"relative mean corruption error {error:.1%}")


def _tell_attack(attack: dict[str, Any]) -> None:
    print(f"\nattacked in {attack['steps']} steps of {attack['step']:g} of the radius, {attack['norm']}")
    table: list[tuple[str, ...]] = [("radius", "accuracy", "95 % interval")]
    table += [
        (f"{epsilon:.4g}", f"{share['value']:.1%}", f"{share['low']:.1%} to {share['high']:.1%}")
        for epsilon, share in zip(attack["epsilons"], attack["accuracy"], strict=True)
    ]
    print_table(table)
