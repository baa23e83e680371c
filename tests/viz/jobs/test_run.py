"""One run: its result, its errors, its stop, its pace, and what it lets go of."""

import gc
import threading
import weakref
from types import SimpleNamespace

import pytest

from features.errors import FeatureError
from features.progress import Progress
from tests.viz.jobs.held import Held, gives
from viz.jobs import Run, Work
from viz.jobs import run as module


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def run_of(make_task):
    return Run(Work("key", make_task))


def done(make_task):
    run = run_of(make_task)
    run.run()
    return run


def test_a_finished_run_has_the_tasks_result_and_its_last_report():
    run = done(gives(42))
    assert run.result == 42
    assert run.progress == Progress(1, 1, "step")
    assert run.ended
    assert not run.stopped
    assert run.error is None


def test_a_task_without_reports_still_gives_its_result():
    def task():
        return 7
        yield

    run = done(task)
    assert run.result == 7
    assert run.progress is None


def test_waiting_for_a_run_gives_up_in_time():
    run = run_of(gives(1))
    assert not run.wait(0.01)
    run.run()
    assert run.wait(0)


def test_a_stopped_run_stops_at_its_next_report_and_its_task_is_closed():
    held = Held()
    task = held.task()  # kept here, so that nothing but the run closes it
    run = run_of(lambda: task)
    thread = threading.Thread(target=run.run)
    thread.start()
    assert held.started.wait(30)
    run.stop()
    assert not run.ended  # the step under way is not broken off
    held.released.set()
    thread.join(30)
    assert run.ended
    assert run.stopped
    assert run.result is None
    assert run.error is None
    assert run.progress == Progress(2, 2, "step")
    assert held.notes == ["started", "closed"]


def test_a_run_that_is_stopped_while_it_waits_never_starts():
    held = Held()
    run = run_of(held.task)
    run.stop()
    assert run.ended  # at once
    run.run()
    assert held.notes == []


def fail_after_a_report():
    yield Progress(1, 2, "step")
    raise FeatureError("inside")


def leave():
    yield Progress(1, 2, "step")
    raise SystemExit("inside")


def fail_before_there_is_a_task():
    raise FeatureError("inside")


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        (fail_after_a_report, FeatureError),
        (leave, SystemExit),
        (fail_before_there_is_a_task, FeatureError),
    ],
)
def test_an_exception_is_kept_and_not_raised(task, kind):
    run = done(task)
    assert type(run.error) is kind
    assert str(run.error) == "inside"
    assert run.ended
    assert run.result is None


def test_the_time_left_is_the_pace_so_far_times_what_is_left(clock):
    estimates = []

    def task():
        for now, count in ((5, 0), (10, 1), (30, 3), (100, 4)):
            clock.now = now
            yield Progress(count, 4, "step")
            estimates.append(run.seconds_left)

    run = run_of(task)
    assert run.seconds_left is None
    run.run()
    assert estimates == [
        None,  # nothing is done, so there is no pace
        30,  # 10 s for 1 of 4, 3 left
        10,  # 30 s for 3 of 4, 1 left
        0,
    ]


def test_what_an_earlier_run_did_is_no_part_of_the_pace(clock):
    estimates = []

    def task():
        for now, count in ((10, 510), (20, 520)):
            clock.now = now
            yield Progress(count, 1000, "image", before=500)
            estimates.append((run.pace, run.seconds_left))

    run = run_of(task)
    run.run()
    assert estimates == [(1, 490), (1, 480)]


def test_another_kind_of_step_has_a_pace_of_its_own(clock):
    estimates = []

    def task():
        for now, report in (
            (50, Progress(1, 2, "step")),
            (60, Progress(10, 100, "epoch")),
            (64, Progress(30, 100, "epoch")),
        ):
            clock.now = now
            yield report
            estimates.append(run.seconds_left)

    run = run_of(task)
    run.run()
    assert estimates == [50, None, 14]  # 4 s for 20 epochs, 70 left


def test_a_report_that_says_nothing_new_leaves_the_pace_and_lets_the_time_left_run_down(clock):
    estimates = []

    def task():
        for now in (10, 12, 15):
            clock.now = now
            yield Progress(1, 4, "step")
            estimates.append((run.pace, run.seconds_left))

    run = run_of(task)
    run.run()
    assert estimates == [(0.1, 30), (0.1, 28), (0.1, 25)]


class Network:
    """Something that must not stay in memory."""


@pytest.mark.slow
def test_a_finished_run_lets_go_of_what_its_task_was_made_from():
    network = Network()
    gone = weakref.ref(network)

    def make(network=network):
        assert network is not None
        return gives("features")()

    run = run_of(make)
    run.run()
    assert run.result == "features"
    del make, network
    gc.collect()
    assert gone() is None


@pytest.mark.slow
def test_a_failed_run_lets_go_of_the_frames_that_it_failed_in():
    held = []

    def task():
        network = Network()
        held.append(weakref.ref(network))
        yield Progress(1, 2, "step")
        try:
            raise ValueError("first")
        except ValueError as error:
            raise FeatureError(f"second, of {network}") from error

    run = done(task)
    gc.collect()
    assert "second" in str(run.error)
    assert held[0]() is None
