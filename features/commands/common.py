"""What subcommands have in common: arguments, loading a network, a progress bar, a table."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from features import files
from features.errors import FeatureError
from features.networks.settings import BY_NAME, SETTINGS, Setting, Settings
from features.progress import Progress, Result, Task, finish
from features.registry import spelled

if TYPE_CHECKING:
    from features.cluster import Cluster
    from features.datasets import Columns, ImageSet, Rejected
    from features.networks.naming import NetworkName
    from features.networks.zoo import Model

    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = Any

SOURCE_HELP = (
    "'sample', a folder, a zip or tar, a WebDataset's shards, Parquet files with images or paths, a list of paths "
    "(.txt, .csv, .tsv, .jsonl), a COCO .json, a pattern in quotes ('data/test-*.parquet', 'shards/{000..999}.tar'), "
    "hf:NAME or torchvision:NAME; behind a colon a split ('photos:test')"
)
NETWORK_HELP = "a name of the catalogue, timm:NAME or a file; behind it ?part=..., ?head=..., ?lesion=without:layer3.1"
SAID = "said_"
MINE = "mine"  # one's own file of notes
FORMAT_HELP = "{names}; tensorboard is for the Embedding Projector"


class Parser(argparse.ArgumentParser):
    """A parser whose options may take a name of a family of choices, which its help lists."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._choices: list[tuple[argparse.Action, str, str]] = []

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, but where a shell has put files for a pattern, with what to do."""
        options, rest = self.parse_known_args(args, namespace)
        source = getattr(options, "source", None)
        if source and rest and not any(each.startswith("-") for each in rest):
            self.exit(
                2,
                f"{options.command}: One source is taken, but got {1 + len(rest):,}: {source}, {rest[0]}"
                f"{', ...' if rest[1:] else ''}. Put a pattern in quotes, so that the shell leaves it as it is "
                f"({_pattern([source, *rest])!r}), or name their folder.\n",
            )
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return options

    def add_choice(self, flag: str, family: str, text: str, **settings: Any) -> None:
        """Add an option that takes a name of a family.

        family: where its registry lies, or what makes one, as 'features.saliency:METHODS'. It is imported when somebody
        asks for this help, because most families bring PyTorch, which takes seconds; names are checked when the
        command runs, by the registry itself. text: the help, in which '{names}' becomes the family's names.
        """
        action = self.add_argument(flag, help=text, **settings)
        self._choices.append((action, text, family))

    def format_help(self) -> str:
        for action, text, family in self._choices:
            registry = resolve_name(family)
            known = registry() if callable(registry) else registry
            names = [f"{name} (default)" if name == action.default else name for name in spelled(known)]
            action.help = text.replace("{names}", _either(names).replace("%", "%%"))
        return super().format_help()


def _pattern(paths: Sequence[str]) -> str:
    """A pattern that all of some paths fit."""
    first = os.path.commonprefix(paths)  # noqa: RUF071  # of characters is what a pattern needs
    last = os.path.commonprefix([path[len(first) :][::-1] for path in paths])[::-1]  # noqa: RUF071
    return f"{first}*{last}"


def _either(names: Sequence[str]) -> str:
    """'a, b or c'."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def command(commands: Commands, name: str, run: Callable[[argparse.Namespace], None], text: str) -> Parser:
    """A new subcommand, to add arguments to."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def add_source(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("source", nargs=None if required else "?", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--data-root", metavar="DIR", help="where torchvision's sets lie (default: data)")
    parser.add_argument("--download", action="store_true", help="let torchvision fetch its set")
    for what in ("path", "label"):
        parser.add_argument(
            f"--{what}-column",
            default="",
            metavar="NAME",
            help=f"column of {what}s in a list or a table beside the images (default: guessed)",
        )
    parser.add_argument(
        "--corrections",
        metavar="FILE",
        help=f"take the labels that were corrected by hand: '{MINE}' for your own file of notes, or another such file",
    )


def add_model(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """several: --model may be given more than once, and is a list."""
    more = "; several with commas, or each with a --model of its own" if several else ""
    parser.add_argument(
        "--model",
        action="append" if several else "store",
        metavar="NETWORK",
        help=f"{NETWORK_HELP} (default: the bundled one){more}",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="a file of weights; --model says what to take it as"
    )
    parser.add_argument("--part", metavar="NAME", help="which network of a file with several; `inspect` lists them")
    parser.add_argument("--head", metavar="NAME", help="which head of a network with several; `inspect` lists them")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line")
    add_said(parser)


def add_said(parser: argparse.ArgumentParser) -> None:
    """Options of everything that a file of weights may not say."""
    said = parser.add_argument_group(
        "what a file of weights does not say",
        "What is not given is read where it is written, tested by the statistics of the network's norms on some of the "
        "images, or assumed, which is told.",
    )
    for setting in SETTINGS:
        _add_setting(said, setting)


def add_norms(parser: argparse.ArgumentParser) -> None:
    """Options of what normalises in a network that is trained anew."""
    for name in ("norm", "norm-groups", "scalars", "standardised"):
        _add_setting(parser, BY_NAME[name])


def _add_setting(parser: argparse._ActionsContainer, setting: Setting) -> None:
    parser.add_argument(
        f"--{setting.name}",
        dest=f"{SAID}{setting.name}",
        metavar="X",
        help=f"{setting.title}: {', '.join(setting.values) or f'as {setting.example}'}".replace("%", "%%"),
    )


def add_out(
    parser: argparse.ArgumentParser, text: str, kind: Callable[[str], Path] | None = None, required: bool = True
) -> None:
    """The folder that a command writes to. kind: what makes a path of the text; None for one on this machine alone."""
    parser.add_argument("--out", type=kind or on_this_machine, required=required, metavar="DIR", help=text)
    parser.add_argument(
        "--replace", action="store_true", help="replace what an earlier run with other settings left there"
    )


def on_this_machine(text: str) -> Path:
    """A path, and no address, of which a path would make a folder called 's3:' here."""
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text} is an address, but this command writes to folders of this machine")
    return Path(text)


def add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=positive, metavar="N", help="use a balanced sample of N images")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cluster", default="none", choices=("none", "ray"), help="more machines than one, with Ray")
    parser.add_argument("--ray-address", metavar="X", help="of a cluster (default: one on this machine)")
    parser.add_argument("--workers", type=positive, metavar="N", help="networks at a time on the cluster")


def cluster_of(options: argparse.Namespace) -> "Cluster | None":
    """The cluster of a command with `add_cluster`, None for this machine alone."""
    if options.cluster == "none":
        if options.ray_address or options.workers:
            raise FeatureError("--ray-address and --workers belong to --cluster ray. Add it, or leave them away.")
        return None
    from features.cluster import Cluster

    return Cluster(options.ray_address, options.workers)


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text}")
    return int(text)


def whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number, 0 or more, got {text}")
    return int(text)


def seed(text: str) -> int:
    """As NumPy, PyTorch and scikit-learn all take it."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 0 to {2**32 - 1}, got {text}")
    return int(text)


