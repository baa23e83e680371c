"""Work in processes of its own, with real ones: joined, ended, killed, gone on with, and found by another server."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from features import engine, extract
from features.datasets import open_images
from features.errors import FeatureError
from features.networks import zoo
from features.progress import Progress, finish
from features.store import open_features, read_manifest
from tests.viz.jobs import counting_worker  # noqa: F401  # this process reads results of its tasks
from viz.cached import estimates
from viz.cached.extract import extract_work
from viz.jobs import LONG, Interrupted, Jobs, State, in_process, kept, processes, records, standing
from viz.jobs.processes import WorkerError
from viz.jobs.records import Order, Record
from viz.jobs.worker import NICE

PATIENCE = 60
ANN, BEN = "ann", "ben"


@pytest.fixture(autouse=True)
def _own_records(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(processes, "WORKER", ("-m", "tests.viz.jobs.counting_worker"))
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.01)
    yield
    for record in records.running():
        os.kill(record.state().pid, signal.SIGKILL)


class Counting:
    """A folder to count in, and the work of counting there to 5."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.key = f"count in {folder}"

    def work(self, until: int = 5, end: str = "done", durable: bool = True):
        return in_process(self.key, "count", {"folder": str(self.folder), "until": until, "end": end}, durable)

    def hold(self):
        (self.folder / "HOLD").touch()
        return self

    def release(self):
        (self.folder / "HOLD").unlink()

    @property
    def record(self):
        return Record.of(self.key)

    @property
    def counted(self):
        return len(list(self.folder.glob("*.counted")))

    @property
    def workers(self):
        """The processes that counted, in order."""
        pids = [int((self.folder / f"{number}.counted").read_text()) for number in range(self.counted)]
        return list(dict.fromkeys(pids))


@pytest.fixture
def counting(tmp_path):
    return Counting(tmp_path / "numbers")


def until(condition):
    """Poll for what another process does."""
    for _ in range(PATIENCE * 100):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


def counts(run, number=1):
    until(lambda: run.ended or (run.progress and run.progress.unit == "number" and run.progress.done == number))
    assert not run.ended, run.error
    return run


def finished(run):
    assert run.wait(PATIENCE)
    assert run.error is None
    return run.result


def failed(run):
    assert run.wait(PATIENCE)
    return run.error


# --- one server -------------------------------------------------------------------------------------------------------


def test_a_process_gives_its_reports_and_what_is_read_of_its_result(counting):
    run = Jobs().ask(ANN, counting.work()).run
    assert finished(run) == "counted to 5"
    assert run.progress.total == 5
    assert counting.workers not in ([], [os.getpid()])
    assert standing(counting.key).status == "done"


def test_visitors_share_a_process_and_it_ends_with_the_last_cancel_as_a_task_that_is_closed(counting):
    jobs = Jobs()
    ann, ben = (jobs.ask(visitor, counting.hold().work()) for visitor in (ANN, BEN))
    counts(ann.run)
    ann.cancel()
    counts(ben.run)
    ben.cancel()
    assert ben.run.wait(PATIENCE)
    assert (counting.folder / "closed").exists()
    assert not counting.record.alive()
    assert standing(counting.key).status == "stopped"
    assert standing(counting.key).progress == Progress(1, 5, "number")


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own only there")
def test_a_process_gives_way_to_what_draws_pages_once_and_not_twice(counting):
    job = Jobs().ask(ANN, counting.hold().work())  # by the thread of a queue, which gives way itself
    counts(job.run)
    (worker,) = counting.workers
    assert os.getpriority(os.PRIO_PROCESS, worker) == max(NICE, os.getpriority(os.PRIO_PROCESS, os.getpid()))
    job.cancel()
    assert job.run.wait(PATIENCE)


def test_a_process_that_does_not_listen_is_ended_by_force(counting, monkeypatch):
    monkeypatch.setattr(processes, "KILL_SECONDS", 0)
    job = Jobs().ask(ANN, counting.hold().work())
    counts(job.run)
    job.cancel()
    assert job.run.wait(PATIENCE)
    assert not counting.record.alive()
    assert standing(counting.key).status == "stopped"  # though it could not write so itself


def test_a_process_that_was_killed_is_told_of_and_gone_on_with(counting):
    jobs = Jobs()
    job = jobs.ask(ANN, counting.hold().work())
    counts(job.run)
    os.kill(counting.workers[0], signal.SIGKILL)
    assert isinstance(failed(job.run), Interrupted)
    assert "after 1 of 5 numbers" in str(job.run.error)
    assert standing(counting.key).status == "stopped"
    counting.release()
    job.again()
    assert finished(jobs.ask(ANN, counting.work()).run) == "counted to 5"
    assert len(counting.workers) == 2
    assert not (counting.folder / "5.counted").exists()


