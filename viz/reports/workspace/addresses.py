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
    text = view.one("image", "0")
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
