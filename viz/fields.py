"""What the fields at the side are called that say what options of the command line say."""

import re

from features.networks.settings import SETTINGS

PATH_COLUMN, LABEL_COLUMNS = "Paths of the images", "Labels"
WEIGHTS, READ_AS, PART, HEAD, CLASSES = "Path of the weights", "Read as", "Part", "Head", "Names of the classes"
FIELDS = {
    "--weights": WEIGHTS,
    "--model": READ_AS,
    "--part": PART,
    "--head": HEAD,
    "--classes": CLASSES,
    "--path-column": PATH_COLUMN,
    "--label-column": LABEL_COLUMNS,
    **{f"--{setting.name}": setting.title for setting in SETTINGS},
}
# With the word for what it takes, as in "--classes FILE".
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)( (?:FILE|NAME(?!:)|NETWORK|SOURCE)\b)?")
COMMAND = re.compile(r"(`[^`]*`)")


def as_fields(text: str) -> str:
    """A text with the fields in quotation marks for the options that it names. Commands between backticks stay."""
    return "".join(part if COMMAND.fullmatch(part) else OPTION.sub(_field, part) for part in COMMAND.split(text))


def _field(option: re.Match[str]) -> str:
    return f"“{FIELDS[option[1]]}”" if option[1] in FIELDS else option[0]
