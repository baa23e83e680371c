"""What the address of a saved view says of its figures: checked, since it may be somebody else's and becomes code."""

from collections.abc import Sequence
from typing import Any

from features.errors import FeatureError
from features.networks.naming import parse
from features.workspace import View

BOTH = ["resnet20-fashion", "plain20-fashion"]  # that a comparison begins with
FRAME = ("stem", "pool")  # beside the stages
UMAP = "UMAP"


def compared(view: View) -> list[str]:
    """The networks of a comparison's page, checked: they become lines of code."""
    return [str(parse(name)) for name in view.state.get("compared") or BOTH]


def pictured(view: View) -> int:
    """The number of the picture that is looked at."""
    return number(view, "image")


def number(view: View, name: str) -> int:
    """A whole number from 0 on; 0 where there is none."""
    text = view.one(name, "0")
    return int(text) if text.isdecimal() else 0


def method(view: View) -> str:
    """How saliency is told. Raises FeatureError for a method that there is not."""
    from features.saliency import METHODS

    return METHODS.need(view.one("method", "gradcam")).name


def laid_out(view: View) -> dict[str, Any]:
    """How features are laid out, as `embed.MapSettings` takes it. Raises FeatureError for a way that there is not."""
    from features.embed import METHODS

    titles = {each.title: each.name for each in METHODS.values()}
    title, numbers = view.one("map", UMAP), {"neighbours": 15, "min_dist": 0.1, "seed": 0}
    try:
        told = {name: type(usual)(view.one(name, str(usual))) for name, usual in numbers.items()}
        return {"method": titles[title], **told}
    except (KeyError, ValueError) as error:
        raise FeatureError(
            f"The address of {view.title} says how features are laid out by {error}, which cannot be. Keep it again."
        ) from error


def framed(view: View, stages: Sequence[str]) -> list[str]:
    """The stages whose maps a view shows, in the order of the network."""
    chosen = view.state.get("frame") or stages
    return [name for name in (FRAME[0], *stages, FRAME[1]) if name in chosen]


def channel(view: View) -> tuple[str, int]:
    """The layer that a view is about, '' where nobody chose, and the number of a channel in it."""
    return view.one("layer"), number(view, "channel")


def ordered(view: View) -> tuple[str | None, str | None]:
    """By what channels are ordered, and for which class; None where nobody chose. Raises FeatureError for an order that
    there is not."""
    from features.channels import RANKINGS

    name = view.one("order")
    return RANKINGS.need(name).name if name else None, view.one("order class") or None


def filters_by(view: View) -> str:
    """By what filters are sorted. Raises FeatureError for an order that there is not."""
    from features.channels import FILTER_ORDERS

    return FILTER_ORDERS.need(view.one("filters by", "index")).name


def beside(view: View) -> tuple[str, bool]:
    """The network whose channels are compared, checked as it becomes code, and whether in every block."""
    return str(parse(view.one("beside network"))), view.one("every block").lower() == "true"
