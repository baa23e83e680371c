"""Visitors: what each waits for, whose cancel counts for whom, and who is taken for gone."""

import random
import threading
from types import SimpleNamespace

import pytest

from features.errors import FeatureError
from features.progress import Progress
from tests.viz.jobs.held import PATIENCE, Held, finished, gives
from viz.jobs import DOWNLOAD, GONE_SECONDS, KINDS, LONG, LONG_SECONDS, SHORT, Jobs, Work, kind_of

ANN, BEN = "ann", "ben"


@pytest.fixture
def server():
    """Jobs whose clock and visitors are set by hand."""
    clock, away = SimpleNamespace(now=0.0), set()
    jobs = Jobs(present=lambda visitor: visitor not in away, clock=lambda: clock.now)
    yield SimpleNamespace(jobs=jobs, clock=clock, away=away)
    for run in jobs.unfinished():
        run.stop()


@pytest.fixture
def held():
    held = Held()
    yield held
    held.released.set()


def fails():
    yield Progress(1, 2, "step")
    raise FeatureError("no such layer")


# --- asking and cancelling --------------------------------------------------------------------------------------------


def test_visitors_who_ask_for_the_same_share_a_run(server, held):
    ann, ben = (server.jobs.ask(visitor, held.work()) for visitor in (ANN, BEN))
    assert ann.run is ben.run
    assert (ann.others, ben.others) == (1, 1)
    held.released.set()
    assert finished(ann.run) == "result"
    assert held.notes.count("started") == 1


def test_a_cancel_is_the_visitors_own(server, held):
    ann, ben = (server.jobs.ask(visitor, held.work()) for visitor in (ANN, BEN))
    ann.cancel()
    assert server.jobs.ask(ANN, held.work()).run is None
    assert server.jobs.ask(BEN, held.work()).run is ben.run
    assert not ben.run.stopped
    assert ben.others == 0
    held.released.set()
    assert finished(ben.run) == "result"
    assert server.jobs.ask("cleo", held.work()).run is ben.run


def test_a_run_stops_when_the_last_who_waited_for_it_cancels(server, held):
    ann, ben = (server.jobs.ask(visitor, held.work()) for visitor in (ANN, BEN))
    assert held.started.wait(PATIENCE)
    ann.cancel()
    ben.cancel()
    held.released.set()
    assert finished(ann.run) is None
    assert ann.run.stopped
    assert "closed" in held.notes


def test_who_asks_for_what_others_have_cancelled_gets_a_run_of_their_own(server, held):
    ann = server.jobs.ask(ANN, held.work())
    ann.cancel()
    ben = server.jobs.ask(BEN, Work("held", gives("anew")))
    assert ben.run is not ann.run
    held.released.set()
    assert finished(ben.run) == "anew"
    assert server.jobs.ask(ANN, held.work()).run is None  # has still cancelled it


def test_a_cancel_can_be_taken_back(server, held):
    server.jobs.ask(ANN, held.work()).cancel()
    cancelled = server.jobs.ask(ANN, held.work())
    cancelled.again()
    held.released.set()
    assert finished(server.jobs.ask(ANN, held.work()).run) == "result"


def test_taking_back_a_cancel_joins_the_run_that_others_wait_for(server, held):
    ann, ben = (server.jobs.ask(visitor, held.work()) for visitor in (ANN, BEN))
    ann.cancel()
    ann.again()
    assert server.jobs.ask(ANN, held.work()).run is ben.run


def test_cancelling_twice_or_what_is_finished_harms_nobody(server):
    ann = server.jobs.ask(ANN, Work("a", gives(1)))
    finished(ann.run)
    ann.cancel()
    ann.cancel()
    assert not ann.run.stopped
    assert server.jobs.ask(BEN, Work("a", gives(2))).run is ann.run


def test_a_result_is_there_for_everybody_and_nobody_is_noted_as_waiting(server):
    ann = server.jobs.ask(ANN, Work("a", gives(1)))
    finished(ann.run)
    finished(server.jobs.ask(ANN, Work("b", gives(2))).run)  # comes after the end of the first is noted
    assert server.jobs.who_waits_for(ann.run) == set()
    assert server.jobs.ask(BEN, Work("a", gives(3))).run.result == 1


