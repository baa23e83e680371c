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

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode

from features.errors import FeatureError
from features.networks import catalogue, hub_configs
from features.networks.settings import BY_NAME, Settings

AS, PART, HEAD, LESION, CLASSES = "as", "part", "head", "lesion", "classes"


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
    if _is_file(text):  # whatever signs its name has
        return NetworkName(weights=Path(text))
    base, _, query = text.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    taken_as, part, head, lesion, classes = (pairs.pop(key, None) for key in (AS, PART, HEAD, LESION, CLASSES))
    strange = [key for key in pairs if key not in BY_NAME]
    if strange:
        raise FeatureError(
            f"{text[:80]!r} has {strange[0][:40]!r}, which says nothing of a network. What can be said: "
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
    path = Path(base if Path(base).expanduser().exists() else unquote(base))
    return replace(name, name=taken_as, weights=path)


def as_options(name: NetworkName) -> str:
    """A network's name as options of a command, which can be pasted into a shell."""
    if name.name is None and not name.settings and name.lesion is None and name.classes is None:
        chosen = (("weights", str(name.weights)), ("part", name.part), ("head", name.head))
        return " ".join(f"--{option} {shlex.quote(value)}" for option, value in chosen if value)
    return f"--model {shlex.quote(str(name))}"


def _is_file(text: str) -> bool:
    """Whether a text names a file; one that is longer than names of files can be, as with many channels, does not."""
    try:
        return Path(text).expanduser().is_file()
    except OSError:
        return False


def _is_name(text: str) -> bool:
    """Whether a text names a network, and no file: there is no such file, and nothing in it is as in paths.

    A folder of results may be called as a network of the catalogue is.
    """
    path = Path(text).expanduser()
    if text.startswith(catalogue.TIMM) or (
        path.is_dir() and hub_configs.weights_in(path) is None and catalogue.is_known(text)
    ):
        return True
    return not path.exists() and not path.suffix and "/" not in text
