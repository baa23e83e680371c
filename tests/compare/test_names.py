"""Names that tell networks apart."""

from dataclasses import replace
from pathlib import Path

import pytest

from features.compare.names import told_apart


def named(tiny_model, *files, name="checkpoint"):
    return [replace(tiny_model.spec, name=name, file=None if file is None else Path(file)) for file in files]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/r/epoch1/c.pth", "/r/epoch2/c.pth"], ["checkpoint (epoch1)", "checkpoint (epoch2)"]),
        (["/r/a/out/c.pth", "/r/b/out/c.pth"], ["checkpoint (a)", "checkpoint (b)"]),
        (["/r/a/x/c.pth", "/r/a/y/c.pth", "/r/b/x/c.pth"],
         ["checkpoint (a/x)", "checkpoint (a/y)", "checkpoint (b/x)"]),
        (["/r/c.pth", "/r/c.safetensors"], ["checkpoint (c.pth)", "checkpoint (c.safetensors)"]),
        (["/r/a/c.pth", "/s/c.pth"], ["checkpoint (a)", "checkpoint (s)"]),
        (["/r/c.pth", "/r/c.pth"], ["checkpoint (1)", "checkpoint (2)"]),
        (["/r/a/c.pth", "/r/a/c.pth", "/r/b/c.pth"], ["checkpoint (a) (1)", "checkpoint (a) (2)", "checkpoint (b)"]),
        ([None, "/r/a/c.pth", "/r/b/c.pth"], ["checkpoint", "checkpoint (a)", "checkpoint (b)"]),
        ([None, None], ["checkpoint (1)", "checkpoint (2)"]),
    ],
)  # fmt: skip
def test_networks_of_one_name_are_told_by_where_their_files_lie(files, names, tiny_model):
    assert told_apart(named(tiny_model, *files)) == names


def test_a_name_of_its_own_is_kept(tiny_model):
    specs = [*named(tiny_model, "/r/a/c.pth", name="first"), *named(tiny_model, "/r/b/c.pth", name="second")]
    assert told_apart(specs) == ["first", "second"]


def test_relative_paths_differ_by_the_folders_they_are_in(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told_apart(named(tiny_model, "c.pth", "epoch2/c.pth")) == [
        f"checkpoint ({tmp_path.name})",
        "checkpoint (epoch2)",
    ]
