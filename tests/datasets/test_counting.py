"""Opening a source tells how far it is, and ends when nobody waits any more."""

import itertools
import tarfile
import threading

import pytest

from features import datasets
from features.datasets import counting
from features.errors import DatasetError
from features.progress import Progress, finish
from tests.datasets.test_datasets import write


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(counting, "EVERY", 2)


def test_files_are_counted_while_a_folder_is_listed(tmp_path):
    write(tmp_path, [f"{name}/{number}.png" for name in "ab" for number in range(3)])
    reports = []
    found = finish(datasets.opening(str(tmp_path)), reports.append)
    assert reports == [Progress(done, 0, "file") for done in (0, 2, 4)]
    assert found.digest == datasets.open_images(str(tmp_path)).digest


def test_what_is_unpacked_is_weighed(tmp_path):
    write(tmp_path / "set", ["a/1.png", "b/1.png"])
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "set", "set")
    units = []
    assert len(finish(datasets.opening(str(tmp_path / "set.tar.gz")), lambda report: units.append(report.unit))) == 2
    assert units[0] == "MiB"
    assert "file" in units


def test_what_is_wrong_is_raised_by_the_task(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        finish(datasets.opening(str(tmp_path / "nowhere")))


def test_a_task_that_is_closed_ends_the_listing():
    ended = threading.Event()

    def lists_for_ever():
        try:
            for _ in counting.counted(itertools.count()):
                pass
        finally:
            ended.set()

    task = counting.told(lists_for_ever)
    assert next(task).done == 0
    task.close()
    assert ended.wait(20)


def test_without_anybody_waiting_nothing_is_told():
    assert list(counting.counted("abc")) == ["a", "b", "c"]
    assert list(counting.weighed([b"a", b"b"])) == [b"a", b"b"]
