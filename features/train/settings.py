"""What a setting of a recipe is to people: the command line, the manifest, the README and forms read it from here."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

Need = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Setting:
    """One field of a recipe.

    name, default: as the dataclass has them; the type of the default is the setting's. help: what it does. group: the
    heading under which it stands. wanted, holds: which values there are, in words and as a test that NaN fails.
    choices: all values where they are names. needs: another setting and its values without which this one does nothing,
    () for all but its default; None for a setting that stands alone.
    """

    name: str
    default: Any
    help: str
    group: str
    wanted: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    needs: Need | None = None

    def is_needed(self, recipe: Any) -> bool:
        """Whether the settings that this one needs are as it needs them."""
        if self.needs is None:
            return True
        name, values = self.needs
        value = getattr(recipe, name)
        return value in values if values else value != next(f.default for f in fields(recipe) if f.name == name)

    def need_in_words(self) -> str:
        """'schedule multistep', 'held_back': what must be set beside this setting."""
        name, values = self.needs or ("", ())
        return " ".join([name, " or ".join(map(str, values))]).strip()


def setting(
    default: Any,
    text: str,
    group: str,
    wanted: str = "",
    holds: Callable[[Any], bool] | None = None,
    choices: tuple[str, ...] = (),
    needs: Need | None = None,
) -> Any:
    """A dataclass field with what `Setting` tells of it. Of choices, what is wanted follows."""
    if choices:
        wanted, holds = " or ".join(map(repr, choices)), choices.__contains__
    told = {"group": group, "wanted": wanted, "holds": holds, "choices": choices, "needs": needs}
    return field(default=default, metadata={"help": text, **told})


def settings_of(recipe: type) -> tuple[Setting, ...]:
    """Every setting of a recipe's class, in order."""
    return tuple(Setting(each.name, each.default, **each.metadata) for each in fields(recipe))


def at_least(least: float, below: float = inf) -> Callable[[Any], bool]:
    """least <= value < below, which NaN is not."""
    return lambda value: least <= value < below


def above(least: float, most: float = inf) -> Callable[[Any], bool]:
    """least < value <= most, and no infinite number."""
    return lambda value: least < value <= most and value < inf


def share(value: float) -> bool:
    """A probability, or another number from 0 to 1."""
    return 0 <= value <= 1
