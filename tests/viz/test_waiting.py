"""The wait for a job as visitors see it, each on a page of their own."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from features.errors import FeatureError
from features.progress import Progress
from tests.viz.jobs import held as holder
from tests.viz.jobs.held import PATIENCE, Held, gives
from viz import widgets
from viz.cached import server
from viz.jobs import LONG, Interrupted, Jobs, State, Work, in_process, results
from viz.jobs import run as run_module
from viz.jobs.records import Order, Record, code

RESULT = """
import streamlit as st
from tests.viz.jobs import held
from viz import widgets
from viz.cached import server

with widgets.show_errors():
    st.write(f"It is {widgets.result(server.ask(held.WORK), 'Counting')}.")
"""
START = """
import streamlit as st
from tests.viz.jobs import held
from viz import widgets
from viz.cached import server

st.session_state["drawn"] = True
if widgets.start(held.WORK, "Count"):
    with widgets.show_errors():
        st.write(f"It is {widgets.result(server.ask(held.WORK), 'Counting')}.")
"""


AWAITED = """
import streamlit as st
from tests.viz.jobs import held
from viz import widgets

st.session_state["drawn"] = True
with widgets.show_errors():
    st.write(f"It is {widgets.awaited(held.WORK, 'Counting')}.")
"""


@pytest.fixture
def jobs(monkeypatch):
    jobs = Jobs()
    monkeypatch.setattr(server, "jobs", lambda: jobs)
    monkeypatch.setattr(widgets, "GRACE", 0.01)
    yield jobs
    for run in jobs.unfinished():
        run.stop()


@pytest.fixture
def held(monkeypatch):
    held = Held()
    yield held
    held.released.set()


class Visitor:
    """A tab with a page that waits for a piece of work."""

    def __init__(self, monkeypatch, name, script=RESULT):
        self._patch, self.name = monkeypatch, name
        self.app = AppTest.from_string(script, default_timeout=PATIENCE)

    def looks(self, work):
        holder.WORK = work
        self._patch.setattr(server, "visitor", lambda: self.name)
        self.app.run()
        assert not self.app.exception
        return self

    def clicks(self, label, work):
        holder.WORK = work
        self._patch.setattr(server, "visitor", lambda: self.name)
        next(button for button in self.app.button if button.label == label).click().run()
        assert not self.app.exception
        return self

    @property
    def sees(self):
        texts = [*self.app.info, *self.app.error, *self.app.warning, *self.app.markdown]
        bars = [bar.proto.text for bar in self.app.get("progress")]
        buttons = [button.label for button in self.app.button]
        return " ".join([*(text.value for text in texts), *bars, *buttons]).replace("\\", "")


@pytest.fixture
def visitor(monkeypatch):
    return lambda name, script=RESULT: Visitor(monkeypatch, name, script)


def end(jobs):
    for run in jobs.unfinished():
        assert run.wait(PATIENCE)


def test_the_page_shows_how_far_a_job_is_and_then_its_result(jobs, held, visitor):
    ann, work = visitor("ann"), held.work()
    ann.looks(work)
    assert held.started.wait(PATIENCE)
    assert "Counting: 1 of 2 steps" in ann.looks(work).sees
    assert "Cancel" in ann.sees
    held.released.set()
    end(jobs)
    assert ann.looks(work).sees == "It is result."


@pytest.mark.slow
def test_one_visitor_cancels_and_the_other_is_shown_nothing_of_it(jobs, held, visitor):
    ann, ben, work = visitor("ann").looks(held.work()), visitor("ben").looks(held.work()), held.work()
    ann.clicks("Cancel", work)
    assert ann.looks(work).sees == "Counting: cancelled by you. Start again"
    assert "Counting:" in ben.looks(work).sees
    assert "cancelled" not in ben.sees
    held.released.set()
    end(jobs)
    assert ben.looks(work).sees == "It is result."
    assert "cancelled by you" in ann.looks(work).sees
    assert ann.clicks("Start again", work).sees == "It is result."


@pytest.mark.slow
def test_whoever_comes_after_a_cancel_finds_no_trace_of_it(jobs, held, visitor):
    visitor("ann").looks(held.work()).clicks("Cancel", held.work())
    held.released.set()
    end(jobs)
    ben = visitor("ben").looks(Work("held", gives("another")))
    end(jobs)
    assert ben.looks(Work("held", gives("another"))).sees == "It is another."


def test_what_a_cancel_leaves_of_lasting_work_is_said(jobs, held, visitor):
    work = held.work(kind=LONG, lasting=True, resumes=True)
    ann = visitor("ann").looks(work).clicks("Cancel", work)
    assert "What it has written stays" in ann.sees
    assert "Go on" in ann.sees
    forgets = held.work("forgets", kind=LONG, lasting=True)  # as what is measured in memory
    ann = visitor("ann").looks(forgets).clicks("Cancel", forgets)
    assert "stays" not in ann.sees
    assert "Start again" in ann.sees


def fails():
    yield Progress(1, 2, "step")
    raise FeatureError("There is no such layer.")


def breaks():
    yield Progress(1, 2, "step")
    raise ZeroDivisionError


@pytest.mark.slow
def test_a_failure_is_told_to_everybody_who_waited_and_tried_again_after_that(jobs, held, visitor):
    jobs.ask("somebody", held.work())
    ann, ben, work = visitor("ann"), visitor("ben"), Work("a", fails)
    for each in (ann, ben):
        each.looks(work)
    held.released.set()
    end(jobs)
    for each in (ann, ben):
        assert each.looks(work).sees == "There is no such layer."
    better = Work("a", gives("better"))
    ann.looks(better)
    end(jobs)
    assert ann.looks(better).sees == "It is better."
    assert ben.looks(better).sees == "It is better."


def test_what_was_not_foreseen_stays_until_the_visitor_tries_again(jobs, held, visitor):
    work = Work("a", breaks)
    ann = visitor("ann").looks(work)
    end(jobs)
    for _ in range(2):
        assert "not foreseen (ZeroDivisionError)" in ann.looks(work).sees
    ann.clicks("Try again", Work("a", gives("better")))
    end(jobs)
    assert ann.looks(Work("a", gives("better"))).sees == "It is better."


@pytest.mark.slow
def test_a_job_that_waits_shows_its_place_and_when_it_starts(jobs, visitor, held, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def task():
        clock.now = 10.0
        yield Progress(1, 4, "step")
        held.started.set()
        assert held.released.wait(PATIENCE)

    jobs.ask("ann", Work("first", task))
    ben, cleo = visitor("ben"), visitor("cleo")
    assert held.started.wait(PATIENCE)
    assert "Counting: place 2 of 2 in the queue, about 30 s until it starts" in ben.looks(Work("b", gives(1))).sees
    assert "place 3 of 3 in the queue, at least 30 s until it starts" in cleo.looks(Work("c", gives(1))).sees


def test_nothing_is_said_of_the_time_that_nobody_knows(jobs, visitor, held):
    def task():
        yield Progress(0, 4, "step")  # as good as nothing
        assert held.released.wait(PATIENCE)

    jobs.ask("ann", Work("first", task))
    ben = visitor("ben").looks(Work("b", gives(1)))
    assert "place 2 of 2 in the queue Cancel" in ben.sees


# --- work in processes ------------------------------------------------------------------------------------------------


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    record = Record.of("numbers")
    record.write_order(Order("numbers", "count", {}))
    return record


NUMBERS = Work("numbers", gives(5), LONG, lasting=True, resumes=True)


def test_long_work_begins_when_it_is_asked_for(jobs, visitor, record):
    ann = visitor("ann", START).looks(NUMBERS)
    assert ann.sees == "Count"
    ann.clicks("Count", NUMBERS)
    end(jobs)
    assert ann.looks(NUMBERS).sees == "It is 5."


def test_what_takes_a_moment_begins_by_itself_and_what_is_long_by_a_button(jobs, visitor, record):
    short, long = Work("short", gives(3)), Work("numbers", gives(5), LONG, lasting=True)
    ann = visitor("ann", AWAITED).looks(short)
    end(jobs)
    assert ann.looks(short).sees == "It is 3."
    assert ann.looks(long).sees == "Start"
    assert "takes minutes or more here" in ann.app.caption[0].value
    assert not jobs.unfinished()
    ann.clicks("Start", long)
    end(jobs)
    assert ann.looks(long).sees == "It is 5."
    assert visitor("ben", AWAITED).looks(long).sees == "It is 5."  # which is there: nothing need be pressed


def test_a_result_that_an_earlier_server_kept_is_read_without_a_click(jobs, visitor, record):
    record.write_state(State("done", 1, None, code=code()))
    results.write(record.result, 5)
    ann = visitor("ann", AWAITED).looks(in_process("numbers", "sweep", {}))
    end(jobs)
    assert ann.looks(in_process("numbers", "sweep", {})).sees == "It is 5."


def test_a_result_of_other_code_is_not_taken_for_one_of_this(jobs, visitor, record):
    record.write_state(State("done", 1, None, code="earlier"))
    results.write(record.result, 5)
    assert visitor("ann", AWAITED).looks(in_process("numbers", "sweep", {})).sees == "Start"
    assert not jobs.unfinished()


@pytest.mark.slow
def test_what_runs_already_is_shown_without_a_click(jobs, visitor, record, held):
    record.write_state(State("running", 1, None))
    with record.lock():  # as a worker holds it
        ann = visitor("ann", START).looks(Work("numbers", held.task, LONG, lasting=True, resumes=True))
    assert "Counting:" in ann.sees


def test_what_waits_in_its_queue_is_shown_to_a_tab_that_is_opened_again(jobs, visitor, record, held):
    jobs.ask("somebody", held.work("another", kind=LONG))
    visitor("ann", START).looks(NUMBERS).clicks("Count", NUMBERS)
    assert "Counting: place 2 of 2" in visitor("ann's next tab", START).looks(NUMBERS).sees


def test_one_click_goes_on_with_what_ended_while_a_visitor_looked_who_had_not_begun_it(jobs, visitor, record, held):
    def ends():
        yield from held.task()
        raise Interrupted("The process was ended from outside.")

    ann, work = visitor("ann", START), Work("numbers", ends, LONG, lasting=True, resumes=True)
    record.write_state(State("running", 1, None))
    with record.lock():  # as a worker holds it
        assert "Counting:" in ann.looks(work).sees
    held.released.set()
    end(jobs)
    assert "Go on" in ann.looks(work).sees
    ann.clicks("Go on", NUMBERS)
    end(jobs)
    assert ann.looks(NUMBERS).sees == "It is 5."


@pytest.mark.parametrize(
    ("state", "text", "label"),
    [
        (State("running", 1, None, Progress(3, 5, "number")), "was stopped after 3 of 5 numbers", "Go on"),
        (State("stopped", 1, None), "was stopped. What it has written stays", "Go on"),
        (State("failed", 1, None, None, None, "The disk is full."), "failed: The disk is full.", "Try again"),
        (State("failed", 1, None, None, None, "KeyError", False), "not foreseen (KeyError)", "Try again"),
    ],
    ids=["killed", "stopped", "failed", "broken"],
)
def test_how_an_earlier_run_ended_is_said_before_it_is_gone_on_with(jobs, visitor, record, state, text, label):
    record.write_state(state)
    ann = visitor("ann", START).looks(NUMBERS)
    assert text in ann.sees
    ann.clicks(label, NUMBERS)
    end(jobs)
    assert "It is 5." in ann.looks(NUMBERS).sees


def test_a_failure_of_long_work_is_not_tried_again_without_a_click(jobs, visitor, record, held):
    jobs.ask("somebody", held.work("another", kind=LONG))
    work = Work("numbers", fails, LONG, lasting=True, resumes=True)
    ann = visitor("ann", START).looks(work).clicks("Count", work)
    held.released.set()
    end(jobs)
    assert "There is no such layer." in ann.looks(work).sees
    assert ann.looks(work).sees == "Count"


def is_interrupted():
    yield Progress(3, 5, "number")
    raise Interrupted("The process was ended from outside after 3 of 5 numbers.")


def test_a_process_that_ends_while_somebody_looks_is_told_of_until_they_go_on(jobs, visitor, record):
    work = Work("numbers", is_interrupted, LONG, lasting=True, resumes=True)
    ann = visitor("ann").looks(work)
    end(jobs)
    for _ in range(2):
        assert (
            "after 3 of 5 numbers. What it has written stays, and it goes on from there. Go on" in ann.looks(work).sees
        )
    ann.clicks("Go on", NUMBERS)
    end(jobs)
    assert ann.looks(NUMBERS).sees == "It is 5."
