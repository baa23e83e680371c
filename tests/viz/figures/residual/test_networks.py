"""Networks of different depth over each other."""

from dataclasses import replace

from tests.viz.figures.residual.made import BLOCKS, SHORTCUTS, STAGES, STATISTICS
from viz.figures.residual import networks


def test_networks_of_different_depth_lie_over_each_other():
    short = replace(
        STATISTICS, blocks=BLOCKS[:2], stages=STAGES[:2], shortcuts=SHORTCUTS[:2], channels=STATISTICS.channels[:2],
        norms={part: values[:, :2] for part, values in STATISTICS.norms.items()},
        means={name: values[:2] for name, values in STATISTICS.means.items()},
        **{name: getattr(STATISTICS, name)[:, :2] for name in ("cosines", "kept", "sparsities")},
        **{name: getattr(STATISTICS, name)[:2]
           for name in ("effective_rank", "cka", "class_mean_accuracy", "head_accuracy")},
    )  # fmt: skip
    for column in networks.COLUMNS:
        long, brief = networks.compare({"long": STATISTICS, "<short>": short}, column).data
        assert (long.x[0], long.x[-1], brief.x[0], brief.x[-1]) == (0, 1, 0, 1)
        assert brief.name == "&lt;short&gt;"