def test_a_forgotten_result_is_made_anew_for_everybody(server):
    ann = server.jobs.ask(ANN, Work("a", gives(1)))
    finished(ann.run)
    ann.forget()
    assert finished(server.jobs.ask(BEN, Work("a", gives(2))).run) == 2


# --- failures ---------------------------------------------------------------------------------------------------------


def test_everybody_who_waited_is_told_of_a_failure_and_whoever_asks_again_after_that_retries(server, held):
    server.jobs.ask("somebody", held.work())  # so that both ask before it runs
    ann, ben = (server.jobs.ask(visitor, Work("a", fails)) for visitor in (ANN, BEN))
    held.released.set()
    finished(ann.run)
    told = server.jobs.ask(ANN, Work("a", fails))
    assert str(told.run.error) == "no such layer"
    told.again()  # as the page does when it has shown it
    retried = server.jobs.ask(ANN, Work("a", gives("better")))
    assert finished(retried.run) == "better"
    assert server.jobs.ask(BEN, Work("a", gives("unused"))).run is ben.run  # who was not told yet
    assert str(ben.run.error) == "no such layer"
    ben.again()
    assert server.jobs.ask(BEN, Work("a", gives("unused"))).run is retried.run


def test_a_failure_from_before_a_visitor_came_is_not_theirs(server):
    ann = server.jobs.ask(ANN, Work("a", fails))
    finished(ann.run)
    assert finished(server.jobs.ask(BEN, Work("a", gives("better"))).run) == "better"


# --- visitors who go --------------------------------------------------------------------------------------------------


def test_a_run_stops_when_all_who_waited_for_it_have_been_gone_for_the_grace(server, held):
    job = server.jobs.ask(ANN, held.work())
    server.away.add(ANN)
    server.jobs.tidy()
    server.clock.now = GONE_SECONDS - 1
    server.jobs.tidy()
    assert not job.run.stopped
    server.clock.now = GONE_SECONDS
    server.jobs.tidy()
    assert job.run.stopped


def test_a_visitor_who_comes_back_within_the_grace_was_never_gone(server, held):
    job = server.jobs.ask(ANN, held.work())
    for now, away in ((0, True), (GONE_SECONDS - 1, True), (GONE_SECONDS, False), (GONE_SECONDS + 1, True),
                      (2 * GONE_SECONDS, True)):  # fmt: skip
        server.clock.now = now
        server.away.add(ANN) if away else server.away.discard(ANN)
        server.jobs.tidy()
    assert not job.run.stopped


def test_an_absence_that_ended_unnoticed_does_not_shorten_the_next_grace(server, held):
    first = server.jobs.ask(ANN, Work("first", gives("result")))
    finished(first.run)
    first.cancel()  # so that something of hers is looked after
    server.away.add(ANN)
    server.jobs.tidy()
    first.again()
    server.away.clear()
    server.clock.now = GONE_SECONDS
    job = server.jobs.ask(ANN, held.work())
    server.away.add(ANN)
    server.jobs.tidy()
    assert not job.run.stopped


def test_a_run_goes_on_while_another_visitor_stays(server, held):
    ann, ben = (server.jobs.ask(visitor, held.work()) for visitor in (ANN, BEN))
    server.away.add(ANN)
    server.jobs.tidy()
    server.clock.now = GONE_SECONDS
    server.jobs.tidy()
    assert not ben.run.stopped
    assert ben.others == 0
    assert not ann.renewed().run.stopped  # the page was still open, only the network was away
    assert ben.others == 1


def test_a_running_job_finds_out_by_itself_that_nobody_waits(server):
    """Nobody is there to ask for anything when all tabs are closed."""
    steps = []

    def task():
        for second in range(100):
            server.clock.now = float(second)
            steps.append(second)
            yield Progress(second, 100, "step")

    server.away.add(ANN)
    job = server.jobs.ask(ANN, Work("a", task))
    assert finished(job.run) is None
    assert job.run.stopped
    assert GONE_SECONDS <= steps[-1] <= GONE_SECONDS + 2


def test_lasting_work_outlives_all_who_waited_for_it(server, held):
    job = server.jobs.ask(ANN, held.work(kind=LONG, lasting=True))
    server.away.add(ANN)
    server.jobs.tidy()
    server.clock.now = 10 * GONE_SECONDS
    server.jobs.tidy()
    assert not job.run.stopped
    ben = server.jobs.ask(BEN, held.work(kind=LONG, lasting=True))
    assert ben.run is job.run
    ben.cancel()  # nobody else is there who waits
    assert job.run.stopped


