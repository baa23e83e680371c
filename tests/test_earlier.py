"""What the program made before folders told their kind: results, trained files and links still open, and go on.

tests/earlier/results.zip holds one folder of each kind as an earlier version wrote it, and the images it was given.
"""

import ast
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from features.__main__ import main
from features.claim import MANIFEST
from features.networks import card, zoo
from features.store import FORMATS, open_features, read_manifest
from features.train import export
from tests.store.test_store import same
from tests.test_claim import content, one_sentence, untouched
from viz.pages import faithfulness

ROOT = Path(__file__).parents[1]
EXTRACT = "--stages layer2,layer3,logits --precision fp32 --device cpu --engine torch"
LINKS = {
    "against", "apart", "architecture", "block", "class", "class one", "class two", "classes", "colour", "colours",
    "column", "contents", "engine", "errors", "evaluation view", "factor", "folder", "format", "gallery class",
    "head", "images", "lesion", "limit", "list", "method", "methods", "min_dist", "model", "neighbours",
    "network_lesion", "novelty score", "novelty stage", "off", "origin", "out", "part", "parts", "pool", "precision",
    "proof", "quantity", "residual view", "seed", "signed colours", "stage", "stages", "tables", "target stage",
    "timm", "view", "weights", "whole", "wide",
}  # fmt: skip


@pytest.fixture
def earlier(tmp_path, monkeypatch) -> Path:
    """The folders, as if they had been made with the libraries that are installed here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with zipfile.ZipFile(ROOT / "tests" / "earlier" / "results.zip") as archive:
        archive.extractall(tmp_path)
    import PIL

    for path in tmp_path.glob("features-*/manifest.json"):
        told = json.loads(path.read_text())
        told["settings"] |= {"torch": torch.__version__, "versions": {"pillow": PIL.__version__}}
        path.write_text(json.dumps(told))
    return tmp_path


def run(line: str, capsys) -> tuple[int, str]:
    """The exit status, and what was written to standard error."""
    status = main(line.split())
    return status, capsys.readouterr().err


# --- features -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_features_open_convert_and_are_answered_as_finished(format, earlier, capsys):
    folder = earlier / f"features-{format}"
    wanted = open_features(earlier / "features-parquet")
    same(open_features(folder), wanted)
    before = untouched(folder)
    assert run(f"info {folder}", capsys)[0] == 0
    assert run(f"convert {folder} --format npz --out {earlier / 'npz'}", capsys)[0] == 0
    same(open_features(earlier / "npz"), wanted)
    assert untouched(folder) == before
    assert run(f"extract {earlier}/images.zip {EXTRACT} --format {format} --out {folder}", capsys)[0] == 0
    names = {path.name for path in folder.iterdir()}
    assert {name for path, name in ((path, Path(path).name) for path in before) if (folder / name).is_file()} == names
    same(open_features(folder), wanted)


def check_refused_then_replaced(folder, line, said, capsys):
    """Of a command with other settings than a folder's: refused with `said`, nothing lost; replaced when asked to."""
    (folder / "notes.txt").write_text("precious")
    before = untouched(folder)
    status, errors = run(f"{line} {folder}", capsys)
    assert status == 2
    assert said in one_sentence(errors, line.split()[0])
    assert untouched(folder) == before
    assert run(f"{line} {folder} --replace", capsys)[0] == 0
    assert (folder / "notes.txt").read_text() == "precious"
    (folder / "notes.txt").unlink()
    anew = folder.parent / "anew"
    assert run(f"{line} {anew}", capsys)[0] == 0
    assert content(folder) == content(anew)


@pytest.mark.parametrize("format", FORMATS)
def test_features_are_refused_to_other_settings_and_replaced_on_demand(format, earlier, capsys):
    line = f"extract {earlier}/images.zip {EXTRACT} --format {format} --pool max --out"
    check_refused_then_replaced(earlier / f"features-{format}", line, 'pool was "mean" and is "max"', capsys)


def begun(folder: Path, **changed: object) -> None:
    """Make a folder's manifest that of a run which has not come to its end."""
    told = json.loads((folder / MANIFEST).read_text())
    told |= {
        "n_rows": None,
        "n_rejected": None,
        "made_with": {},
        "images_per_second": None,
        "complete": False,
        **changed,
    }
    (folder / MANIFEST).write_text(json.dumps(told))


