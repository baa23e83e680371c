"""What trainings in tests share: the processor, and batches without processes of their own."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums on a GPU come in any order, so that bits can only be compared on a CPU."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, on_cpu: None) -> Iterator[None]:
    """Batches are made in this process: starting others takes most of a small training's time, and changes nothing."""
    from tests.train.runs import loading_here

    with loading_here():
        yield
