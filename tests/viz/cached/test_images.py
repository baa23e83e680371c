"""The stamp of an image set: fresh where that costs little, and never in a page's way."""

import pytest

from features.errors import DatasetError
from features.progress import finish
from viz.cached import images
from viz.cached.images import FRESH_SECONDS, MOMENT, SHARE, Watch


class Source:
    """A source of images with a clock of its own, on which a look takes `takes` seconds."""

    def __init__(self, takes: float) -> None:
        self.takes, self.now, self.looks, self.content = takes, 100.0, 0, "one"
        self.waiting: list = []  # looks that are made in the background
        self.watch = Watch(self.look, lambda: self.now, self.waiting.append)

    def look(self) -> str:
        content = self.content
        self.looks += 1
        self.now += self.takes
        if content == "gone":
            raise DatasetError("it is gone")
        return content


def test_a_small_source_is_looked_at_again_by_whoever_asks_after_some_seconds():
    source = Source(takes=MOMENT / 2)
    assert source.watch.stamp() == "one"
    source.content = "two"
    source.now += FRESH_SECONDS - 0.1
    assert source.watch.stamp() == "one"
    source.now += 0.2
    assert source.watch.stamp() == "two"
    assert source.looks == 2
    assert not source.waiting


def test_nobody_waits_for_a_second_look_at_a_large_source():
    source = Source(takes=5)
    assert source.watch.stamp() == "one"
    source.content = "two"
    source.now += 5 / SHARE + 1
    before = source.now
    assert [source.watch.stamp() for _ in range(3)] == ["one"] * 3
    assert source.now == before
    assert len(source.waiting) == 1  # however many ask
    source.waiting.pop()()
    assert source.watch.stamp() == "two"
    assert not source.waiting


@pytest.mark.parametrize("takes", [0.001, 0.5, 5, 60])
def test_looking_takes_at_most_its_share_of_the_time(takes):
    source = Source(takes)
    source.watch.stamp()
    began = source.now
    for _ in range(20_000):  # someone touches the page twice a second
        source.now += 0.5
        source.watch.stamp()
        while source.waiting:
            source.waiting.pop()()
    assert source.looks > 2
    assert (source.looks - 1) * takes <= 1.01 * SHARE * (source.now - began)


def test_whoever_asks_for_another_look_gets_it_at_once_also_while_one_is_underway():
    source = Source(takes=5)
    source.watch.stamp()
    source.now += 1000
    source.watch.stamp()
    (underway,) = source.waiting
    source.waiting.clear()
    source.watch.forget()
    underway()  # what it saw may be older than the wish
    source.content = "two"
    assert source.watch.stamp() == "two"
    assert source.looks == 3


def test_a_source_that_goes_away_has_another_stamp_so_that_its_opening_tells_why():
    source = Source(takes=5)
    source.watch.stamp()
    source.content = "gone"
    source.now += 1000
    source.watch.stamp()
    source.waiting.pop()()
    assert source.watch.stamp() == "it is gone"
    source.watch.forget()
    with pytest.raises(DatasetError, match="it is gone"):
        source.watch.stamp()


def opened(sets, path):
    stamp = images.set_stamp(path)
    return sets.get(path, stamp) or finish(sets.work(path, stamp).make_task())


def test_a_changed_folder_is_another_set(tiny_folder):
    path, sets = str(tiny_folder), images.Sets()
    before = opened(sets, path)
    assert opened(sets, path) is before
    (tiny_folder / "cat" / "0.png").unlink()
    images.look_again(path)
    after = opened(sets, path)
    assert after.digest != before.digest
    assert len(after) == 11


def test_the_sets_that_were_used_last_are_held(tiny_folder):
    path, sets = str(tiny_folder), images.Sets()
    for stamp in map(str, range(images.KEPT_SETS)):
        finish(sets.work(path, stamp).make_task())
    assert sets.get(path, "0") is not None
    finish(sets.work(path, "one more").make_task())
    assert sets.get(path, "0") is not None
    assert sets.get(path, "1") is None


def test_the_first_look_at_a_folder_is_work_that_tells_how_far_it_is(tiny_folder):
    path = str(tiny_folder)
    work = images.look_work(path)
    assert finish(work.make_task()) == images.set_stamp(path)
    assert images.look_work(path) is None
    images.look_again(path)
    assert images.look_work(path).key != work.key