def test_what_a_visitor_cancelled_is_forgotten_with_them(server, held):
    server.jobs.ask(ANN, held.work()).cancel()
    server.away.add(ANN)
    server.jobs.tidy()
    server.clock.now = GONE_SECONDS
    server.jobs.tidy()
    assert server.jobs.ask(ANN, Work("held", gives(1))).run is not None


# --- queues -----------------------------------------------------------------------------------------------------------


def test_every_kind_of_work_has_a_queue_and_none_waits_for_another(server):
    holds = {kind: Held() for kind in KINDS}
    for kind, held in holds.items():
        server.jobs.ask(ANN, held.work(kind, kind=kind))
    assert all(held.started.wait(PATIENCE) for held in holds.values())
    assert [server.jobs.busy(kind) for kind in KINDS] == [True] * len(KINDS)
    for held in holds.values():
        held.released.set()


def test_a_job_waits_in_its_own_queue(server, held):
    server.jobs.ask(ANN, held.work("one", kind=LONG))
    assert server.jobs.ask(ANN, held.work("two", kind=LONG)).place.number == 2
    assert server.jobs.ask(ANN, held.work("three", kind=SHORT)).place.number == 1
    assert server.jobs.ask(ANN, Work("four", gives(4), DOWNLOAD)).run is not None


def test_what_takes_longer_than_somebody_looks_on_is_long():
    assert kind_of(LONG_SECONDS) == SHORT
    assert kind_of(LONG_SECONDS + 1) == LONG


# --- many visitors at once --------------------------------------------------------------------------------------------


VISITS = 12


class Visitor(threading.Thread):
    """Opens pages, waits, cancels, comes back: what a page does with jobs, without the page."""

    begun: list[str]  # the keys of tasks, by all visitors

    def __init__(self, jobs: Jobs, name: str, seed: int) -> None:
        super().__init__(name=name)
        self.jobs, self.random = jobs, random.Random(seed)
        self.cancelled: set[str] = set()
        self.faults: list[str] = []
        self.results = self.cancels = 0

    def work(self, key: str) -> Work:
        def task():
            self.begun.append(key)
            for step in range(10):
                yield Progress(step, 10, "step")
                threading.Event().wait(0.001)  # lets other threads run
            return f"result of {key}"

        return Work(key, task, SHORT if len(key) % 2 else LONG)

    def run(self) -> None:
        for _ in range(VISITS):
            self.visit(self.work(f"analysis {'x' * self.random.randrange(20)}"))

    def visit(self, work: Work) -> None:
        cancel_at = self.random.choice((None, 0, 1, 5))
        for look in range(100_000):
            job = self.jobs.ask(self.name, work)
            if job.run is None:
                if work.key not in self.cancelled:
                    self.faults.append(f"{self.name} is shown a cancel of others")
                self.cancelled.discard(work.key)
                job.again()
                continue
            if work.key in self.cancelled:
                self.faults.append(f"{self.name}'s cancel is forgotten")
            if job.run.wait(0.001):
                self.results += 1
                if job.run.error is not None or job.run.result != f"result of {work.key}":
                    self.faults.append(f"{self.name} got {job.run.result!r} for {work.key}")
                return
            if look == cancel_at:
                job.cancel()
                self.cancelled.add(work.key)
                self.cancels += 1
                return
        self.faults.append(f"{self.name} waited for ever for {work.key}")


@pytest.mark.parametrize("seed", range(3))
def test_of_twenty_visitors_nobody_sees_a_cancel_of_others_and_every_wait_ends_with_the_right_result(monkeypatch, seed):
    monkeypatch.setattr("viz.jobs.queues.KEPT", 1)  # so that work is done again and again
    jobs, Visitor.begun = Jobs(), []
    visitors = [Visitor(jobs, f"visitor {number}", 100 * seed + number) for number in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(PATIENCE)
        assert not visitor.is_alive()
    assert [fault for visitor in visitors for fault in visitor.faults] == []
    cancels = sum(visitor.cancels for visitor in visitors)
    assert cancels > 5 * VISITS  # or nothing was tried
    assert sum(visitor.results for visitor in visitors) + cancels == len(visitors) * VISITS
    assert len(Visitor.begun) > 20
