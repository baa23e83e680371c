"""Corrected labels on a set: what they change, and that the set is another one then."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from features.datasets import Boxes, ImageSet, open_images, reopen
from features.datasets.corrections import Corrections, corrected, keep, kept
from features.errors import DatasetError


def images_of(labels: list[int] | None, names: tuple[str, ...] = ("cat", "dog")) -> ImageSet:
    count = 4 if labels is None else len(labels)
    ids = tuple(f"{number}.png" for number in range(count))
    array = None if labels is None else np.array(labels)
    return ImageSet(
        "pets", ids, array, () if labels is None else names, "digest", lambda index: Image.new("RGB", (9, 9))
    )


def corrections_of(images: ImageSet, **labels: str) -> Corrections:
    rows = np.array([int(name[1:]) for name in labels])
    return Corrections(images.pictures_digest, rows, tuple((label,) for label in labels.values()))


def labels_of(images: ImageSet) -> list[str | None]:
    return [images.label_name(row) for row in range(len(images))]


def test_labels_are_what_they_were_corrected_to():
    images = images_of([0, 0, 1, 1])
    changed = corrected(images, corrections_of(images, _1="dog", _3="cat"))
    assert labels_of(changed) == ["cat", "dog", "dog", "cat"]
    assert labels_of(images) == ["cat", "cat", "dog", "dog"]
    assert changed.ids == images.ids


def test_another_correction_makes_another_digest_and_the_same_the_same():
    images = images_of([0, 0, 1, 1])
    told = [{}, {"_1": "dog"}, {"_2": "cat"}, {"_1": "dog", "_2": "cat"}, {"_1": "dog"}]
    digests = [corrected(images, corrections_of(images, **each)).digest for each in told]
    assert digests[0] == images.digest
    assert digests[1] == digests[4]
    assert len(set(digests)) == 4


def test_what_the_source_says_already_is_no_correction():
    images = images_of([0, 0, 1, 1])
    assert corrected(images, corrections_of(images, _0="cat")) is images


def test_a_new_class_is_added_among_the_sorted_and_told():
    images = images_of([0, 0, 1, 1])
    changed = corrected(images, corrections_of(images, _1="cow"))
    assert changed.class_names == ("cat", "cow", "dog")
    assert labels_of(changed) == ["cat", "cow", "dog", "dog"]
    assert any("1 class that pets does not have (cow)" in note for note in changed.notes)


@pytest.mark.parametrize("boxed", [False, True])
def test_a_new_class_comes_last_where_numbers_have_a_meaning(boxed):
    images = images_of([0, 0, 1, 1], ("cat", "dog") if boxed else ("dog", "cat"))
    boxes = Boxes(np.array([0]), np.array([1]), np.zeros((1, 4), np.float32)) if boxed else None
    changed = corrected(replace(images, boxes=boxes), corrections_of(images, _1="ape"))
    assert changed.class_names == (*images.class_names, "ape")


def test_images_of_any_number_of_labels_keep_any_number():
    sets = np.array([[True, False], [True, True], [False, False]])
    images = ImageSet("pets", ("0", "1", "2"), None, ("cat", "dog"), "digest", images_of([0]).opener, label_sets=sets)
    changed = corrected(images, Corrections("digest", np.array([0, 1]), (("dog", "cow"), ())))
    assert labels_of(changed) == ["cow;dog", "", ""]


def test_several_labels_for_an_image_that_has_one_are_refused():
    images = images_of([0, 0, 1, 1])
    with pytest.raises(DatasetError, match=r"1\.png was corrected to 2 labels"):
        corrected(images, Corrections("digest", np.array([1]), (("cat", "dog"),)))


def test_a_set_without_labels_has_them_when_all_are_told():
    images = images_of(None)
    some = corrected(images, corrections_of(images, _0="cat"))
    assert not some.is_labelled
    assert "Label all of them" in some.notes[-1]
    whole = corrected(images, corrections_of(images, _0="cat", _1="dog", _2="cat", _3="cat"))
    assert labels_of(whole) == ["cat", "dog", "cat", "cat"]
    assert whole.digest != images.digest


def test_corrections_of_another_set_are_refused():
    images = images_of([0, 0, 1, 1])
    for wrong in (Corrections("other", np.array([0]), (("dog",),)), Corrections("digest", np.array([4]), (("dog",),))):
        with pytest.raises(DatasetError, match="of other images"):
            corrected(images, wrong)


def test_a_part_of_a_corrected_set_is_that_part_of_the_same_pictures():
    images = images_of([0, 0, 1, 1])
    changed = corrected(images, corrections_of(images, _1="dog"))
    assert changed.take([1, 2]).pictures_digest == images.take([1, 2]).digest
    assert changed.take([1, 2]).digest != images.take([1, 2]).digest


def test_a_corrected_set_is_opened_again_as_it_was():
    images = open_images("sample").sample(40)
    told = Corrections(images.digest, np.array([3, 5]), (("Sandal",), ("Coat",)))
    changed = corrected(images, told).sample(20)
    again = reopen(changed.origin)
    assert again.digest == changed.digest
    assert labels_of(again) == labels_of(changed)


@pytest.mark.parametrize("content", [None, b"{}", b"no JSON", b'{"images": "x", "rows": [1], "labels": [["a"]]}'])
def test_corrections_that_are_not_kept_here_are_told_of(content, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    key = keep(Corrections("digest", np.array([1]), (("cat",),)))
    assert kept(key).labels == (("cat",),)
    (path,) = tmp_path.rglob("*.json")
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DatasetError, match="Switch corrections off and on again"):
        kept(key)
