"""A processor with bf16, whether or not there is one."""

from collections.abc import Iterator

import pytest

from features.engine import onednn
from tests.engine.cases import Xeon


@pytest.fixture
def xeon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Xeon]:
    """oneDNN's operations as on a processor with bf16 (and fp16), whose speed it has not."""
    operations, forget = Xeon(), onednn.has.cache_clear
    monkeypatch.setattr(onednn, "OPERATIONS", operations)
    forget()
    yield operations
    forget()
