"""Jobs that the tests hold and release by hand: order, cancelling, errors and what is kept."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from features.errors import FeatureError
from features.progress import Progress
from viz import jobs as module
from viz.jobs import Job, Jobs

PATIENCE = 30


@pytest.fixture
def queue():
    queue = Jobs()
    yield queue
    for job in queue._jobs.values():
        job.cancel()


class Held:
    """A task of two reports that stops between them until it is released, and notes what happens to it."""

    def __init__(self):
        self.started, self.released = threading.Event(), threading.Event()
        self.notes = []

    def task(self):
        try:
            self.notes.append("started")
            yield Progress(1, 2, "step")
            self.started.set()
            assert self.released.wait(PATIENCE)
            yield Progress(2, 2, "step")
            self.notes.append("went on")
            return "result"
        finally:
            self.notes.append("closed")


@pytest.fixture
def held():
    held = Held()
    yield held
    held.released.set()


def gives(value):
    """What makes a task of one report that returns this value."""

    def task():
        yield Progress(1, 1, "step")
        return value

    return task


def finished(job):
    assert job.wait(PATIENCE)
    return job.result


# --- one job ----------------------------------------------------------------------------------------------------------


def test_a_finished_job_has_the_tasks_result_and_its_last_report(queue):
    job = queue.get("a", gives(42))
    assert finished(job) == 42
    assert job.progress == Progress(1, 1, "step")
    assert job.ended
    assert not job.cancelled
    assert job.error is None


def test_a_task_without_reports_still_gives_its_result(queue):
    def task():
        return 7
        yield

    job = queue.get("a", task)
    assert finished(job) == 7
    assert job.progress is None


def test_waiting_for_a_job_gives_up_in_time(queue, held):
    job = queue.get("a", held.task)
    assert not job.wait(0.01)
    assert not job.ended
    held.released.set()
    assert job.wait(PATIENCE)


def test_a_cancelled_job_stops_at_its_next_report_and_its_task_is_closed(queue, held):
    task = held.task()  # kept here, so that nothing but the job closes it
    job = queue.get("a", lambda: task)
    assert held.started.wait(PATIENCE)
    job.cancel()
    assert not job.ended  # the step under way is not broken off
    held.released.set()
    assert finished(job) is None
    assert job.progress == Progress(2, 2, "step")
    assert held.notes == ["started", "closed"]
    assert job.cancelled
    assert job.error is None


def test_a_job_that_is_cancelled_while_it_waits_never_starts(queue, held):
    queue.get("a", held.task)
    other = Held()
    waiting = queue.get("b", other.task)
    waiting.cancel()
    assert waiting.ended  # at once, not when the job before it is done
    held.released.set()
    assert finished(queue.get("c", gives(1))) == 1
    assert waiting.result is None
    assert waiting.progress is None
    assert other.notes == []


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
def test_an_exception_is_kept_and_the_worker_goes_on_with_the_next_job(queue, task, kind):
    failed = queue.get("a", task)
    next_one = queue.get("b", gives("next"))
    assert finished(next_one) == "next"
    assert type(failed.error) is kind
    assert str(failed.error) == "inside"
    assert failed.ended
    assert failed.result is None


def test_the_time_left_is_the_pace_so_far_times_what_is_left(queue, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    estimates = []

    def task():
        for now, done in ((105, 0), (110, 1), (130, 3), (200, 4)):
            clock.now = now
            yield Progress(done, 4, "step")
            estimates.append(job.seconds_left)

    job = Job(queue, "a", task)
    assert job.seconds_left is None
    job.run()
    assert estimates == [
        None,  # nothing is done, so there is no pace
        30,  # 10 s for 1 of 4, 3 left
        10,  # 30 s for 3 of 4, 1 left
        0,
    ]


def test_what_an_earlier_run_did_is_no_part_of_the_pace(queue, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    estimates = []

    def task():
        for now, done in ((10, 510), (20, 520)):
            clock.now = now
            yield Progress(done, 1000, "image", before=500)
            estimates.append((job.pace, job.seconds_left))

    job = Job(queue, "a", task)
    job.run()
    assert estimates == [(1, 490), (1, 480)]


def test_another_kind_of_step_has_a_pace_of_its_own(queue, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    estimates = []

    def task():
        for now, report in (
            (50, Progress(1, 2, "step")),
            (60, Progress(10, 100, "epoch")),
            (64, Progress(30, 100, "epoch")),
        ):
            clock.now = now
            yield report
            estimates.append(job.seconds_left)

    job = Job(queue, "a", task)
    job.run()
    assert estimates == [50, None, 14]  # 4 s for 20 epochs, 70 left


def test_a_finished_job_lets_go_of_what_its_task_was_made_from(queue):
    class Network:
        pass

    network = Network()
    gone = weakref.ref(network)

    def make(network=network):
        assert network is not None
        return gives("features")()

    job = queue.get("a", make)
    assert finished(job) == "features"
    del make, network
    gc.collect()
    assert gone() is None


# --- the queue --------------------------------------------------------------------------------------------------------


def test_two_asking_for_one_key_get_one_job_and_its_task_runs_once(queue, held):
    first = queue.get("a", held.task)
    second = queue.get("a", gives("other"))
    assert second is first
    held.released.set()
    assert finished(second) == "result"
    assert queue.get("a", gives("other")) is first
    assert held.notes.count("started") == 1


def test_many_threads_asking_at_once_get_one_job(queue, held):
    together = threading.Barrier(8)

    def ask(_):
        together.wait(PATIENCE)
        return queue.get("a", held.task)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    held.released.set()
    assert len(set(map(id, found))) == 1
    assert finished(found[0]) == "result"
    assert held.notes.count("started") == 1


def test_jobs_run_one_after_another_in_the_order_of_asking(queue):
    notes = []

    def task(name):
        notes.append(f"{name} starts")
        yield Progress(1, 1, "step")
        notes.append(f"{name} ends")

    asked = [queue.get(name, lambda name=name: task(name)) for name in "bac"]
    for job in asked:
        finished(job)
    assert notes == ["b starts", "b ends", "a starts", "a ends", "c starts", "c ends"]


def three(queue, held):
    return queue.get("a", held.task), queue.get("b", gives(1)), queue.get("c", gives(2))


def test_a_job_knows_how_many_run_before_it(queue, held):
    first, second, third = three(queue, held)
    assert [queue.ahead_of(job) for job in (first, second, third)] == [0, 1, 2]
    held.released.set()
    finished(third)
    assert [queue.ahead_of(job) for job in (first, second, third)] == [0, 0, 0]


def test_asking_again_for_a_job_does_not_change_its_place(queue, held):
    first, second, third = three(queue, held)
    for key in ("a", "b", "a"):
        queue.get(key, gives(0))
    assert [queue.ahead_of(job) for job in (first, second, third)] == [0, 1, 2]


def test_a_job_that_is_not_in_the_queue_has_none_ahead(queue, held):
    queue.get("a", held.task)
    assert queue.ahead_of(Job(queue, "b", gives(1))) == 0


def test_a_forgotten_job_starts_anew(queue):
    first = queue.get("a", fail_after_a_report)
    first.wait(PATIENCE)
    assert queue.get("a", gives(1)) is first  # a failed one stays
    queue.forget(first)
    second = queue.get("a", gives("second"))
    assert second is not first
    assert finished(second) == "second"


def test_forgetting_twice_does_not_take_the_new_job_away(queue):
    failed = queue.get("a", fail_after_a_report)
    failed.wait(PATIENCE)
    queue.forget(failed)
    anew = queue.get("a", gives(1))
    queue.forget(failed)
    assert queue.get("a", gives(2)) is anew


# --- what is kept -----------------------------------------------------------------------------------------------------


def is_kept(queue, job):
    return queue.get(job.key, gives("anew")) is job


def test_as_many_results_are_kept_as_promised(queue):
    asked = [queue.get(str(number), gives(number)) for number in range(module.KEPT)]
    for job in asked:
        finished(job)
    assert all(is_kept(queue, job) for job in asked)


def test_past_the_limit_the_result_that_nobody_asked_for_longest_is_dropped(queue, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    asked = [queue.get(key, gives(key)) for key in "abc"]
    for job in asked:
        finished(job)
    queue.get("a", gives("anew"))
    finished(queue.get("d", gives("d")))
    assert is_kept(queue, asked[0])
    assert is_kept(queue, asked[2])
    assert not is_kept(queue, asked[1])


def test_jobs_that_run_or_wait_are_never_dropped(queue, held, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    done = queue.get("done", gives(1))
    finished(done)
    running = queue.get("running", held.task)
    waiting = [queue.get(key, gives(key)) for key in "abc"]
    assert all(is_kept(queue, job) for job in (running, *waiting))
    assert not is_kept(queue, done)


def test_the_result_that_is_asked_for_is_not_the_one_dropped(queue, held, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 1)
    done = queue.get("done", held.task)
    other = Held()
    queue.get("running", other.task)
    held.released.set()
    assert finished(done) == "result"
    assert is_kept(queue, done)
    assert is_kept(queue, done)
    other.released.set()
