"""Every command that writes, killed at each write, run twice, on full and locked disks, in folders of others."""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from features import __main__ as command_line
from features.__main__ import main
from features.claim import Claim
from features.claim.kind import Held, differences
from features.compare.costs import costs
from features.files import digest_of
from features.networks import card, catalogue, filling, zoo
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.networks.card import ModelSpec
from features.networks.naming import NetworkName
from tests.random_networks import randomise
from tests.train.runs import loading_here

EXTRACT = (
    "extract {images} --weights {net} --out {out} --stages layer3,logits --precision fp32 --device cpu --engine torch"
)
# A line each: what is run, what another run of the command has besides, and the kind of its result.
COMMANDS = {
    "extract": (EXTRACT, "--pool max", "features"),
    "extract npy": (f"{EXTRACT} --format npy", "--pool max", "features"),
    "extract npz": (f"{EXTRACT} --format npz", "--pool max", "features"),
    "extract safetensors": (f"{EXTRACT} --format safetensors", "--pool max", "features"),
    "extract tensorboard": (f"{EXTRACT} --format tensorboard", "--pool max", "features"),
    "convert": ("convert {features} --out {out} --format npz", "--format tensorboard", "features"),
    "convert back": ("convert {arrays} --out {out} --format parquet", "--format npy", "features"),
    "saliency": (
        "saliency {images}/cat/0.png --weights {net} --out {out} --taps stages",
        "--method hirescam --target cat",
        "saliency",
    ),
    "residual": ("residual {images} --weights {net} --out {out}", "--lesions", "residual"),
    "faithfulness": (
        "faithfulness {images} --weights {net} --out {out} --methods gradcam,random --steps 2 --quick",
        "--steps 3",
        "faithfulness",
    ),
    "evaluate": (
        "evaluate {images} --weights {net} --out {out} --corruptions --families noise,shift --attack l2 --steps 2",
        "--steps 3",
        "robustness",
    ),
    "channels": ("channels {images} --weights {net} --out {out} --layers layer3", "--top 2", "channels"),
    "channels in pictures": (
        "channels {images} --weights {net} --out {out} --layers layer3 --image {images}/cat/0.png --maps-of sum "
        "--maximise layer3:5 --steps 2",
        "--steps 3",
        "channels",
    ),
    "channels of two networks": (
        "channels {images} --weights {net} --out {out} --layers layer3 --lesions "
        "--against {net}?lesion=without:layer3.0:2",
        "--seed 1",
        "channels",
    ),
    "compare": (
        "compare {images} --models {net} --models {net}?lesion=without:layer3.0 --out {out}",
        "--seed 1",
        "comparison",
    ),
    "train": (
        "train {images} --test {others} --model resnet8-cifar --name net --out {out} --epochs 2 --batch-size 4",
        "--epochs 1",
        "training",
    ),
    "find-lr": (
        "find-lr {images} --model resnet8-cifar --out {out} --steps 10 --batch-size 4 --highest 0.1",
        "--steps 12",
        "range-test",
    ),
    "embed": ("embed {features} --out {out} --stages layer3 --method pca --quick", "--neighbours 3", "maps"),
    "place": ("place {images} --weights {net} --map {maps} --out {out}", "--limit 2", "placed"),
}
# These differ from the command named here in the last files that they make of what all keep in the same way.
WRITTEN_LIKE = dict.fromkeys(["extract npz", "extract safetensors", "extract tensorboard"], "extract npy")
TIMES = ("images_per_second", "seconds")
OF_ONE_FILE = {"notebook"}  # whose result is one new file, which is whole or not there
every_command = pytest.mark.parametrize("command", COMMANDS)


def test_every_command_that_writes_is_among_these():
    """Those with an option --out; a new one joins by a line."""
    (commands,) = (action.choices for action in command_line._parser()._actions if isinstance(action.choices, dict))
    writing = {name for name, parser in commands.items() if "--out" in parser._option_string_actions}
    assert writing == {name.split()[0] for name in COMMANDS} | OF_ONE_FILE


# --- a small world, and what commands make of it --------------------------------------------------------------------