def test_a_process_that_was_told_to_end_by_others_is_told_of(counting):
    run = counts(Jobs().ask(ANN, counting.hold().work()).run)
    os.kill(counting.workers[0], signal.SIGTERM)
    assert isinstance(failed(run), Interrupted)
    assert (counting.folder / "closed").exists()


def test_the_sentence_of_a_failure_comes_across(counting):
    run = Jobs().ask(ANN, counting.work(end="foreseen")).run
    error = failed(run)
    assert type(error) is FeatureError
    assert str(error) == "These numbers do not fit. Choose others."
    assert standing(counting.key).error == str(error)


def test_what_was_not_foreseen_comes_with_the_log_of_the_process(counting):
    error = failed(Jobs().ask(ANN, counting.work(end="unforeseen")).run)
    assert isinstance(error, WorkerError)
    assert "ZeroDivisionError: of numbers" in str(error)
    state = standing(counting.key)
    assert (state.status, state.error, state.foreseen) == ("failed", "ZeroDivisionError", False)


def test_a_process_that_cannot_begin_is_told_of_and_nothing_waits_for_ever(counting, monkeypatch):
    monkeypatch.setattr(processes, "WORKER", ("-c", "raise SystemExit('no memory')"))
    error = failed(Jobs().ask(ANN, counting.work()).run)
    assert isinstance(error, WorkerError)
    assert "no memory" in str(error)


def test_nothing_is_taken_from_a_state_that_an_earlier_process_left(counting):
    finished(Jobs().ask(ANN, counting.work(until=2)).run)
    result = json.loads((counting.record.folder / "state.json").read_text())
    result["result"]["counted"] = 2000  # of which `read` says that it is not there any more
    (counting.record.folder / "state.json").write_text(json.dumps(result))
    assert finished(Jobs().ask(ANN, counting.work(until=4)).run) == "counted to 4"


# --- the server ends --------------------------------------------------------------------------------------------------


def test_another_server_finds_a_running_process_by_its_key_and_joins_it(counting):
    first = counts(Jobs().ask(ANN, counting.hold().work()).run)
    second = counts(Jobs().ask(BEN, counting.work()).run)  # knows nothing of the first but what is on disk
    assert second.pace is None  # of what was done before it looked
    counting.release()
    assert finished(second) == "counted to 5"
    assert finished(first) == "counted to 5"
    assert len(counting.workers) == 1


def test_another_server_reads_what_was_finished_meanwhile(counting):
    finished(Jobs().ask(ANN, counting.work()).run)
    before = counting.record.state()
    assert finished(Jobs().ask(BEN, counting.work()).run) == "counted to 5"
    assert counting.record.state() == before  # no other process was started


def test_another_server_ends_a_process_that_it_joined(counting):
    counts(Jobs().ask(ANN, counting.hold().work()).run)
    other = Jobs().ask(BEN, counting.work())
    counts(other.run)
    other.cancel()
    assert other.run.wait(PATIENCE)
    assert not counting.record.alive()
    assert (counting.folder / "closed").exists()


def test_a_new_server_takes_over_what_runs_so_that_other_long_work_waits_for_it(counting, tmp_path):
    counts(Jobs().ask(ANN, counting.hold().work()).run)
    other = Counting(tmp_path / "others")
    jobs = Jobs()
    for work in processes.left_by_others():
        jobs.adopt(work)
    waiting = jobs.ask(BEN, other.work())
    assert waiting.place.number == 2
    joined = jobs.ask(BEN, counting.work())
    assert joined.place.number == 1
    counting.release()
    assert finished(joined.run) == "counted to 5"
    assert finished(waiting.run) == "counted to 5"


def test_a_new_server_takes_over_what_waited_in_its_order_with_what_was_attached(counting, tmp_path):
    first = Jobs()
    counts(first.ask(ANN, counting.hold().work()).run)
    waits = [Counting(tmp_path / name) for name in ("b", "c", "d")]
    jobs = [first.ask(ANN, each.work()) for each in waits]
    for number, each in enumerate(waits):
        os.utime(each.record.folder / "waiting", (number, number))  # however coarse the clock of the disk is
    jobs[1].cancel()  # which was for nobody else
    second = Jobs()
    for work in processes.left_by_others():
        second.adopt(work)
    left = [run.key for run in second.unfinished()]
    assert left == [counting.key, waits[0].key, waits[2].key]
    counting.release()
    for each in (waits[0], waits[2]):
        assert finished(second.ask(BEN, each.work()).run) == "counted to 5"
    until(lambda: not first.unfinished())
    assert waits[1].counted == 0
    assert not processes.left_by_others()


