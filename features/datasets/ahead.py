"""Something that is asked of every image of a set, in their order, of some of them ahead in threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from features.errors import ImageError

THREADS, AHEAD = 4, 64
Result = TypeVar("Result")


def ahead(n_images: int, work: Callable[[int], Result]) -> "Iterator[Result | ImageError]":
    """work(row) of each image in order, or the ImageError that it raised; never all of a large set wait at once."""

    def one(row: int) -> "Result | ImageError":
        try:
            return work(row)
        except ImageError as error:
            return error

    rows = iter(range(n_images))
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(one, row) for row in islice(rows, AHEAD)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(one, row) for row in islice(rows, 1)]
        finally:
            for each in waiting:
                each.cancel()
