"""The list of slow tests names tests that there are, and is made of what pytest prints."""

import re
from pathlib import Path

from tests import slow

ROOT = Path(__file__).parents[1]


def test_every_slow_test_is_there():
    for name in slow.names():
        file, _, test = name.partition("::")
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name


def test_what_took_long_or_needs_what_took_long_is_slow(monkeypatch):
    monkeypatch.setattr(slow, "names", lambda: frozenset({"tests/b.py::test_known"}))
    log = (
        "0.11s call     tests/a.py::test_long\n0.09s call     tests/a.py::test_short\n"
        "1.50s setup    tests/a.py::test_waits[case 1]\n0.02s call     tests/a.py::test_waits[case 2]\n"
        "3.00s call     tests/b.py::test_known\n3 passed in 5.00s\n"
    )
    assert slow.slow_in(log) == ["tests/a.py::test_long", "tests/a.py::test_waits"]
