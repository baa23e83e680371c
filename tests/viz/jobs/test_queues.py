"""A queue: order, places, what is kept, and how it goes on after whatever a run does."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from features.errors import FeatureError
from features.progress import Progress
from tests.viz.jobs.held import PATIENCE, Held, finished, gives
from viz.jobs import Run, Work, queues
from viz.jobs import run as run_module
from viz.jobs.queues import JobQueue, Place


@pytest.fixture
def queue():
    queue = JobQueue("test")
    yield queue
    for run in queue.unfinished():
        run.stop()


@pytest.fixture
def held():
    held = Held()
    yield held
    held.released.set()


def put(queue, key, make_task=None):
    return queue.get(Work(key, make_task or gives(key)))


def fails():
    yield Progress(1, 2, "step")
    raise FeatureError("inside")


def test_two_asking_for_one_key_get_one_run_and_its_task_runs_once(queue, held):
    first = put(queue, "a", held.task)
    second = put(queue, "a")
    assert second is first
    held.released.set()
    assert finished(second) == "result"
    assert put(queue, "a") is first
    assert held.notes.count("started") == 1


def test_many_threads_asking_at_once_get_one_run(queue, held):
    together = threading.Barrier(8)

    def ask(_):
        together.wait(PATIENCE)
        return put(queue, "a", held.task)

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(ask, range(8)))
    held.released.set()
    assert len(set(map(id, runs))) == 1
    assert finished(runs[0]) == "result"
    assert held.notes.count("started") == 1


def test_runs_are_made_one_after_another_in_the_order_of_asking(queue):
    notes = []

    def task(name):
        notes.append(f"{name} starts")
        yield Progress(1, 1, "step")
        notes.append(f"{name} ends")

    for run in [put(queue, name, lambda name=name: task(name)) for name in "bac"]:
        finished(run)
    assert notes == ["b starts", "b ends", "a starts", "a ends", "c starts", "c ends"]


def test_a_run_that_fails_does_not_keep_the_next_one(queue):
    failed, other = put(queue, "a", fails), put(queue, "b")
    assert finished(other) == "b"
    assert str(failed.error) == "inside"


def test_a_failed_run_is_made_anew_when_somebody_asks_again(queue):
    failed = put(queue, "a", fails)
    finished(failed)
    assert finished(put(queue, "a")) == "a"


def test_a_run_that_was_told_to_stop_is_made_anew_and_the_new_one_waits_for_its_end(queue, held):
    first = put(queue, "a", held.task)
    assert held.started.wait(PATIENCE)
    first.stop()
    second = put(queue, "a")
    assert second is not first
    assert queue.unfinished() == [first, second]
    held.released.set()
    assert finished(second) == "a"
    assert held.notes == ["started", "closed"]


def test_a_forgotten_result_is_made_anew_and_forgetting_twice_leaves_the_new_one(queue):
    first = put(queue, "a")
    finished(first)
    queue.forget(first)
    second = put(queue, "a")
    assert second is not first
    queue.forget(first)
    assert put(queue, "a") is second


# --- places -----------------------------------------------------------------------------------------------------------


def places(queue, runs):
    return [(place.number, place.length) for place in map(queue.place, runs)]


def test_a_run_knows_its_place_and_how_many_there_are(queue, held):
    runs = [put(queue, "a", held.task), put(queue, "b"), put(queue, "c")]
    assert places(queue, runs) == [(1, 3), (2, 3), (3, 3)]
    for key in ("a", "b", "a"):  # asking again changes nothing
        put(queue, key)
    assert places(queue, runs) == [(1, 3), (2, 3), (3, 3)]
    runs[1].stop()
    assert places(queue, [runs[0], runs[2]]) == [(1, 2), (2, 2)]
    held.released.set()
    finished(runs[2])
    assert queue.unfinished() == []


def test_a_run_that_is_not_in_the_queue_has_none_ahead(queue, held):
    put(queue, "a", held.task)
    assert queue.place(Run(Work("b", gives(1)))).number == 1


def test_the_time_until_a_run_starts_is_what_is_left_of_those_ahead_as_far_as_it_is_known(queue, held, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    waits = threading.Event()

    def task():
        clock.now = 10.0
        yield Progress(1, 4, "step")
        assert waits.wait(PATIENCE)

    first = put(queue, "a", task)
    while first.progress is None:
        first.wait(0.001)
    second, third = put(queue, "b"), put(queue, "c")
    assert queue.place(first) == Place(1, 3, None, True)
    assert queue.place(second) == Place(2, 3, 30.0, True)  # 10 s for 1 of 4 steps
    assert queue.place(third) == Place(3, 3, 30.0, False)  # nobody knows how long the second takes
    waits.set()
    finished(third)


# --- what is kept -----------------------------------------------------------------------------------------------------


def is_kept(queue, run):
    return put(queue, run.key, gives("anew")) is run


def test_as_many_results_are_kept_as_promised(queue):
    runs = [put(queue, str(number)) for number in range(queues.KEPT)]
    for run in runs:
        finished(run)
    assert all(is_kept(queue, run) for run in runs)


def test_past_the_limit_the_result_that_nobody_asked_for_longest_is_dropped(queue, monkeypatch):
    monkeypatch.setattr(queues, "KEPT", 3)
    runs = [put(queue, key) for key in "abc"]
    for run in runs:
        finished(run)
    put(queue, "a")
    finished(put(queue, "d"))
    assert is_kept(queue, runs[0])
    assert is_kept(queue, runs[2])
    assert not is_kept(queue, runs[1])


def test_past_the_memory_that_results_may_take_the_oldest_goes_and_the_latest_stays(queue, monkeypatch):
    monkeypatch.setattr(queues, "KEPT_BYTES", 10_000)
    runs = [put(queue, key, gives(np.zeros(600))) for key in "ab"]  # 4,800 bytes each
    for run in runs:
        finished(run)
    assert all(is_kept(queue, run) for run in runs)
    finished(put(queue, "c", gives(np.zeros(600))))
    large = put(queue, "large", gives(np.zeros(60_000)))
    finished(large)
    assert is_kept(queue, large)
    assert not is_kept(queue, runs[0])


def test_runs_that_are_not_finished_are_never_dropped(queue, held, monkeypatch):
    monkeypatch.setattr(queues, "KEPT", 2)
    done = put(queue, "done")
    finished(done)
    running = put(queue, "running", held.task)
    waiting = [put(queue, key) for key in "abc"]
    assert all(is_kept(queue, run) for run in (running, *waiting))
    assert not is_kept(queue, done)


def test_the_result_that_is_asked_for_is_not_the_one_dropped(queue, held, monkeypatch):
    monkeypatch.setattr(queues, "KEPT", 1)
    done, other = put(queue, "done", held.task), Held()
    put(queue, "running", other.task)
    held.released.set()
    assert finished(done) == "result"
    assert is_kept(queue, done)
    assert is_kept(queue, done)
    other.released.set()


# --- priority ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only there every thread has a priority of its own")
def test_the_thread_of_a_queue_and_those_that_it_starts_give_way_and_those_that_draw_pages_do_not():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def task():
        with ThreadPoolExecutor(1) as pool:
            return niceness(), pool.submit(niceness).result()
        yield

    before = niceness()
    lowered = JobQueue("low", nice=before + 3)
    assert finished(put(lowered, "a", task)) == (before + 3, before + 3)
    assert niceness() == before
    raised = JobQueue("high", nice=before - 3)  # which takes a privilege, and is not wanted
    assert finished(put(raised, "a", task)) == (before, before)
