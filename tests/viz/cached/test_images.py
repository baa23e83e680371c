"""The stamp of an image set: fresh where that costs little, and never in a page's way."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from features.datasets import Columns, Snapshot, folders, open_images
from features.errors import DatasetError
from features.progress import finish
from viz.cached import images
from viz.cached.images import FRESH_SECONDS, MOMENT, SHARE, Chosen, Watch


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
    chosen = Chosen(path, images.set_stamp(path))
    return sets.get(chosen) or finish(sets.work(chosen).make_task())


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
        finish(sets.work(Chosen(path, stamp)).make_task())
    assert sets.get(Chosen(path, "0")) is not None
    finish(sets.work(Chosen(path, "one more")).make_task())
    assert sets.get(Chosen(path, "0")) is not None
    assert sets.get(Chosen(path, "1")) is None


def test_other_columns_of_a_table_are_another_set(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "0.png")
    (tmp_path / "list.csv").write_text("path,label,breed\n0.png,cat,manx\n")
    sets, chosen = images.Sets(), Chosen(str(tmp_path / "list.csv"))
    guessed = finish(sets.work(chosen).make_task())
    named = finish(sets.work(replace(chosen, columns=Columns(label="breed"))).make_task())
    assert [each.label_name(0) for each in (guessed, named)] == ["cat", "manx"]
    assert guessed.digest != named.digest
    assert sets.get(chosen) is guessed
    few = [
        images.sampled(each, 1, whole)
        for each, whole in ((chosen, guessed), (replace(chosen, columns=named.origin.columns), named))
    ]
    assert [each.label_name(0) for each in few] == ["cat", "manx"]


def test_a_folder_is_walked_through_once_for_its_stamp_and_its_set(tiny_folder, monkeypatch):
    walks = []
    walk = folders.Tree.files
    monkeypatch.setattr(folders.Tree, "files", lambda tree: walks.append(tree.root) or walk(tree))
    path, sets = str(tiny_folder), images.Sets()
    images.look_again(path)
    found = opened(sets, path)
    assert walks == [tiny_folder]
    assert found.digest == open_images(path).digest
    walks.clear()
    finish(sets.work(Chosen(path, images.set_stamp(path))).make_task())  # what was listed is held for one opening
    assert walks == [tiny_folder]


def test_what_was_listed_is_for_its_folder_alone_and_not_kept_where_nothing_changed():
    kept, listing = images.Listings(), SimpleNamespace()
    assert kept.keep("/a", Snapshot("1", listing)) == "1"
    assert kept.take("/b", "1") is None
    assert kept.take("/a", "2") is None
    assert kept.take("/a", "1") is listing
    assert kept.take("/a", "1") is None
    kept.keep("/a", Snapshot("1", listing))  # looked at again
    assert kept.take("/a", "1") is None


def test_the_first_look_at_a_folder_is_work_that_tells_how_far_it_is(tiny_folder):
    path = str(tiny_folder)
    work = images.look_work(path)
    assert finish(work.make_task()) == images.set_stamp(path)
    assert images.look_work(path) is None
    images.look_again(path)
    assert images.look_work(path).key != work.key