def test_what_waits_and_goes_with_the_server_is_not_noted(counting, tmp_path):
    jobs = Jobs()
    counts(jobs.ask(ANN, counting.hold().work()).run)
    jobs.ask(ANN, Counting(tmp_path / "uploads").work(durable=False))
    assert [work.key for work in processes.left_by_others()] == [counting.key]


def test_work_waits_all_the_same_where_nothing_can_be_noted(counting, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Record, "wait", full)
        run = Jobs().ask(ANN, counting.work()).run
    assert finished(run) == "counted to 5"


def test_a_process_whose_record_is_taken_away_goes_on_to_its_result(counting):
    run = counts(Jobs().ask(ANN, counting.hold().work()).run)
    while counting.record.folder.exists():  # into which the process may be writing
        shutil.rmtree(counting.record.folder, ignore_errors=True)
    counting.release()
    assert finished(run) == "counted to 5"
    assert counting.record.order() is not None  # so that it is cleared up some day


@pytest.mark.parametrize(
    "order",
    [
        {"key": 5, "task": "count", "arguments": {}},
        {"key": "a", "task": ["count"], "arguments": {}},
        {"key": "a", "task": "count", "arguments": [1]},
        {"key": "another", "task": "count", "arguments": {}},
    ],
)
def test_a_damaged_order_is_none(order):
    record = Record.of("a")
    record.write_order(Order("a", "count", {}))
    record.wait()
    assert [work.key for work in processes.left_by_others()] == ["a"]
    (record.folder / "job.json").write_text(json.dumps(order))
    assert processes.left_by_others() == []


def test_a_disk_that_is_full_is_told_of(counting, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Record, "write_order", full)
    error = failed(Jobs().ask(ANN, counting.work()).run)
    assert isinstance(error, FeatureError)
    assert "No space left on device. Make room there" in str(error)


