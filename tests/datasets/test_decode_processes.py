"""Images decoded in processes: the same pixels, errors and order as in threads, and nothing stays behind."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import datasets
from features.datasets import decode_processes, decoding
from features.datasets.image_set import FileOpener
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


def ready(number: int = 2) -> decode_processes.Processes:
    """Processes that have all started."""
    with decode_processes.shared(FRAMING, number) as processes:
        until = time.monotonic() + 60
        while processes._starting and time.monotonic() < until:
            time.sleep(0.01)
        assert processes._serving == number
        return processes


def same(one: list[decoding.Batch], other: list[decoding.Batch]) -> bool:
    return all(
        np.array_equal(a.rows, b.rows)
        and np.array_equal(a.pixels, b.pixels)
        and (a.rejected, a.seen) == (b.rejected, b.seen)
        for a, b in zip(one, other, strict=True)
    )


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


def test_whoever_waits_for_a_process_is_told_that_there_is_none_however_many_asked_before(folder):
    images = datasets.open_images(str(folder))
    processes = ready()
    for worker in processes._workers:
        worker.process.kill()
    list(decoding.batches(images, FRAMING, 4, processes=2))
    assert [processes._take() for _ in range(100)] == [None] * 100
    assert processes._idle.get(timeout=10) is None  # as who began to wait while there still was one


def test_other_openers_and_few_images_need_no_processes(folder, monkeypatch):
    started = []
    monkeypatch.setattr(decode_processes, "shared", lambda *how: started.append(how))
    images = datasets.open_images(str(folder))
    assert isinstance(images.opener, FileOpener)
    monkeypatch.setattr(decoding, "FEW", NUMBER + 1)
    assert sum(batch.seen for batch in decoding.batches(images, FRAMING, 4, processes=2)) == NUMBER
    assert not started


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


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_decodes_imports_no_pytorch():
    program = "import sys; import features.datasets.decode_worker; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"
