import re
from functools import cache
from typing import NamedTuple

import pytest

from features.networks import anatomy, architecture, catalogue
from viz import theme
from viz.figures import anatomy as figures

CIFAR = anatomy.anatomy(architecture.cifar(8), 32)
PROJECTED = anatomy.anatomy(architecture.cifar(8, "projection"), 32)
PLAIN = anatomy.anatomy(architecture.cifar(8, "none"), 32)
RESNET50 = anatomy.anatomy(catalogue.TORCHVISION["resnet50"], 224)

network = cache(figures.network)  # plotly takes its time over many shapes


class Box(NamedTuple):
    x0: float
    x1: float
    y0: float
    y1: float
    colour: str
    text: str
    hover: str


def boxes(figure):
    (bars,) = [trace for trace in figure.data if trace.type == "bar"]
    every = zip(bars.x, bars.width, bars.base, bars.y, bars.marker.line.color, bars.text, bars.hovertext, strict=True)
    return [Box(x - width / 2, x + width / 2, base, base + height, *rest) for x, width, base, height, *rest in every]


def arches(figure):
    return [shape for shape in figure.layout.shapes if shape.type == "path"]


def texts(figure):
    return [note.text for note in figure.layout.annotations if note.text]


def inside(figure):
    return [box.text for box in boxes(figure)]


def legend(figure):
    return {trace.name: trace.line.color for trace in figure.data if trace.type == "scatter"}


# --- the whole network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built", "n_boxes", "n_arches"), [(CIFAR, 5, 3), (PROJECTED, 5, 3), (PLAIN, 5, 0), (RESNET50, 18, 16)]
)
def test_there_is_a_box_per_part_and_an_arch_per_shortcut(built, n_boxes, n_arches):
    figure = network(built)
    assert len(boxes(figure)) == n_boxes  # stem, blocks, head
    assert len(arches(figure)) == n_arches


def test_every_arch_spans_the_box_of_its_block_and_has_its_colour():
    figure = network(CIFAR)
    _, *blocks, _ = boxes(figure)
    for box, arch in zip(blocks, arches(figure), strict=True):
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", arch.path)]
        xs, ys = numbers[0::2], numbers[1::2]
        assert xs[0] < box.x0 < box.x1 < xs[-1]
        assert box.y0 < ys[0] == ys[-1] < box.y1 < min(ys[1:-1])
        assert arch.line.color == box.colour


@pytest.mark.parametrize("built", [CIFAR, PROJECTED, PLAIN])
def test_boxes_are_coloured_by_their_shortcuts_and_the_legend_says_how(built):
    figure = network(built)
    _, *blocks, _ = boxes(figure)
    kinds = [part.shortcut for part in built.parts[1:-1]]
    assert [box.colour for box in blocks] == [theme.SHORTCUT_COLOURS[kind] for kind in kinds]
    assert set(legend(figure).values()) == {box.colour for box in blocks}


@pytest.mark.parametrize(
    ("built", "names"),
    [
        (CIFAR, {"identity shortcut", "padding shortcut"}),
        (PROJECTED, {"identity shortcut", "projection shortcut"}),
        (PLAIN, {"no shortcut"}),
    ],
)
def test_the_legend_names_the_kinds_of_shortcut_that_there_are(built, names):
    assert set(legend(network(built))) == names


def test_boxes_of_a_stage_stand_in_one_row_and_stages_below_each_other():
    rows = {}
    for box in boxes(network(RESNET50)):
        rows.setdefault(box.y0, []).append(box.x0)
    assert [len(xs) for _, xs in sorted(rows.items(), reverse=True)] == [1, 3, 4, 6, 3, 1]
    for xs in rows.values():
        assert xs == sorted(set(xs))


def test_every_row_tells_the_shape_of_he_et_al_table_1():
    found = texts(network(RESNET50))
    rows = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    shapes = ["64 × 56 × 56", "256 × 56 × 56", "512 × 28 × 28", "1024 × 14 × 14", "2048 × 7 × 7", "1000"]
    assert found == [f"<b>{row}</b><br>{shape}" for row, shape in zip(rows, shapes, strict=True)]


def test_wide_boxes_tell_their_convolutions():
    assert inside(network(CIFAR)) == [
        "3×3, 3 → 16",
        "3×3, 16 → 16<br>3×3, 16 → 16",
        "3×3, 16 → 32<br>3×3, 32 → 32",
        "3×3, 32 → 64<br>3×3, 64 → 64",
        "pool<br>classifier",
    ]


def test_text_that_does_not_fit_its_box_is_left_out():
    built = anatomy.anatomy(architecture.cifar(44), 32)  # 7 blocks a stage
    assert set(inside(network(built))) == {""}
    assert network(CIFAR).layout.uniformtext.mode == "hide"


