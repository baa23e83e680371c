"""One way to name a network, in every command, page and link.

resnet50                              a name of the catalogue
timm:resnet50.a1_in1k                 one of timm's, with the tag of its weights
weights/mine.pth                      a file
mine.pth?as=resnet50&part=encoder_q   a file with what it does not say itself: what to take it as, which part,
mine.pth?head=fc_age                  of several heads, which one
mine.pth?range=signed&stride-at=first      settings of `networks.settings`,
resnet50?lesion=without:layer3.1      and what is done to it: to blocks,
resnet50?lesion=without:layer3.1:5,17     or to channels of a layer
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode

from features.errors import FeatureError
from features.files import is_there
from features.networks import catalogue, hub_configs
from features.networks.settings import BY_NAME, Settings

AS, PART, HEAD, LESION, CLASSES = "as", "part", "head", "lesion", "classes"
SHOWN = 80  # characters of a name in an error
# What stands behind a comma in what is said of a network: a number, a channel, a block.
VALUE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[a-z_]+\d*\.\d+", re.IGNORECASE)


@dataclass(frozen=True)
class NetworkName:
    """Which network, and how its weights are taken.

    name: of the catalogue, or 'timm:NAME'; beside `weights` what these are taken as; None for what they say, or for the
    bundled network. part, head: of the networks in the file, and of that network's heads. classes: a text file with one
    class name a line. lesion: what is done to it, as `lesions.parse` reads it. settings: as of `settings.applied`.
    """

    name: str | None = None
    weights: Path | None = None
    part: str | None = None
    classes: Path | None = None
    lesion: str | None = None
    settings: Settings = ()
    head: str | None = None

    def need_file_for_parts(self) -> None:
        """Raise FeatureError for a part or a head of what is no file, before anything is fetched."""
        if self.weights is None and (self.part is not None or self.head is not None):
            raise FeatureError("A part or a head is chosen of a file of weights. Give one: FILE?head=NAME.")

    def __str__(self) -> str:
        """As `parse` reads it."""
        path = None if self.weights is None else str(self.weights).replace("%", "%25").replace("?", "%3F")
        base = path or self.name or catalogue.DEFAULT
        given = {AS: self.name if self.weights is not None else None, PART: self.part}
        given |= {HEAD: self.head, LESION: self.lesion}
        given[CLASSES] = None if self.classes is None else str(self.classes)
        pairs = [*((key, value) for key, value in given.items() if value is not None), *self.settings]
        return f"{base}?{urlencode(pairs, safe=',:/.')}" if pairs else base


def parse(text: str) -> NetworkName:
    """Read a name. Raises FeatureError for keys that there are none of."""
    if is_there(text) and Path(text).expanduser().is_file():  # whatever signs its name has
        return NetworkName(weights=Path(text))
    base, _, query = text.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    taken_as, part, head, lesion, classes = (pairs.pop(key, None) for key in (AS, PART, HEAD, LESION, CLASSES))
    strange = [key for key in pairs if key not in BY_NAME]
    if strange:
        raise FeatureError(
            f"{text[:SHOWN]!r} has {strange[0][:40]!r}, which says nothing of a network. What can be said: "
            f"{', '.join((AS, PART, HEAD, LESION, CLASSES, *BY_NAME))}."
        )
    name = NetworkName(
        part=part, head=head, lesion=lesion, classes=None if classes is None else Path(classes),
        settings=tuple(pairs.items()),
    )  # fmt: skip
    if _is_name(base):
        if taken_as is not None:
            raise FeatureError(f"{base!r} is a name already. '{AS}' belongs to files: FILE?{AS}={base}.")
        return replace(name, name=base)
    path = Path(base if is_there(base) else unquote(base))
    return replace(name, name=taken_as, weights=path)


def several(texts: Sequence[str]) -> list[str]:
    """The names in texts such as 'A,B?lesion=without:layer1.0,C', each as `parse` reads it.

    A piece behind a comma begins a new network if it is a known name, something that is there, or has '?' of its own,
    or if nothing is said of the network before it; the numbers, channels and blocks behind a comma in what is said
    belong to that. A path may have commas. Raises FeatureError for a piece that may be either, or neither.
    """
    return [name for text in texts for name in _listed(text)]


def _listed(text: str) -> list[str]:
    pieces = text.split(",")
    networks: list[str] = []
    while pieces:
        length = _length_of_path(pieces)
        piece = ",".join(pieces[:length])
        del pieces[:length]
        if networks and "?" in networks[-1] and not _begins(piece, networks[-1]):
            networks[-1] += f",{piece.strip()}"
        elif piece.strip():
            networks.append(piece.strip())
    return networks


def _length_of_path(pieces: Sequence[str]) -> int:
    """How many pieces make one path that is there, the most that do; 1 where none do."""
    for length in range(len(pieces), 1, -1):
        text = ",".join(pieces[:length])
        path, _, said = text.partition("?")
        if is_there(text) or ("," not in said and is_there(path)):
            return length
    return 1


def _begins(piece: str, before: str) -> bool:
    """Whether a piece begins a network, and says no more of the one before. Raises FeatureError where it is unclear."""
    piece = piece.strip()
    if not piece or "?" in piece:
        return True
    value, *more = piece.split("&")
    is_value = VALUE.fullmatch(value) is not None and all("=" in each for each in more)
    is_path = is_there(piece)
    if is_value and not is_path:
        return False
    if not is_value and (is_path or catalogue.is_known(piece)):
        return True
    raise FeatureError(
        f"{piece[:SHOWN]!r} behind {before[:SHOWN]!r} may be {'' if is_path else 'neither '}a network "
        f"{'or' if is_path else 'nor'} more that is said of the one before. Give each network an option of its own: "
        "--models A --models B."
    )


def as_options(name: NetworkName) -> str:
    """A network's name as options of a command, which can be pasted into a shell."""
    if name.name is None and not name.settings and name.lesion is None and name.classes is None:
        chosen = (("weights", str(name.weights)), ("part", name.part), ("head", name.head))
        return " ".join(f"--{option} {shlex.quote(value)}" for option, value in chosen if value)
    return f"--model {shlex.quote(str(name))}"


def _is_name(text: str) -> bool:
    """Whether a text names a network, and no file: there is no such file, and nothing in it is as in paths.

    A folder of results may be called as a network of the catalogue is.
    """
    path = Path(text)
    if text.startswith(catalogue.TIMM):
        return True
    if not is_there(text):
        return not path.suffix and "/" not in text
    path = path.expanduser()
    return path.is_dir() and hub_configs.weights_in(path) is None and catalogue.is_known(text)