class World:
    """Images, a network, features to convert; and every command's result, made once, undisturbed."""

    def __init__(self, root: Path) -> None:
        self.root, self.results = root, root / "results"
        self.paths = {name: root / name for name in ("images", "others", "net", "features", "arrays", "maps")}
        self.paths["net"] = root / "net.safetensors"
        random = np.random.default_rng(0)
        for folder in ("images", "others"):
            for label in ("cat", "dog"):
                (root / folder / label).mkdir(parents=True)
                for number in range(2):
                    pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(root / folder / label / f"{number}.png")
        shape = cifar(8, classes=2)
        spec = ModelSpec("net", "", shape, catalogue.CIFAR_PREPROCESSING, ("cat", "dog"), "", "")
        filling.save(randomise(build(shape)).eval(), self.paths["net"], card.describe(spec))
        self.run("extract", self.paths["features"])
        self.run("convert", self.paths["arrays"], "--format npy")
        self.run("embed", self.paths["maps"])

    def run(self, command: str, out: Path, more: str = "", loading: Any = None) -> tuple[int, str]:
        """The exit status, and what was written to standard error. loading: how a training gets its batches."""
        line = f"{COMMANDS[command][0]} {more}".format(out=out, **self.paths)
        loading = loading or (loading_here() if command in ("train", "find-lr") else nullcontext())
        with redirect_stderr(io.StringIO()) as errors, redirect_stdout(io.StringIO()), loading:
            status = main(line.split())
        return status, errors.getvalue()

    def result(self, command: str, more: str = "") -> Path:
        """The folder of a finished run."""
        folder = self.results / f"{command} {more}".replace(" ", "_")
        if not folder.exists():
            assert self.run(command, folder, more, loading=nullcontext())[0] == 0
        return folder

    def copied(self, command: str, out: Path, more: str = "") -> Path:
        shutil.copytree(self.result(command, more), out)
        return out


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    with read_once(made.paths["net"]), pytest.MonkeyPatch.context() as patch:
        # How long passes take differs from run to run: by this clock each takes a second.
        patch.setattr("features.compare.comparison.costs", lambda models: costs(models, count().__next__))
        yield made


@contextmanager
def read_once(net: Path) -> Iterator[None]:
    """A thousand runs read one network and make one parser, neither of which they change: a third of their time."""
    load, kept = zoo.load, {}

    def loaded(name: Any = None, *given: Any, **named: Any) -> zoo.Model:
        if not isinstance(name, NetworkName) or name.weights != net:
            return load(name, *given, **named)
        if name not in kept:
            kept[name] = load(name, *given, **named)
        return kept[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "load", loaded)
        patch.setattr(command_line, "_parser", cache(command_line._parser))
        yield


def content(folder: Path, without: str | None = None) -> dict[str, Any]:
    """What lies in a folder, by names, but for how long it took. without: a part of names that are passed over."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: _comparable(path) for name, path in names.items() if without is None or without not in name}


def shown(folder: Path) -> dict[str, Any]:
    """The same but for the hidden folder of a run under way, in which a file may be half written."""
    return content(folder, "resnet-explorer")


def _comparable(path: Path) -> Any:
    if path.is_dir():
        return "folder"
    if path.suffix == ".json":
        told = _timeless(json.loads(path.read_text()))
        weights = path.with_suffix(".safetensors")
        if weights.exists():  # the card of a training
            assert told.pop("weights_sha256") == told["test"]["provenance"].pop("weights_sha256") == digest_of(weights)
        return told
    if path.name.endswith(".state.pt"):
        return _timeless(torch.load(path, weights_only=True))
    if path.suffix == ".safetensors" and path.with_suffix(".json").exists():  # of a training; its header has no order
        with safe_open(path, framework="numpy") as file:
            return file.metadata(), {name: file.get_tensor(name).tobytes() for name in sorted(file.keys())}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name not in TIMES}
    if isinstance(value, list | tuple):
        return [_timeless(inner) for inner in value]
    return (value.dtype, value.shape, value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def untouched(folder: Path) -> dict[str, Any]:
    """All that would show that somebody wrote to a folder."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return {str(path): (path.lstat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in paths}


def one_sentence(errors: str, command: str) -> str:
    """What a command that was refused said of it."""
    assert "Traceback" not in errors
    (said,) = (line for line in errors.splitlines() if line.startswith(f"{command.split()[0]}: "))
    assert errors.splitlines()[-1] == said
    return said


# --- a disk that can be told to fail --------------------------------------------------------------------------------


FREEING = ("os.remove", "os.rmdir")  # which a full disk lets pass


class Killed(BaseException):
    """As if the process had died: nothing is written any more."""


