"""Images decoded in processes: the same pixels, errors and order as in threads, and nothing stays behind."""

import copy
import json
import os
import queue
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import datasets
from features.datasets import decode_processes, decoding
from features.datasets.image_set import FileOpener
from features.datasets.images import MAX_BYTES
from features.errors import DatasetError
from features.networks import catalogue

FRAMING = catalogue.CIFAR_PREPROCESSING
NUMBER = 12


@pytest.fixture(scope="module", autouse=True)
def _ended():
    yield
    decode_processes.close_all()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Pictures, of which one is empty and one damaged; no set is too small for processes."""
    monkeypatch.setattr(decoding, "FEW", 1)
    root = tmp_path / "pictures"
    root.mkdir()
    random = np.random.default_rng(0)
    for index in range(NUMBER):
        values = random.integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(values).save(root / f"{index:02d}.png")
    (root / "03.png").write_bytes(b"")
    (root / "05.png").write_bytes((root / "06.png").read_bytes()[:200])
    return root


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder.parent / "pictures.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return folder.parent / "pictures.zip"


def listed(folder: Path) -> Path:
    path = folder.parent / "pictures.txt"
    path.write_text("\n".join(str(file) for file in sorted(folder.iterdir())))
    return path


def tabled(folder: Path) -> Path:
    path = folder.parent / "pictures.parquet"
    pq.write_table(pa.table({"image": [file.read_bytes() for file in sorted(folder.iterdir())]}), path)
    return path


def patterned(folder: Path) -> str:
    (folder.parent / "pictures-2").mkdir()
    (folder.parent / "pictures-2" / "one.png").write_bytes((folder / "00.png").read_bytes())
    return f"{folder}*"


def ready(number: int = 2) -> decode_processes.Processes:
    """Processes that have all started."""
    with decode_processes.shared(FRAMING, number) as processes:
        until = time.monotonic() + 60
        while not all(worker.ready for worker in processes._workers) and time.monotonic() < until:
            time.sleep(0.01)
        assert all(worker.ready for worker in processes._workers)
        return processes


def same(one: list[decoding.Batch], other: list[decoding.Batch]) -> bool:
    return all(
        np.array_equal(a.rows, b.rows)
        and np.array_equal(a.pixels, b.pixels)
        and (a.rejected, a.seen) == (b.rejected, b.seen)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("form", [lambda folder: folder, listed, patterned])
def test_images_that_are_files_have_their_path_and_the_name_that_errors_call_them(folder, form):
    opener = datasets.open_images(str(form(folder))).take(range(NUMBER - 1, -1, -1)).opener
    for row in range(NUMBER):
        path, name = opener.path(row)
        assert (Path(path).read_bytes(), name) == opener.read(row)
        assert Path(path).is_absolute()


@pytest.mark.parametrize("form", [zipped, tabled])
def test_images_inside_of_files_have_no_path(folder, form):
    assert datasets.open_images(str(form(folder))).opener.path is None


@pytest.mark.slow
@pytest.mark.parametrize("form", [lambda folder: folder, zipped, listed, tabled])
def test_batches_are_those_of_threads(folder, form):
    images = datasets.open_images(str(form(folder))).take(range(NUMBER - 1, -1, -1))
    parts = [range(7), range(7, NUMBER)]
    processes = ready()
    in_threads = list(decoding.batches(images, FRAMING, 3, parts))
    assert sum(len(batch.rejected) for batch in in_threads) == 2
    assert same(list(decoding.batches(images, FRAMING, 3, parts, processes=2)), in_threads)
    assert not processes.damaged


def test_a_process_that_ends_loses_no_image(folder):
    images = datasets.open_images(str(folder))
    wanted = list(decoding.batches(images, FRAMING, 4))
    processes = ready()
    for worker in processes._workers:
        worker.process.kill()
    assert same(list(decoding.batches(images, FRAMING, 4, processes=2)), wanted)
    assert processes.damaged
    assert ready() is not processes  # whoever comes next has new ones


def test_what_is_submitted_after_the_end_is_decoded_by_whoever_asks(folder):
    images = datasets.open_images(str(folder))
    processes = decode_processes.Processes(FRAMING, 1)
    processes.close()
    out = np.empty((NUMBER, 3, FRAMING.crop, FRAMING.crop), np.uint8)
    reasons = [reason for each in processes.submit(images.opener, range(NUMBER), out) for reason in each.result()]
    assert [row for row, reason in enumerate(reasons) if reason] == [3, 5]
    assert np.array_equal(out[0], FRAMING.framed_array(images.open(0)))


def test_a_file_of_this_machine_is_read_by_the_process_alone(folder, monkeypatch):
    images = datasets.open_images(str(folder))
    wanted = list(decoding.batches(images, FRAMING, 4))
    monkeypatch.setattr(FileOpener, "__call__", lambda opener, index: pytest.fail("decoded here"))
    opener = FileOpener(lambda index: pytest.fail("read here"), images.opener.path)
    ready()
    in_processes = decoding.batches(replace(images, opener=opener), FRAMING, 4, processes=2)
    assert same(list(in_processes), wanted)


def test_a_file_that_cannot_be_read_is_told_of_as_ever(folder, monkeypatch):
    (folder / "07\udcff.png").write_bytes((folder / "00.png").read_bytes())  # a name that is no text
    images = datasets.open_images(str(folder))
    (folder / "00.png").unlink()
    (folder / "01.png").unlink()
    os.mkfifo(folder / "01.png")
    (folder / "02.png").unlink()
    (folder / "02.png").mkdir()
    (folder / "04.png").unlink()
    with (folder / "04.png").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    wanted = list(decoding.batches(images, FRAMING, 4))
    processes = ready()
    assert [int(each.id[:2]) for batch in wanted for each in batch.rejected] == [0, 1, 2, 3, 4, 5]
    assert same(list(decoding.batches(images, FRAMING, 4, processes=2)), wanted)
    assert not processes.damaged


def test_paths_below_the_folder_that_one_is_in_are_read_by_processes_that_started_in_another(folder, monkeypatch):
    ready()
    monkeypatch.chdir(folder)
    images = datasets.open_files(["00.png", "01.png"])
    wanted = list(decoding.batches(images, FRAMING, 4))
    monkeypatch.setattr(FileOpener, "__call__", lambda opener, index: pytest.fail("decoded here"))
    assert same(list(decoding.batches(images, FRAMING, 4, processes=2)), wanted)


def test_without_shared_memory_pixels_come_through_the_pipe(folder, monkeypatch):
    def refused(name: str) -> int:
        raise OSError("not on this system")

    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    decode_processes.close_all()
    images = datasets.open_images(str(zipped(folder)))
    processes = ready()
    assert not any(worker.is_shared for worker in processes._workers)
    wanted = list(decoding.batches(images, FRAMING, 5))
    assert same(list(decoding.batches(images, FRAMING, 5, processes=2)), wanted)
    assert not processes.damaged
    decode_processes.close_all()


def test_a_store_that_cannot_be_reached_ends_the_stream(folder):
    def read(index: int) -> tuple[bytes, str]:
        if index == 6:
            raise DatasetError("The store is gone.")
        return (folder / "00.png").read_bytes(), f"{index}.png"

    images = replace(datasets.open_images(str(folder)), opener=FileOpener(read))
    ready()
    stream = decoding.batches(images, FRAMING, 4, processes=2)
    assert next(stream).seen == 4
    with pytest.raises(DatasetError, match="gone"):
        list(stream)


def test_several_streams_share_processes(folder):
    images = datasets.open_images(str(folder))
    wanted = list(decoding.batches(images, FRAMING, 4))
    processes = ready()
    streams = [decoding.batches(images, FRAMING, 4, processes=2) for _ in range(3)]
    results = list(zip(*streams, strict=True))
    assert all(same(list(result), wanted) for result in zip(*results, strict=True))
    assert not processes.damaged


@pytest.mark.parametrize(("size", "number", "largest"), [(16, 16, 2), (33, 16, 5), (64, 16, 8), (256, 16, 8)])
def test_half_of_the_processes_have_a_share_of_a_batch_or_more(folder, size, number, largest):
    processes = ready()
    processes = copy.copy(processes)  # whose requests nobody serves
    processes.number, processes._requests = number, queue.SimpleQueue()
    out = np.empty((size, 3, FRAMING.crop, FRAMING.crop), np.uint8)
    assert len(processes.submit(FileOpener(lambda index: (b"", "")), range(size), out)) == -(-size // largest)


def test_other_openers_and_few_images_need_no_processes(folder, monkeypatch):
    started = []
    monkeypatch.setattr(decode_processes, "shared", lambda *how: started.append(how))
    images = datasets.open_images(str(folder))
    assert isinstance(images.opener, FileOpener)
    monkeypatch.setattr(decoding, "FEW", NUMBER + 1)
    assert sum(batch.seen for batch in decoding.batches(images, FRAMING, 4, processes=2)) == NUMBER
    assert not started


def test_processes_start_in_a_folder_that_has_packages_called_as_these_are(folder, monkeypatch):
    (folder / "features").mkdir()
    (folder / "features" / "__init__.py").write_text("raise SystemExit('another one')")
    monkeypatch.chdir(folder)
    decode_processes.close_all()
    ready()


def test_a_stream_that_is_closed_leaves_processes_that_can_go_on(folder):
    images = datasets.open_images(str(folder))
    processes = ready()
    stream = decoding.batches(images, FRAMING, 2, processes=2)
    next(stream)
    stream.close()
    assert processes.users == 0
    assert same(list(decoding.batches(images, FRAMING, 4, processes=2)), list(decoding.batches(images, FRAMING, 4)))


def test_processes_end_with_the_one_that_started_them():
    program = (
        "import os\n"
        "from features.datasets.decode_processes import Processes\n"
        "from features.networks.catalogue import CIFAR_PREPROCESSING\n"
        "processes = Processes(CIFAR_PREPROCESSING, 1)\n"
        "print(processes._workers[0].process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    until = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(pid)


def test_python_ends_after_what_has_begun_so_that_no_stream_waits_for_threads_that_are_gone(folder):
    program = (
        "import atexit, sys\n"
        "futures = []\n"
        "atexit.register(lambda: print(len(futures), all(future.done() for future in futures)))\n"
        "import numpy as np\n"
        "from features import datasets\n"
        "from features.datasets import decode_processes\n"
        "from features.networks.catalogue import CIFAR_PREPROCESSING\n"
        "images = datasets.open_images(sys.argv[1])\n"
        "kept = decode_processes.shared(CIFAR_PREPROCESSING, 2)\n"
        "processes, out = kept.__enter__(), np.empty((len(images), 3, 32, 32), np.uint8)\n"
        "futures += processes.submit(images.opener, range(len(images)), out)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("2 True", "", 0)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_decodes_imports_only_what_it_needs():
    arguments = json.dumps([FRAMING.settings(), [1, 1, 3, FRAMING.crop, FRAMING.crop], None])
    python, *rest = decode_processes.command(arguments)
    command = [python, "-X", "importtime", *rest]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    imported = {line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines()}
    assert done.stdout == decode_processes.READY
    assert "features.datasets.images" in imported
    assert not imported & {"torch", "pyarrow", "zipfile", "features.datasets.image_set"}
