"""Rows of figures that are kept as they come, sections with a time limit each, and one table at the end."""

import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

PASS, FAIL, SKIP, ERROR = "PASS", "FAIL", "SKIP", "ERROR"


class OutOfTime(BaseException):
    """Raised inside a section whose time is up; not an Exception, which what is measured may catch."""


@dataclass
class Report:
    """What a run found. machine: what it ran on. rows: section, name, verdict, note, and numbers by name.

    The file is written anew after every section, so that a run that is stopped leaves what it had.
    """

    file: Path | None
    seconds: float
    machine: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    present: str = ""

    @property
    def left(self) -> float:
        """Seconds until the whole run's time is up."""
        return self.seconds - (time.monotonic() - self.began)

    def add(self, name: str, verdict: str = "", note: str = "", **numbers: float | str | None) -> None:
        row = {"section": self.present, "name": name, "verdict": verdict, "note": note, **numbers}
        self.rows.append(row)
        say(f"{self.seconds - self.left:6.1f} s  {self.present}: {line(row)}")
        self.save()

    def judge(self, name: str, good: bool, note: str = "", **numbers: float | str | None) -> None:
        """A row that passes or fails."""
        self.add(name, PASS if good else FAIL, note, **numbers)

    def section(self, name: str, limit: float, work: Callable[[], None]) -> None:
        """Run a section for at most `limit` seconds; what goes wrong in it is written down, and the run goes on."""
        self.present = name
        limit = min(limit, self.left)
        if limit < 2:
            self.add("not begun", SKIP, "out of time")
            return
        began = time.monotonic()
        try:
            with limited(limit):
                work()
        except OutOfTime:
            self.add("not finished", SKIP, f"its {limit:.0f} s were over")
        except Exception as error:
            traceback.print_exc()
            self.add("stopped", ERROR, f"{type(error).__name__}: {error}"[:300])
        self.spent[name] = self.spent.get(name, 0) + time.monotonic() - began
        self.save()

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """What goes wrong inside is a row, and the section goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.add(name, ERROR, f"{type(error).__name__}: {error}"[:300])

    def save(self) -> None:
        if self.file:
            content = {"machine": self.machine, "seconds": self.spent, "rows": self.rows}
            self.file.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")

    def table(self) -> str:
        """Every row in a line, section by section, and how many passed."""
        lines = [f"{key}: {value}" for key, value in self.machine.items()]
        for section in dict.fromkeys(row["section"] for row in self.rows):
            lines.append(f"\n{section} ({self.spent.get(section, 0):.0f} s)")
            lines += [f"  {line(row)}" for row in self.rows if row["section"] == section]
        verdicts = [row["verdict"] for row in self.rows]
        lines.append("\n" + ", ".join(f"{verdicts.count(each)} {each}" for each in (PASS, FAIL, SKIP, ERROR)))
        return "\n".join(lines)


def line(row: dict[str, Any]) -> str:
    numbers = {key: value for key, value in row.items() if key not in ("section", "name", "verdict", "note")}
    told = "  ".join(f"{key} {shown(value)}" for key, value in numbers.items() if value is not None)
    return f"{row['verdict']:5s} {row['name']:58s} {told}  {row['note']}".rstrip()


def shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTime inside after some seconds; in the main thread, between two steps of Python."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
