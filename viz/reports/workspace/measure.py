"""What a figure of a saved view is drawn of, and what it is about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from features.progress import Task
from features.workspace import View

if TYPE_CHECKING:
    import pandas as pd

    from features.datasets import ImageSet
    from features.networks.zoo import Model


@dataclass(frozen=True)
class Setting:
    """What a view is about. load: a network by its name, for views of several. earlier: what was measured for it so
    far, by the measures' names."""

    model: "Model"
    images: "ImageSet"
    view: View
    load: "Callable[[str], Model]"
    earlier: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """What figures are drawn of.

    name: as a notebook calls it. imports, code: lines that make it there of `model`, `images` and the measures before
    it, by what the view says. run: makes the same here. table: of it, to take away; None where it has none.
    """

    name: str
    imports: tuple[str, ...]
    code: Callable[[View], str]
    run: Callable[[Setting], Task[Any]]
    table: "Callable[[Any], pd.DataFrame] | None" = None


def always(code: str) -> Callable[[View], str]:
    """Lines that are the same whatever a view says."""
    return lambda view: code


def own_table(result: Any) -> "pd.DataFrame":
    """Of a result that has one."""
    return result.table()
