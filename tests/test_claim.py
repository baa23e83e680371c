"""Every command that writes, killed at each write, run twice, on full and locked disks, in folders of others."""

import errno
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from features.__main__ import main
from features.claim import Claim
from features.networks import card, catalogue, checkpoint
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.networks.card import ModelSpec
from tests.random_networks import randomise

EXTRACT = "extract {images} --weights {net} --out {out} --stages layer3,logits --precision fp32 --device cpu --engine torch"
# A line each: what is run, what another run of the command has besides, and the kind of its result.
COMMANDS = {
    "extract": (EXTRACT, "--pool max", "features"),
    "extract npy": (f"{EXTRACT} --format npy", "--pool max", "features"),
    "extract npz": (f"{EXTRACT} --format npz", "--pool max", "features"),
    "extract safetensors": (f"{EXTRACT} --format safetensors", "--pool max", "features"),
    "extract tensorboard": (f"{EXTRACT} --format tensorboard", "--pool max", "features"),
    "convert": ("convert {features} --out {out} --format npz", "--format tensorboard", "features"),
    "convert back": ("convert {arrays} --out {out} --format parquet", "--format npy", "features"),
    "saliency": ("saliency {images} --weights {net} --out {out} --taps stages", "--method cam --target cat", "saliency"),
    "residual": ("residual {images} --weights {net} --out {out}", "--lesions", "residual"),
    "faithfulness": (
        "faithfulness {images} --weights {net} --out {out} --methods gradcam,random --steps 2 --quick",
        "--steps 3",
        "faithfulness",
    ),
    "train": (
        "train {images} --test {others} --model resnet8-cifar --name net --out {out} --epochs 2 --batch-size 4",
        "--epochs 1",
        "training",
    ),
}
TIMES = ("images_per_second", "seconds")
every_command = pytest.mark.parametrize("command", COMMANDS)


# --- a small world, and what commands make of it -----------------------------------------------------------------------


class World:
    """Images, a network, features to convert; and every command's result, made once, undisturbed."""

    def __init__(self, root: Path) -> None:
        self.root, self.results = root, root / "results"
        self.paths = {name: root / name for name in ("images", "others", "net", "features", "arrays")}
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
        checkpoint.save(randomise(build(shape)).eval(), self.paths["net"], card.describe(spec))
        self.run("extract", self.paths["features"])
        self.run("convert", self.paths["arrays"], "--format npy")

    def run(self, command: str, out: Path, more: str = "") -> tuple[int, str]:
        """The exit status, and what was written to standard error."""
        line = f"{COMMANDS[command][0]} {more}".format(out=out, **self.paths)
        with redirect_stderr(io.StringIO()) as errors, redirect_stdout(io.StringIO()):
            status = main(line.split())
        return status, errors.getvalue()

    def result(self, command: str, more: str = "") -> Path:
        """The folder of a finished run."""
        folder = self.results / f"{command} {more}".replace(" ", "_")
        if not folder.exists():
            assert self.run(command, folder, more)[0] == 0
        return folder

    def copied(self, command: str, out: Path, more: str = "") -> Path:
        shutil.copytree(self.result(command, more), out)
        return out


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def content(folder: Path) -> dict[str, Any]:
    """What lies in a folder, by names, but for how long it took."""
    return {path.relative_to(folder).as_posix(): _comparable(path) for path in sorted(folder.rglob("*"))}


def _comparable(path: Path) -> Any:
    if path.is_dir():
        return "folder"
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.name.endswith(".state.pt"):
        return _timeless(torch.load(path, weights_only=True))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name not in TIMES}
    if isinstance(value, list | tuple):
        return [_timeless(inner) for inner in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value


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


# --- a disk that can be told to fail -----------------------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had died: nothing is written any more."""


@dataclass
class Disk:
    """Counts what is written below a folder, and fails from some write on. How it fails: by `error`."""

    root: Path | None = None
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
        freeing = isinstance(self.error, OSError) and self.error.errno == errno.ENOSPC and event in ("os.remove", "os.rmdir")
        if 0 <= self.fails_at < len(self.writes) and not freeing:
            raise self.error

    @contextmanager
    def failing(self, root: Path, fails_at: int, error: BaseException | None = None) -> Iterator[None]:
        self.root, self.fails_at, self.error, self.writes = root.resolve(), fails_at, error or Killed(), []
        try:
            yield
        finally:
            self.root = None


def _writes(mode: str | None, flags: int) -> bool:
    return any(sign in mode for sign in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


DISK = Disk()
sys.addaudithook(DISK)


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


# --- killed ------------------------------------------------------------------------------------------------------------


def check_kills(world: World, command: str, replacing: bool, tmp_path: Path, first: int, step: int) -> None:
    other = COMMANDS[command][1]
    wanted = content(world.result(command))
    for number in range(first, 1000, step):
        out = tmp_path / f"{number}"
        if replacing:
            world.copied(command, out, other)
        before = content(out) if replacing else {}
        more = "--replace" if replacing else ""
        if not killed(world, command, out, more, number):
            assert content(out) == wanted
            assert number > first
            return
        told = f"killed at write {number}: {DISK.writes[number]}"
        shown = {name: value for name, value in content(out).items() if "resnet-explorer" not in name} if out.exists() else {}
        if replacing and not list(out.glob(".*resnet-explorer/journal.json")):
            assert shown in (before, wanted), told
        status, errors = world.run(command, out, more)
        assert status == 0, f"{told}: {errors}"
        assert content(out) == wanted, told
        shutil.rmtree(out)
    pytest.fail("it never ends")


@pytest.mark.slow
@pytest.mark.parametrize("replacing", [False, True], ids=["fresh", "over an earlier result"])
@every_command
def test_killed_at_any_write_and_run_again_it_ends_as_if_undisturbed(command, replacing, world, tmp_path):
    check_kills(world, command, replacing, tmp_path, 0, 1)