def positive_or_auto(text: str) -> int | None:
    return None if text == "auto" else positive(text)


def place(text: str) -> Path:
    try:
        return files.path_of(text)
    except FeatureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def said(options: argparse.Namespace) -> Settings:
    """What was said with the options of `add_said` or `add_norms`."""
    given = ((setting.name, getattr(options, f"{SAID}{setting.name}", None)) for setting in SETTINGS)
    return tuple((name, value) for name, value in given if value is not None)


def named(options: argparse.Namespace) -> "NetworkName":
    """The network of a command with `add_model`. Raises FeatureError if what is given contradicts itself."""
    from features.networks import zoo

    name = zoo.named_as(options.model, options.weights, options.classes)
    settings = tuple(dict((*name.settings, *said(options))).items())
    name = replace(name, part=options.part or name.part, head=options.head or name.head, settings=settings)
    name.need_file_for_parts()
    return name


def load(options: argparse.Namespace, images: "ImageSet | None" = None) -> "Model":
    """The network of a command with `add_model`. images: that it will be shown, on which is tested what is not said."""
    return loaded(named(options), images, getattr(options, "device", "auto"))


def loaded(name: "NetworkName", images: "ImageSet | None" = None, device: str = "auto") -> "Model":
    """A network by its name, with what was found and assumed of it told. images: as of `load`."""
    from features import lesions
    from features.devices import best_device
    from features.networks import catalogue, zoo

    lesion = None if name.lesion is None else lesions.parse(name.lesion)
    if name.weights is None and (entry := catalogue.spec(name.name or catalogue.DEFAULT)).file is None:
        show(zoo.fetch(entry))
    model = zoo.load(name, pictures=None if images is None else images.pictures)
    if model.verdict is not None and model.verdict.settings:
        for tested in model.verdict.chosen:
            print(f"found by the statistics of its norms: {tested}", file=sys.stderr)
    for guess in model.spec.assumed:
        print(f"assumed, since {model.spec.name} does not say: {guess}", file=sys.stderr)
    if lesion is not None:
        model = lesions.lesioned(model, lesion)
    if device == "auto":  # an engine takes it where it is told to
        model.network.to(best_device())
    return model


