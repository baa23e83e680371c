"""The command that makes a comparison once more."""

import shlex
from collections.abc import Sequence

OUT = "comparison"  # the folder that it names, wherever the first one was


def again(source: str, networks: Sequence[str], remark: str = "", **options: str | int | None) -> str:
    """A line for a shell. source, networks: as the command line takes them. remark: what the line cannot say, as a
    comment. options: of `python -m features compare`, those that are not given left out; True for one without a value.
    """
    words = ["python", "-m", "features", "compare", source]
    for network in networks:
        words += ["--models", network]
    for name, value in options.items():
        if value:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    comment = f"  # {' '.join(remark.split())}" if remark else ""
    return shlex.join([*words, "--out", OUT]) + comment
