"""Which tests are slow: measured, and kept in slow.txt beside this file; `make quick` leaves them out.

    make quick PYTEST_ARGS="--durations=0 --durations-min=0.02" > log
    python tests/slow.py log >> tests/slow.txt

adds those that have become slow: all cases of a test of which one took LIMIT seconds or more, making what it needs
included. Tests that are known to be slow when they are written carry the marker `slow` themselves.
"""

import re
import sys
from pathlib import Path

LIMIT = 0.1
LIST = Path(__file__).with_suffix(".txt")
LINE = re.compile(r"([\d.]+)s (?:call|setup|teardown)\s+(\S+?::\w+)")


def names() -> frozenset[str]:
    """The slow tests, as 'tests/test_a.py::test_b'."""
    return frozenset(LIST.read_text(encoding="utf-8").split())


def slow_in(log: str) -> list[str]:
    """The tests that are slow by what pytest prints with --durations, and not yet in the list."""
    found = {name for seconds, name in LINE.findall(log) if float(seconds) >= LIMIT}
    return sorted(found - names())


if __name__ == "__main__":
    print("\n".join(slow_in(Path(sys.argv[1]).read_text(encoding="utf-8"))))