def columns_of(options: argparse.Namespace) -> "Columns":
    """The columns of a list that are not to be guessed, of a command with `add_source`."""
    from features.datasets import Columns

    return Columns(options.path_column, options.label_column)


def source_of(options: argparse.Namespace) -> "ImageSet":
    """The images of a command with `add_source` and `add_limit`."""
    from features.datasets import opening

    images = show(opening(options.source, options.data_root, options.download, columns=columns_of(options)))
    images = corrected(options, images.sample(options.limit) if options.limit else images)
    tell_understood(images)
    return images


def corrected(options: argparse.Namespace, images: "ImageSet") -> "ImageSet":
    """The images of a command with `add_source`, with corrected labels if these were asked for."""
    if options.corrections is None:
        return images
    from features import notes
    from features.datasets import corrections

    book = notes.Book(None if options.corrections == MINE else Path(options.corrections).expanduser())
    if options.corrections != MINE and not book.path.exists():
        raise FeatureError(f"There is no file of notes at {book.path}. Name one, or say --corrections {MINE}.")
    noted = show(notes.noted_in(images, book.notes()))
    told = noted.corrections(images)
    changed = corrections.corrected(images, told)
    if changed is images:
        print(f"no label of {images.name} is corrected in {book.path}", file=sys.stderr)
    return changed


def tell_understood(images: "ImageSet") -> None:
    """Say what was understood of a source: what was taken for granted, what is no part of the set, what is white."""
    from features.datasets import ranges

    for sentence in (*images.told(), *ranges.notes(images)):
        print(sentence, file=sys.stderr)


def made_of(model: "Model", images: "ImageSet") -> dict[str, Any]:
    """What every result of a network and an image set depends on: settings of the claim on its folder."""
    import torch

    from features.devices import device_of

    return {
        "model": model.spec.name,
        "weights_sha256": model.digest,
        "network": model.key,
        "device": device_of(model.network).type,
        "torch": torch.__version__,
        "images": images.name,
        "images_digest": images.digest,
        # Before, their labels were counted as if one excluded the others: such a result is none of today's.
        **({"outputs": model.spec.outputs.value} if model.spec.multilabel else {}),
    }


def show(task: Task[Result]) -> Result:
    """Run a task with a progress bar on standard error."""
    from tqdm import tqdm

    bar = None

    def report(progress: Progress) -> None:
        nonlocal bar
        if bar is None or bar.unit != progress.unit:
            if bar is not None:
                bar.close()
            total, delay = (progress.total, 0) if progress.total else (None, 1)  # what opens at once needs no bar
            bar = tqdm(
                total=total, unit=progress.unit, file=sys.stderr, leave=False, initial=progress.done, delay=delay
            )
        bar.total = progress.total or None
        bar.set_postfix_str(progress.note, refresh=False)
        bar.update(progress.done - bar.n)

    try:
        return finish(task, report)
    finally:
        if bar is not None:
            bar.close()


def left_out(rejected: Sequence["Rejected"]) -> list[dict[str, str]]:
    """Say which images could not be read, and give back the manifest's rows of them."""
    for entry in rejected:
        print(f"left out: {entry.reason}", file=sys.stderr)
    return [{"image": entry.id, "reason": entry.reason} for entry in rejected]


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def print_numbers(head: Sequence[str], rows: Iterable[Sequence[object]], digits: int) -> None:
    """As `print_table`, of values whose fractions are cut to some digits."""
    print_table([tuple(head), *(tuple(_short(value, digits) for value in row) for row in rows)])


def _short(value: object, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
