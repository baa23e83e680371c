"""Names of networks, one and several, and what is none."""

import pytest

from features.errors import FeatureError
from features.networks import naming, zoo
from features.networks.naming import several

A, B = "resnet20-fashion", "plain20-fashion"
CUT = f"{A}?lesion=without:layer1."


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([f"{A},{B}"], [A, B]),
        ([f" {A} ,, {B},"], [A, B]),
        ([A, B], [A, B]),
        ([f"{A},{CUT}0,{CUT}1"], [A, CUT + "0", CUT + "1"]),
        ([f"{CUT}0,{B}"], [CUT + "0", B]),
        ([f"{A},{CUT}0,layer1.1,{B}"], [A, CUT + "0,layer1.1", B]),
        ([f"{CUT}0:5,17,{B}?mean=0.5,0.25,1e-3&std=1,2,3"], [CUT + "0:5,17", f"{B}?mean=0.5,0.25,1e-3&std=1,2,3"]),
        ([f"{CUT}0", f"{CUT}1,layer1.2"], [CUT + "0", CUT + "1,layer1.2"]),
        ([f"{CUT}0,timm:resnet18.a1_in1k"], [CUT + "0", "timm:resnet18.a1_in1k"]),
        (["resnet5o,mine"], ["resnet5o", "mine"]),  # of which nothing is said: each is looked up
    ],
)
def test_networks_of_a_list_are_told_apart(texts, names):
    assert several(texts) == names


def test_nine_lesions_are_nine_networks():
    cuts = [f"{A}?lesion=without:layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2)]
    assert several([",".join([A, *cuts])]) == [A, *cuts]
    assert [naming.parse(name).lesion for name in several([",".join(cuts)])] == [cut[-16:] for cut in cuts]


def test_files_begin_networks_whatever_signs_their_names_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.pth", "b,1.pth", "c?x,2.pth"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    text = "a.pth?lesion=without:layer1.0,b,1.pth,c?x,2.pth,folder"
    assert several([text]) == ["a.pth?lesion=without:layer1.0", "b,1.pth", "c?x,2.pth", "folder"]
    assert several(["b,1.pth?mean=1,2,a.pth"]) == ["b,1.pth?mean=1,2", "a.pth"]
    assert several(["folder?mean=1,2,folder"]) == ["folder?mean=1,2", "folder"]


def test_what_is_unclear_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeatureError, match=r"'resnet20-fashio' .* neither a network nor more .* --models A --models B"):
        several([f"{CUT}0,resnet20-fashio"])
    (tmp_path / "17").touch()
    with pytest.raises(FeatureError, match=r"'17' behind .* may be a network or more that is said of the one before"):
        several([f"{CUT}0:5,17"])


@pytest.mark.parametrize("long", ["x" * 5000, "x" * 300, f"~{'x' * 300}", "a\0b"])
def test_a_name_that_no_path_can_have_is_no_network(long):
    assert several([f"{A},{long}"]) == [A, long]
    with pytest.raises(FeatureError, match="There is no network called") as error:
        zoo.load(long)
    assert long[:60].replace("\0", "\\x00") in str(error.value)
    assert long[:200] not in str(error.value) or len(long) < 100


@pytest.mark.parametrize("long", ["x" * 300 + ".pth", f"folder/{'x' * 300}", "~nobody-here/a.pth"])
def test_a_path_that_is_too_long_is_no_file(long):
    with pytest.raises(FeatureError, match=r"no file|no network"):
        zoo.load(long)