def test_pointing_at_a_box_tells_its_part():
    found = [box.hover for box in boxes(network(CIFAR))]
    for text, part in zip(found, CIFAR.parts, strict=True):
        assert text.startswith(f"<b>{part.name}</b>")
    assert "sees 3 px, every 1 px" in found[0]
    assert "16 × 32 × 32 to 32 × 16 × 16" in found[2]
    assert "shortcut: padding" in found[2]
    assert "sees" not in found[-1]
    assert "650 parameters" in found[-1]  # 64 * 10 + 10


# --- one block --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "n_layers"), [(CIFAR.parts[1], 5), (RESNET50.parts[1], 8)])
def test_a_block_shows_x_its_layers_the_sum_and_the_relu_in_a_line(part, n_layers):
    figure = figures.block(part)
    steps = boxes(figure)
    assert steps[0].text == "x"
    assert [step.text for step in steps[-2:]] == ["<b>+</b>", "ReLU"]
    assert len(steps) == n_layers + 3
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    assert len(arrows) == n_layers + 2


@pytest.mark.parametrize("part", [CIFAR.parts[1], CIFAR.parts[2], PLAIN.parts[2]])
def test_arrows_go_from_the_end_of_one_step_to_the_beginning_of_the_next(part):
    figure = figures.block(part)
    steps = boxes(figure)
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    for arrow, one, other in zip(arrows, steps[:-1], steps[1:], strict=True):
        assert arrow.ax == pytest.approx(one.x1)
        assert arrow.x == pytest.approx(other.x0)


@pytest.mark.parametrize(
    ("part", "said"),
    [(CIFAR.parts[1], "identity"), (CIFAR.parts[2], "padding"), (PROJECTED.parts[2], "projection")],
)
def test_the_shortcut_of_a_block_goes_from_x_to_the_sum_and_says_what_it_does(part, said):
    figure = figures.block(part)
    (arch,) = arches(figure)
    x, *_, plus, _ = boxes(figure)
    assert arch.path.startswith(f"M {(x.x0 + x.x1) / 2:g} ")
    assert arch.path.split()[-2] == f"{(plus.x0 + plus.x1) / 2:g}"
    assert arch.line.color == theme.SHORTCUT_COLOURS[said]
    assert any(text.startswith(f"shortcut, {said}") for text in texts(figure))


def test_a_block_of_a_plain_network_has_no_shortcut():
    figure = figures.block(PLAIN.parts[2])
    assert arches(figure) == []
    assert not any("shortcut" in text for text in texts(figure))


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_shares_of_the_budget_add_up_to_the_whole():
    for bar in figures.budget(RESNET50).data:
        assert tuple(bar.x) == tuple(part.name for part in RESNET50.parts)
        assert sum(bar.y) == pytest.approx(1)


def test_the_budget_of_a_resnet50s_head_is_its_classifiers():
    parameters, macs = (bar.y[-1] for bar in figures.budget(RESNET50).data)
    assert parameters == pytest.approx((2048 * 1000 + 1000) / 25_557_032)  # torchvision's count
    assert macs == pytest.approx(2048 * 1000 / 4.09e9, rel=0.01)  # torchvision's GFLOPs


def test_the_training_curve_shows_both_accuracies_of_every_epoch():
    curve = [
        {"epoch": 1, "train_accuracy": 0.5, "test_accuracy": 0.4, "train_loss": 2.0},
        {"epoch": 2, "train_accuracy": 0.75, "test_accuracy": 0.8, "train_loss": 1.0},
        {"epoch": 3, "train_accuracy": 0.9, "test_accuracy": 0.85, "train_loss": 0.5},
    ]
    training, test = figures.training_curve(curve).data
    assert "training" in training.name
    assert "test" in test.name
    assert tuple(training.x) == tuple(test.x) == (1, 2, 3)
    assert tuple(training.y) == (0.5, 0.75, 0.9)
    assert tuple(test.y) == (0.4, 0.8, 0.85)
    assert training.line.color != test.line.color


def test_the_training_curve_shows_images_that_were_held_back_and_of_a_training_without_labels_the_loss():
    held = {"epoch": 1, "train_accuracy": 0.5, "test_accuracy": 0.4, "held_back_accuracy": 0.45, "train_loss": 2.0}
    assert [line.y[0] for line in figures.training_curve([held]).data] == [0.5, 0.45, 0.4]
    figure = figures.training_curve([{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1.0}])
    assert [tuple(line.y) for line in figure.data] == [(2.0, 1.0)]
    assert figure.layout.yaxis.title.text == "loss"