def test_parquet_features_that_were_not_finished_go_on(earlier, capsys):
    folder = earlier / "features-parquet"
    wanted = content(folder)
    begun(folder)
    part = folder / "part-00000.parquet"
    written = part.stat().st_mtime_ns
    (folder / "rejected.parquet").unlink()
    (folder / f".part-00001.parquet.{'0' * 32}.tmp").write_bytes(b"half")
    assert run(f"extract {earlier}/images.zip {EXTRACT} --out {folder}", capsys)[0] == 0
    assert part.stat().st_mtime_ns == written
    found = content(folder)
    assert found.keys() == wanted.keys() - {".lock"}
    assert read_manifest(folder).complete


def test_features_of_another_format_that_were_not_finished_go_on(earlier, capsys):
    folder, parts = earlier / "features-npy", earlier / "features-npy" / ".parts"
    wanted = open_features(earlier / "features-parquet")
    shutil.copytree(earlier / "features-parquet", parts)
    for name in (MANIFEST, "rows.parquet", "rejected.parquet", "layer3.npy"):
        (folder / name).unlink()
    (folder / "layer2.npy").write_bytes(b"half")
    (folder / ".making").touch()
    status, errors = run(f"extract {earlier}/images.zip {EXTRACT} --out {folder}", capsys)
    assert status == 2
    assert "another format" in one_sentence(errors, "extract")
    assert run(f"extract {earlier}/images.zip {EXTRACT} --format npy --out {folder}", capsys)[0] == 0
    assert {path.name for path in folder.iterdir()} == {
        "ids.txt", "layer2.npy", "layer3.npy", "logits.npy", MANIFEST, "rejected.parquet", "rows.parquet"
    }  # fmt: skip
    same(open_features(folder), wanted)
    assert read_manifest(folder).images_per_second == read_manifest(earlier / "features-parquet").images_per_second


def test_what_is_no_earlier_run_for_sure_is_not_gone_on_with(earlier, capsys):
    folder = earlier / "features-npy"
    (folder / MANIFEST).unlink()
    (folder / ".making").touch()  # as if it had been killed while it wrote; nothing tells whose files these are
    before = untouched(folder)
    assert run(f"extract {earlier}/images.zip {EXTRACT} --format npy --out {folder}", capsys)[0] == 2
    assert untouched(folder) == before


# --- analyses -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("saliency", "saliency {earlier}/images.zip --out"),
        ("residual", "residual {earlier}/images.zip --lesions --out"),
        (
            "faithfulness",
            "faithfulness {earlier}/images.zip --methods gradcam,random --steps 4 --quick --limit 4 --out",
        ),
    ],
)
def test_results_that_kept_no_settings_are_replaced_on_demand_alone(kind, line, earlier, capsys):
    folder, line = earlier / kind, line.format(earlier=earlier)
    (folder / "notes.txt").write_text("precious")
    before = untouched(folder)
    status, errors = run(f"{line} {folder}", capsys)
    assert status == 2
    assert "of an earlier version, which did not keep its settings" in one_sentence(errors, kind)
    assert "--replace" in errors
    assert untouched(folder) == before
    assert run(f"{line} {folder} --replace", capsys)[0] == 0
    assert (folder / "notes.txt").read_text() == "precious"
    (folder / "notes.txt").unlink()
    assert run(f"{line} {earlier / 'anew'}", capsys)[0] == 0
    assert content(folder) == content(earlier / "anew")


def test_the_numbers_of_an_earlier_result_are_those_of_today(earlier, capsys):
    line = (
        f"faithfulness {earlier}/images.zip --methods gradcam,random --steps 4 --quick --limit 4 --out {earlier}/anew"
    )
    assert run(line, capsys)[0] == 0
    with np.load(earlier / "anew" / "curves.npz") as now, np.load(earlier / "faithfulness" / "curves.npz") as then:
        assert sorted(now) == sorted(then)
        for name in now:
            np.testing.assert_allclose(now[name], then[name], rtol=1e-4, atol=1e-5)


# --- maps of features -----------------------------------------------------------------------------------------------


def test_an_earlier_map_takes_images_as_it_did(earlier, capsys):
    """They are the map's own, of which each lies where it lay."""
    before = untouched(earlier / "maps")
    line = f"place {earlier}/features-parquet --map {earlier}/maps --out {earlier}/anew"
    assert run(line, capsys)[0] == 0
    assert untouched(earlier / "maps") == before
    now, then = (pq.read_table(earlier / name / "placed.parquet") for name in ("anew", "placed"))
    assert now.column_names == then.column_names
    assert (now["id"], now["stage"]) == (then["id"], then["stage"])
    for axis in ("x", "y"):
        np.testing.assert_allclose(now[axis], then[axis], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("maps", "embed {earlier}/features-parquet --stages layer2 --method pca --quick --out"),
        ("placed", "place {earlier}/features-parquet --map {earlier}/others --out"),
    ],
)
def test_earlier_maps_are_refused_to_other_settings_and_replaced_on_demand(kind, line, earlier, capsys):
    others = f"embed {earlier}/features-parquet --stages layer3 --method pca --quick --out {earlier}/others"
    assert run(others, capsys)[0] == 0
    check_refused_then_replaced(earlier / kind, line.format(earlier=earlier), "--replace", capsys)