def test_where_the_cache_folder_cannot_be_made_records_lie_in_a_temporary_one(counting, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert processes.left_by_others() == []
    assert finished(Jobs().ask(ANN, counting.work()).run) == "counted to 5"
    assert counting.record.folder.is_relative_to(tmp_path)


def test_what_other_code_has_measured_is_measured_again(monkeypatch):
    work = in_process("double", "double", {"times": 2}, attached={"values": np.arange(3)})
    monkeypatch.setattr(records, "code", lambda: "another")
    assert isinstance(failed(Jobs().ask(ANN, work).run), Interrupted)
    assert not kept("double")


def test_what_json_does_not_have_is_attached_and_a_result_without_a_reader_is_kept(counting):
    values = np.arange(3)
    attached = {"values": values}
    work = in_process(counting.key, "double", {"times": 2}, attached=attached)
    assert np.array_equal(finished(Jobs().ask(ANN, work).run), values * 2)
    assert kept(counting.key)
    again = in_process(counting.key, "double", {"times": 2})  # as a server has it that finds the record
    assert np.array_equal(finished(Jobs().ask(BEN, again).run), values * 2)
    counting.record.result.write_bytes(b"damaged")
    assert np.array_equal(finished(Jobs().ask(BEN, again).run), values * 2)  # made again, of what is attached


def test_records_beyond_a_size_are_taken_away_the_oldest_first_but_not_what_waits(monkeypatch):
    named = [Record.of(name) for name in "abcd"]
    for number, record in enumerate(named):
        record.write_order(Order("key", "count", {}), {"values": np.zeros(1000)})  # 8 kB
        if number == 1:
            record.wait()
        os.utime(record.folder, (number, number))
    monkeypatch.setattr(records, "KEPT_BYTES", 20_000)
    records.clear_up()
    assert [record.folder.exists() for record in named] == [False, True, True, True]


SERVER = """
import sys
from tests.viz.jobs import counting_worker
from viz.jobs import Jobs, in_process, processes

processes.WORKER = ("-m", "tests.viz.jobs.counting_worker")
folder, key, durable = sys.argv[1:]
run = Jobs().ask("ann", in_process(key, "count", {"folder": folder, "until": 5}, durable == "durable")).run
while run.progress is None or run.progress.unit != "number":
    run.wait(0.01)
print("counts", flush=True)
if input() == "end":
    sys.exit()
"""


@pytest.fixture
def server():
    """server(counting, durable): a server of its own, whose job counts already."""
    started = []

    def start(counting, durable="durable"):
        command = [sys.executable, "-c", SERVER, str(counting.folder), counting.key, durable]
        pipe = subprocess.PIPE
        server = subprocess.Popen(command, cwd=processes.ROOT, stdin=pipe, stdout=pipe, text=True)
        started.append(server)
        assert server.stdout.readline() == "counts\n"
        return server

    yield start
    for server in started:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("end", ["ended", "killed"])
def test_a_process_goes_on_when_its_server_ends_and_the_next_one_finds_it(server, counting, end):
    first = server(counting.hold())
    first.kill() if end == "killed" else first.communicate("end\n", PATIENCE)
    first.wait(PATIENCE)
    assert standing(counting.key).status == "running"
    run = counts(Jobs().ask(BEN, counting.work()).run)
    counting.release()
    assert finished(run) == "counted to 5"
    assert len(counting.workers) == 1


def test_a_process_that_was_killed_while_no_server_ran_is_found_as_stopped_and_gone_on_with(server, counting):
    server(counting.hold()).kill()
    os.kill(counting.workers[0], signal.SIGKILL)
    until(lambda: standing(counting.key).status == "stopped")
    assert standing(counting.key).progress == Progress(1, 5, "number")
    counting.release()
    assert finished(Jobs().ask(BEN, counting.work()).run) == "counted to 5"
    assert len(counting.workers) == 2


def test_what_goes_with_the_server_ends_with_it(server, counting):
    server(counting.hold(), "not durable").communicate("end\n", PATIENCE)
    assert not counting.record.alive()
    assert (counting.folder / "closed").exists()
    assert not counting.record.folder.exists()


# --- what is on disk --------------------------------------------------------------------------------------------------


def test_the_order_of_a_process_is_plain_text(counting):
    finished(Jobs().ask(ANN, counting.work()).run)
    order = json.loads((counting.record.folder / "job.json").read_text())
    assert order == {
        "key": counting.key,
        "task": "count",
        "arguments": {"folder": str(counting.folder), "until": 5, "end": "done"},
    }
    names = {path.name for path in counting.record.folder.iterdir()}
    assert names == {"job.json", "state.json", "log.txt", ".lock"}
    assert counting.record.folder.stat().st_mode & 0o077 == 0  # for nobody else to read


def test_work_that_nobody_began_has_no_standing():
    assert standing("nothing") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "done"}', '{"status": 1, "progress": 5}'])
def test_a_state_that_cannot_be_read_is_none(counting, content):
    counting.record.write_order(Order(counting.key, "count", {}))
    (counting.record.folder / "state.json").write_text(content)
    assert standing(counting.key) is None


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_worker(counting):
    """A worker that was killed, its record still saying 'running', and its number given to somebody else."""
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        counting.record.write_order(Order(counting.key, "count", {}))
        counting.record.write_state(State("running", bystander.pid, "long ago"))
        assert standing(counting.key).status == "stopped"
        with counting.record.lock():  # even if somebody is on the record
            processes.Worker(counting.record, None, None)._signal(signal.SIGKILL)
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n", PATIENCE)
    assert bystander.returncode == 0


def test_only_the_latest_records_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "KEPT_RECORDS", 2)
    kept = [Record.of(name) for name in "abcd"]
    for number, record in enumerate(kept):
        record.write_order(Order("key", "count", {}))
        os.utime(record.folder, (number, number))
    records.clear_up()
    assert [record.folder.exists() for record in kept] == [False, False, True, True]


# --- the long work of the app -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_features_are_extracted_by_a_process_as_they_are_here(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WORKER", ("-m", "viz.jobs.worker"))
    monkeypatch.setattr(estimates, "seconds", lambda model, images, passes: 1000)
    model, images = zoo.load("resnet20-fashion"), open_images("sample").sample(30)
    plan = engine.choose(model.network, precision="fp32", engine="torch")
    finish(extract.to_folder(model, images, plan, tmp_path / "here", 10))
    work = extract_work(model, images, plan, tmp_path / "there", 10, "parquet")
    assert (work.kind, work.lasting) == (LONG, True)
    manifest = finished(Jobs().ask(ANN, work).run)
    assert manifest.without_results() == read_manifest(tmp_path / "here").without_results()
    here, there = open_features(tmp_path / "here"), open_features(tmp_path / "there")
    assert here.ids == there.ids
    for name in here.stages:
        assert here.read(name, 0, 30) == pytest.approx(there.read(name, 0, 30), rel=1e-5, abs=1e-6)
