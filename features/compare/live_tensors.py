"""Counts the bytes of the tensors that are alive at once, in one thread, whatever else runs beside it."""

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """While it is entered, counts the memory that PyTorch's operations return results in, until it is let go of.

    Results that lie in the memory of what an operation was given, such as views, add nothing. What operations need
    inside, such as a library's workspace, is not seen. A process's own size would tell that too, but also what other
    threads do at the time, and memory that is kept for reuse.
    now, peak: bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def begin_peak(self) -> None:
        """Forget the peak: it begins at what is alive."""
        self.peak = self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {id(_memory(tensor)[0]) for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(made):
            owner, size = _memory(tensor)
            key = id(owner)  # which is no other's as long as the owner lives
            if key not in self._known and key not in given:
                self._known.add(key)
                weakref.finalize(owner, self._gone, key, size).atexit = False
                self.now += size
        self.peak = max(self.peak, self.now)
        return made

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _tensors(values: Any) -> Iterator[Tensor]:
    """Those with numbers."""
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and not leaf.is_meta)


def _memory(tensor: Tensor) -> tuple[Any, int]:
    """What owns a tensor's memory, and its bytes: its storage, or itself where a library lays out its values."""
    if tensor.layout is torch.strided:
        storage = tensor.untyped_storage()
        return storage, storage.nbytes()
    return tensor, tensor.numel() * tensor.element_size()