# --- trained networks -----------------------------------------------------------------------------------------------

TRAIN = "train {earlier}/images.zip --test {earlier}/test.zip --model resnet8-cifar --epochs 1 --name earlier --out"


def test_a_trained_file_loads_and_its_card_is_read(earlier):
    model = zoo.load(weights=earlier / "train" / "earlier.safetensors")
    told = card.read_card(model.spec)
    assert model.spec.class_names == ("Ankle boot", "Bag", "Coat", "Dress")
    assert told is not None
    assert told["test"]["accuracy"] == 0.25


def test_a_finished_training_is_answered_and_other_settings_are_refused(earlier, capsys):
    folder, line = earlier / "train", TRAIN.format(earlier=earlier)
    before = untouched(folder)
    assert main(f"{line} {folder}".split()) == 0
    assert "test accuracy 25.00% on 8 images" in capsys.readouterr().out
    for more, said in (
        ("--learning-rate 0.05", "learning_rate was 0.1 and is 0.05"),
        ("--model resnet14-cifar", "blocks was [1, 1, 1] and is [2, 2, 2]"),
        ("--licence MIT", 'licence was "unspecified" and is "MIT"'),
    ):
        status, errors = run(f"{line} {folder} {more}", capsys)
        assert status == 2
        assert said in one_sentence(errors, "train")
    told = {path: value for path, value in untouched(folder).items() if path != str(folder)}
    assert told == {path: value for path, value in before.items() if path != str(folder)}


@pytest.mark.parametrize("lost", [(".json",), (".json", ".safetensors")])
def test_a_training_goes_on_from_its_state(lost, earlier, capsys, monkeypatch):
    monkeypatch.setattr("features.train.fit._Run.train_epoch", lambda *_: pytest.fail("it trains again"))
    folder = earlier / "train"
    wanted = zoo.load(weights=folder / "earlier.safetensors").network.state_dict()
    for ending in lost:
        (folder / f"earlier{ending}").unlink()
    assert run(f"{TRAIN.format(earlier=earlier)} {folder}", capsys)[0] == 0
    found = zoo.load(weights=folder / "earlier.safetensors").network.state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in wanted.items())
    assert {path.name for path in folder.iterdir()} == {
        f"earlier{ending}" for ending in (".json", ".safetensors", ".state.pt")
    }


def test_a_training_is_replaced_on_demand_and_not_trained_again_for_another_licence(earlier, capsys, monkeypatch):
    folder, line = earlier / "train", TRAIN.format(earlier=earlier)
    assert run(f"{line} {folder} --replace --learning-rate 0.05", capsys)[0] == 0
    assert json.loads(export.read_state(folder / "earlier.state.pt")["settings"])["recipe"]["learning_rate"] == 0.05
    monkeypatch.setattr("features.train.fit._Run.train_epoch", lambda *_: pytest.fail("it trains again"))
    assert run(f"{line} {folder} --replace --learning-rate 0.05 --licence MIT", capsys)[0] == 0
    assert zoo.load(weights=folder / "earlier.safetensors").spec.licence == "MIT"


# --- links ----------------------------------------------------------------------------------------------------------


def named_texts(tree: ast.Module) -> dict[str, str]:
    """The texts that a module gives names to: NAME = "text", or several at once."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names, values = (
                each.elts if isinstance(each, ast.Tuple) else [each] for each in (node.targets[0], node.value)
            )
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found[name.id] = value.value
    return found


def test_links_of_before_name_settings_that_there_still_are():
    keys = {faithfulness.OLD_KEY}  # which that page reads as its present one
    for path in (ROOT / "viz").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = named_texts(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and any(word.arg == "bind" for word in node.keywords):
                (key,) = (word.value for word in node.keywords if word.arg == "key")
                keys |= {part.value for part in ast.walk(key) if isinstance(part, ast.Constant)}
                keys |= {texts.get(part.id) for part in ast.walk(key) if isinstance(part, ast.Name)}
    assert keys >= LINKS, LINKS - keys