@dataclass
class Disk:
    """Counts what is written below a folder, and fails from some write on. How it fails: by `error`."""

    root: Path | None = None
    at: Path = Path()  # the last root
    fails_at: int = -1
    error: BaseException = field(default_factory=Killed)
    writes: list[tuple[str, Path]] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook of Python's, which is told of each write before it is done."""
        if self.root is None or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            return
        if not isinstance(arguments[0], str | os.PathLike) or (event == "open" and not _writes(*arguments[1:])):
            return
        path = Path(os.path.abspath(arguments[0]))  # noqa: PTH100
        if not path.is_relative_to(self.root):
            return
        self.writes.append((event, path))
        freeing = isinstance(self.error, OSError) and self.error.errno == errno.ENOSPC and event in FREEING
        if 0 <= self.fails_at < len(self.writes) and not freeing:
            raise self.error

    @contextmanager
    def failing(self, root: Path, fails_at: int, error: BaseException | None = None) -> Iterator[None]:
        self.root = self.at = root.resolve()
        self.fails_at, self.error, self.writes = fails_at, error or Killed(), []
        try:
            yield
        finally:
            self.root = None


def _writes(mode: str | None, flags: int) -> bool:
    return any(sign in mode for sign in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


DISK = Disk()
sys.addaudithook(DISK)


def kind(event: str, path: Path) -> tuple[str, str]:
    """What is written, but for what another run would draw."""
    return event, re.sub(r"[0-9a-f]{32}", "*", path.relative_to(DISK.at).as_posix())


def step(name: str) -> tuple[str, str]:
    """What a write is for: each file of the run under way by its name, those of a result by the folder they lie in."""
    folder, _, file = name.rpartition("/")
    if not folder.endswith("resnet-explorer"):
        file = "half written" if file.endswith(".tmp") else "whole"
    return re.sub(r"(?<=/new/).*|^[^.].*", "*", folder), file  # a result's own folders are alike


def writes(world: World, command: str, replacing: bool, tmp_path: Path) -> list[tuple[str, str]]:
    """The kind of each write of a run that nothing happens to."""
    out = tmp_path / "recorded"
    if replacing:
        world.copied(command, out, COMMANDS[command][1])
    with DISK.failing(out, -1):
        assert world.run(command, out, "--replace" if replacing else "")[0] == 0
    shutil.rmtree(out)
    return [kind(event, path) for event, path in DISK.writes]


def own_writes(world: World, command: str, replacing: bool, tmp_path: Path, made: list[tuple[str, str]]) -> set[int]:
    """The numbers of the writes that the command does not share with the one that it writes like."""
    known = {*writes(world, WRITTEN_LIKE[command], replacing, tmp_path)} if command in WRITTEN_LIKE else set()
    own = {number for number, write in enumerate(made) if write not in known}
    assert own
    return own


def killed(world: World, command: str, out: Path, more: str, number: int) -> bool:
    """Run a command that dies at its write of this number, or while it writes the file opened before; False if it
    ended before that.
    """
    with DISK.failing(out, number):
        try:
            assert world.run(command, out, more)[0] == 0
            return False
        except Killed:
            pass
    opened = [path for event, path in DISK.writes[number - 1 : number] if event == "open" and path.name != "lock"]
    for path in opened:
        if path.is_file():
            os.truncate(path, path.stat().st_size // 2)
    return True


# --- killed ---------------------------------------------------------------------------------------------------------


def check_kills(world: World, command: str, replacing: bool, tmp_path: Path, numbers: Iterable[int]) -> None:
    other, more = COMMANDS[command][1], "--replace" if replacing else ""
    wanted = content(world.result(command))
    before = content(world.result(command, other)) if replacing else {}
    for number in numbers:
        out = tmp_path / f"{number}"
        if replacing:
            world.copied(command, out, other)
        assert killed(world, command, out, more, number), f"it ended before its write {number}"
        told = f"killed at write {number}: {DISK.writes[number]}"
        if replacing and not list(out.glob(".*resnet-explorer/journal.json")):
            assert shown(out) in (before, wanted), told
        status, errors = world.run(command, out, more)
        assert status == 0, f"{told}: {errors}"
        assert content(out) == wanted, told
        shutil.rmtree(out)


@pytest.mark.slow
@pytest.mark.parametrize("replacing", [False, True], ids=["fresh", "over an earlier result"])
@every_command
def test_killed_at_any_write_and_run_again_it_ends_as_if_undisturbed(command, replacing, world, tmp_path):
    made = writes(world, command, replacing, tmp_path)
    own = sorted(own_writes(world, command, replacing, tmp_path, made))
    last = {(made[number][0], step(made[number][1])): number for number in own}
    first = {(made[number][0], step(made[number][1])): number for number in reversed(own)}
    ends = {*first.values(), *last.values()}  # of writes that are alike
    after = {number + 1 for number in ends}  # which leaves half of what was written behind
    check_kills(world, command, replacing, tmp_path, sorted((ends | after) & {*range(len(made))}))


@pytest.mark.parametrize("replacing", [False, True], ids=["fresh", "over an earlier result"])
@pytest.mark.parametrize("command", ["extract npy", "residual"])
def test_killed_at_some_writes_and_run_again_it_ends_as_if_undisturbed(command, replacing, world, tmp_path):
    check_kills(world, command, replacing, tmp_path, range(3, len(writes(world, command, replacing, tmp_path)), 9))


# --- run twice ------------------------------------------------------------------------------------------------------


@every_command
def test_a_second_run_is_refused_while_the_first_one_writes(command, world, tmp_path, monkeypatch):
    out, second = tmp_path / "out", []

    def meanwhile(write):
        def wrapped(*arguments, **options):
            if not second:
                before = untouched(out)
                second.append(world.run(command, out))
                second.append(world.run(command, out, f"{COMMANDS[command][1]} --replace"))
                assert untouched(out) == before
            return write(*arguments, **options)

        return wrapped

    monkeypatch.setattr(Claim, "commit", meanwhile(Claim.commit))
    monkeypatch.setattr(Claim, "publish", meanwhile(Claim.publish))
    assert world.run(command, out)[0] == 0
    assert [status for status, _ in second] == [2, 2]
    for _, errors in second:
        assert "Another run is writing to" in one_sentence(errors, command)
    assert content(out) == content(world.result(command))


@every_command
def test_a_finished_run_is_answered_and_nothing_is_written(command, world, tmp_path):
    out = world.copied(command, tmp_path / "out")
    before = untouched(out)
    for more in ("", "--replace"):
        assert world.run(command, out, more)[0] == 0
        # The lock came and went, which the folder's own time tells.
        assert {path: told for path, told in untouched(out).items() if path != str(out)} == {
            path: told for path, told in before.items() if path != str(out)
        }


@every_command
def test_other_settings_are_refused_with_what_differs_and_replace_as_the_way(command, world, tmp_path):
    out, other = world.copied(command, tmp_path / "out", COMMANDS[command][1]), COMMANDS[command][1]
    before = untouched(out)
    status, errors = world.run(command, out)
    assert status == 2
    said = one_sentence(errors, command)
    assert "of another run: " in said
    assert "--replace" in said
    option = other.split()[0].removeprefix("--").replace("-", "_")
    assert f"{'kinds' if option == 'lesions' else option} was " in said
    assert untouched(out) == before
    assert world.run(command, out, "--replace")[0] == 0
    assert content(out) == content(world.result(command))


def test_two_trainings_write_to_one_folder_under_different_names(world, tmp_path):
    out = world.copied("train", tmp_path / "out")
    assert world.run("train", out, "--name other --epochs 1")[0] == 0
    assert {path.name for path in out.iterdir()} == {
        f"{name}{ending}" for name in ("net", "other") for ending in (".json", ".safetensors", ".state.pt")
    }


# --- folders of others ----------------------------------------------------------------------------------------------


@every_command
def test_a_folder_of_another_kind_is_refused_and_stays_as_it_is(command, world, tmp_path):
    kind = COMMANDS[command][2]
    others = {made: other for made, (_, _, other) in COMMANDS.items() if other != kind}
    for made in {other: made for made, other in others.items()}.values():  # one a kind
        out = world.copied(made, tmp_path / made.replace(" ", "_"))
        before = untouched(out)
        for more in ("", "--replace"):
            status, errors = world.run(command, out, f"--name mine {more}" if command == "train" else more)
            assert status == 2, made
            assert "holds other things than" in one_sentence(errors, command)
            assert untouched(out) == before


@pytest.mark.parametrize(("first", "second"), [("residual", "train"), ("train", "residual")])
def test_a_folder_with_an_unfinished_result_of_another_kind_is_refused_and_gone_on_with(first, second, world, tmp_path):
    out = tmp_path / "out"
    assert killed(world, first, out, "", len(writes(world, first, False, tmp_path)) // 2)
    before = untouched(out)
    for more in ("", "--replace"):
        status, errors = world.run(second, out, more)
        assert status == 2
        assert "holds other things than" in one_sentence(errors, second)
        assert untouched(out) == before
    assert world.run(first, out)[0] == 0
    assert content(out) == content(world.result(first))


PERSONAL = (
    "manifest.json",
    "faithfulness.csv",
    "curves.npz",
    ".making",
    "notes.txt",
    "net.json",
    "net.safetensors",
    ".lock",
)
FOREIGN = [
    '{"name": "my app", "version": 1, "files": {"notes.txt": 3}}',
    '{"maps": [{"file": "notes.txt"}]}',
    "{}",
    "[1]",
    "no JSON",
]


@pytest.mark.parametrize("names", [PERSONAL, *((name,) for name in PERSONAL if name != ".lock")], ids=" ".join)
@every_command
def test_a_persons_own_files_are_refused_and_stay_as_they_are(command, names, world, tmp_path):
    if command == "train" and not {"net.json", "net.safetensors", "manifest.json"} & {*names}:
        pytest.skip("it takes NAME.* alone")
    out = tmp_path / "mine"
    out.mkdir()
    for number, text in enumerate(FOREIGN if "manifest.json" in names else FOREIGN[:1]):
        for name in names:
            (out / name).write_text(text)
        before = untouched(out)
        for more in ("", "--replace"):
            status, errors = world.run(command, out, more)
            assert status == 2, number
            assert "holds other things than" in one_sentence(errors, command)
            assert "elete" not in errors
            assert untouched(out) == before


@every_command
def test_files_that_a_person_put_beside_a_result_stay(command, world, tmp_path):
    out, other = tmp_path / "out", COMMANDS[command][1]
    world.copied(command, out, other)
    (out / "notes.txt").write_text("precious")
    (out / "inner").mkdir()
    assert world.run(command, out, "--replace")[0] == 0
    found = content(out)
    assert (out / "notes.txt").read_text() == "precious"
    assert found.pop("inner") == "folder"
    del found["notes.txt"]
    assert found == content(world.result(command))


def test_a_finished_result_is_answered_whatever_a_person_put_beside_it(world, tmp_path):
    out = world.copied("residual", tmp_path / "out")
    for name in ("lesions.parquet", "paths.parquet"):
        (out / name).write_text("no Parquet")
    assert world.run("residual", out) == (0, "")


@pytest.mark.parametrize(
    ("command", "more", "name"),
    [
        ("residual", "--lesions", "lesions.parquet"),
        ("extract", "--format npz", "features.npz"),
        ("convert", "--format tensorboard", "layer3.tsv"),
        ("saliency", "--method hirescam", "{image}/hirescam-layer3.npy"),
    ],
)
def test_a_file_of_others_where_a_new_one_is_to_be_stops_a_replacement(command, more, name, world, tmp_path):
    out = world.copied(command, tmp_path / "out")
    (inner,) = [path.name for path in out.iterdir() if path.is_dir()][:1] or [""]
    strange = out / name.format(image=inner)
    strange.write_text("precious")
    before = untouched(strange), shown(out)
    status, errors = world.run(command, out, f"{more} --replace")
    assert status == 2
    assert f"{strange} was not written by the run that this one would replace" in one_sentence(errors, command)
    assert (untouched(strange), shown(out)) == before
    strange.unlink()
    assert world.run(command, out, f"{more} --replace")[0] == 0


def test_a_manifest_that_names_files_outside_its_folder_is_not_obeyed(world, tmp_path):
    out = world.copied("residual", tmp_path / "out")
    told = json.loads((out / "manifest.json").read_text())
    (tmp_path / "precious.txt").write_text("precious")
    for name in ("../precious.txt", str(tmp_path / "precious.txt")):
        (out / "manifest.json").write_text(json.dumps(told | {"written": [*told["written"], name]}))
        status, errors = world.run("residual", out, "--lesions --replace")
        assert status == 2
        assert "leads out of its folder" in one_sentence(errors, "residual")
    (out / "link").symlink_to(tmp_path)
    (out / "manifest.json").write_text(json.dumps(told | {"written": [*told["written"], "link/precious.txt"]}))
    assert world.run("residual", out, "--lesions --replace")[0] == 2
    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_a_link_inside_a_staging_folder_is_not_followed(world, tmp_path):
    staging, own = tmp_path / "out" / ".resnet-explorer", tmp_path / "own"
    staging.mkdir(parents=True)
    own.mkdir()
    (own / "precious.txt").write_text("precious")
    (staging / "claim.json").write_text('{"made_by": "resnet-explorer", "kind": "residual", "settings": {}}')
    for name in ("new", "kept"):
        (staging / name).symlink_to(own)
    world.run("residual", tmp_path / "out")
    assert world.run("residual", tmp_path / "out", "--replace")[0] == 0
    assert (own / "precious.txt").read_text() == "precious"


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"deletes": [], "moves": [1]}'])
def test_a_damaged_journal_is_told_of(text, world, tmp_path):
    out = tmp_path / "out"
    made = writes(world, "residual", False, tmp_path)
    renames = [number for number, (event, _) in enumerate(made) if event == "os.rename"]
    assert killed(world, "residual", out, "", renames[-1])
    journal = out / ".resnet-explorer" / "journal.json"
    journal.write_text(text)
    status, errors = world.run("residual", out)
    assert status == 2
    assert one_sentence(errors, "residual").endswith("journal.json is damaged. Choose another folder.")


# --- disks ----------------------------------------------------------------------------------------------------------

FAULTS = {
    "full": (errno.ENOSPC, "No space left on device. Make room, and run the same command again."),
    "broken": (errno.EIO, "Input/output error. Mend this, and run the same command again."),
    "read-only": (errno.EROFS, "Read-only file system. Choose a folder that can be written to."),
    "locked": (errno.EACCES, "Permission denied. Choose a folder that you may write to."),
}


def check_fault(world: World, command: str, fault: str, number: int, tmp_path: Path) -> bool:
    """Whether the run met the fault."""
    other, (code, said) = COMMANDS[command][1], FAULTS[fault]
    out = world.copied(command, tmp_path / f"{fault}{number}", other)
    before = content(out)
    with DISK.failing(out, number, OSError(code, os.strerror(code))):
        status, errors = world.run(command, out, "--replace")
    if status == 0:
        return len(DISK.writes) > number  # in what is swept up in the end
    assert one_sentence(errors, command).endswith(f" cannot be written to {out}: {said}")
    wanted = content(world.result(command))
    assert list(out.glob(".*resnet-explorer/journal.json")) or shown(out) in (before, wanted)
    assert world.run(command, out, "--replace")[0] == 0
    assert content(out) == wanted
    return True


@every_command
@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_from_the_first_write_leaves_the_earlier_result(command, fault, world, tmp_path):
    assert check_fault(world, command, fault, 0, tmp_path)


@pytest.mark.slow
@every_command
@pytest.mark.parametrize("fault", ["full", "broken"])
def test_a_disk_that_fails_at_any_write_leaves_the_earlier_result_or_is_gone_on_with(command, fault, world, tmp_path):
    # The last write of each kind, before which the most was written: `check_kills` takes them all.
    made = writes(world, command, True, tmp_path)
    own = sorted(own_writes(world, command, True, tmp_path, made))
    last = {(made[number][0], step(made[number][1])): number for number in own}
    last = {known: number for known, number in last.items() if fault != "full" or known[0] not in FREEING}
    assert last
    for number in last.values():
        assert check_fault(world, command, fault, number, tmp_path)


@every_command
def test_a_finished_run_is_answered_where_nothing_can_be_written(command, world, tmp_path):
    out = world.copied(command, tmp_path / "out")
    before = untouched(out)
    with DISK.failing(out, 0, OSError(errno.EACCES, os.strerror(errno.EACCES))):
        assert world.run(command, out)[0] == 0
    assert untouched(out) == before


def test_a_disk_that_cannot_be_written_to_is_left_as_it_was(world, tmp_path):
    with DISK.failing(tmp_path, 0, OSError(errno.EACCES, "Permission denied")):
        assert world.run("saliency", tmp_path / "out")[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_sentence_names_six_settings_that_differ_and_counts_the_others():
    before = {f"setting{number}": 0 for number in range(9)}
    held = Held(before, frozenset(), True, {})
    said = differences(held, dict.fromkeys(before, 1) | {"setting0": 0})
    assert said.startswith("setting1 was 0 and is 1; setting2 was 0 and is 1; ")
    assert said.endswith("; setting6 was 0 and is 1; and 2 more")
    assert differences(held, before | {"setting3": 5}) == "setting3 was 0 and is 5"
