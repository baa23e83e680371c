"""Every figure that a saved view can be shown as again, without the app: one entry each, in report and notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from features.progress import Task
from features.registry import Registry
from features.workspace import View
from viz.figures import anatomy, evaluate
from viz.figures.compare import overview
from viz.figures.compare import quality as qualities
from viz.figures.residual import branches, channels, gradient_paths, lesions, representation, variance

if TYPE_CHECKING:
    import pandas as pd

    from features.datasets import ImageSet
    from features.networks.zoo import Model

VIEWS = {"residual": ("residual view", "branches"), "evaluate": ("evaluation view", "confusion")}  # in links; the first
COMPARED, BOTH = "compared", ["resnet20-fashion", "plain20-fashion"]


@dataclass(frozen=True)
class Setting:
    """What a view is about. load: a network by its name, for views of several."""

    model: "Model"
    images: "ImageSet"
    view: View
    load: "Callable[[str], Model]"


@dataclass(frozen=True)
class Measure:
    """What figures are drawn of.

    name: as a notebook calls it. imports, code: lines that make it there of `model` and `images`; in these `{compared}`
    stands for the names of a comparison's networks. run: makes the same here. table: of it, to take away.
    """

    name: str
    imports: tuple[str, ...]
    code: str
    run: Callable[[Setting], Task[Any]]
    table: Callable[[Any], "pd.DataFrame"]


@dataclass(frozen=True)
class Exhibit:
    """A figure of a page. view: of the page's views, '' for a page that has one. of: the measures that `draw` takes, by
    their names. draw: a public function of viz/figures; None from it for nothing to draw."""

    name: str
    title: str
    page: str
    view: str
    of: tuple[str, ...]
    draw: Callable[..., go.Figure | None]
    caption: str


def compared(view: View) -> list[str]:
    """The networks of a comparison's page, by their names."""
    return view.state.get(COMPARED) or BOTH


def exhibits_of(view: View) -> list[Exhibit]:
    """What a saved view is shown as; nothing for a page that only the app can show."""
    key, first = VIEWS.get(view.page, ("", ""))
    chosen = view.one(key, first) if key else ""
    return [each for each in EXHIBITS.values() if (each.page, each.view) == (view.page, chosen)]


def _anatomy(setting: Setting) -> Task[Any]:
    from features.networks.anatomy import anatomy as of

    return of(setting.model.spec.architecture, setting.model.spec.preprocessing.crop)
    yield  # a task, as all are


def _parts(built: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([{"part": each.name, "parameters": each.parameters, "macs": each.macs} for each in built.parts])


def _statistics(setting: Setting) -> Task[Any]:
    from features import residual

    return residual.statistics(setting.model, setting.images)


def _blocks(statistics: Any) -> "pd.DataFrame":
    from features import residual

    return residual.blocks(statistics)


def _sweep(setting: Setting) -> Task[Any]:
    from features import residual

    return residual.sweep(setting.model, setting.images, residual.lesions_of(setting.model.network, residual.WITHOUT))


def _paths(setting: Setting) -> Task[Any]:
    from features import residual

    return residual.paths(setting.model, setting.images.sample(residual.PATH_IMAGES))


def _evaluation(setting: Setting) -> Task[Any]:
    from features.evaluate import evaluate as of

    return of(setting.model, setting.images)


def _scores(evaluation: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([score.as_dict() for score in evaluation.per_class])


def _contenders(setting: Setting) -> Task[Any]:
    from features import compare

    told = yield from compare.compare([setting.load(name) for name in compared(setting.view)], setting.images)
    return told.contenders


def _networks(contenders: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([{"network": each.name, "accuracy": each.evaluation.accuracy} for each in contenders])


def _own_table(result: Any) -> "pd.DataFrame":
    return result.table()


MEASURES: Registry[Measure] = Registry(
    "measure",
    (
        Measure(
            "anatomy", ("from features.networks.anatomy import anatomy as anatomy_of",),
            "anatomy = anatomy_of(model.spec.architecture, model.spec.preprocessing.crop)", _anatomy, _parts,
        ),
        Measure(
            "statistics", ("from features import residual",), "statistics = finish(residual.statistics(model, images))",
            _statistics, _blocks,
        ),
        Measure(
            "sweep", ("from features import residual",),
            "sweep = finish(residual.sweep(model, images, residual.lesions_of(model.network, residual.WITHOUT)))",
            _sweep, _own_table,
        ),
        Measure(
            "paths", ("from features import residual",),
            "paths = finish(residual.paths(model, images.sample(residual.PATH_IMAGES)))", _paths, _own_table,
        ),
        Measure(
            "evaluation", ("from features.evaluate import evaluate",), "evaluation = finish(evaluate(model, images))",
            _evaluation, _scores,
        ),
        Measure(
            "contenders", ("from features import compare",),
            "networks = [zoo.load(naming.parse(name)) for name in {compared}]\n"
            "contenders = finish(compare.compare(networks, images)).contenders",
            _contenders, _networks,
        ),
    ),
)  # fmt: skip

EXHIBITS: Registry[Exhibit] = Registry(
    "exhibit",
    (
        Exhibit(
            "network", "Stages and blocks", "anatomy", "", ("anatomy",), anatomy.network,
            "Each row is a stage and each box a block; the arch is its shortcut.",
        ),
        Exhibit(
            "ratio", "Size of the branch relative to its shortcut", "residual", "branches", ("statistics",),
            branches.ratio, "Medians over images, with the range of 90 % of them (Jastrzębski et al. 2018).",
        ),
        Exhibit(
            "cosine", "Direction of the branch relative to its shortcut", "residual", "branches", ("statistics",),
            branches.cosine, "Near 0 the branch adds something new, below 0 it takes away from what is there.",
        ),
        Exhibit(
            "budget", "Where the variance of each block's sum comes from", "residual", "variance", ("statistics",),
            variance.budget, "Variances of each channel over images and places, averaged (De & Smith 2020).",
        ),
        Exhibit(
            "propagation", "How signals propagate", "residual", "variance", ("statistics",), variance.propagation,
            "Signal propagation plots (Brock et al. 2021).",
        ),
        Exhibit(
            "silent", "How often each channel is silent", "residual", "channels", ("statistics",), channels.silent,
            "One column a block, its channels sorted by the share of places and images at which they are zero.",
        ),
        Exhibit(
            "negative", "Values that the ReLU removes", "residual", "channels", ("statistics",), channels.negative,
            "The share of each block's sum that is below zero.",
        ),
        Exhibit(
            "dead", "Dead channels", "residual", "channels", ("statistics",), channels.dead,
            "Output channels that are zero at every place of every image (Lu et al. 2019).",
        ),
        Exhibit(
            "gamma", "What the last BatchNorm lets through", "residual", "channels", ("statistics",), channels.gamma,
            "The absolute scales of each branch's last BatchNorm (Goyal et al. 2017).",
        ),
        Exhibit(
            "movement", "How far each block moves the representation", "residual", "representation", ("statistics",),
            representation.movement, "Linear CKA and cosine before and after each block (Kornblith et al. 2019).",
        ),
        Exhibit(
            "rank", "In how many directions the images differ", "residual", "representation", ("statistics",),
            representation.rank, "The participation ratio of the covariance of each block's pooled output.",
        ),
        Exhibit(
            "without", "Without each block", "residual", "lesions", ("statistics", "sweep"), lesions.without,
            "What the network says without each block (Veit et al. 2016).",
        ),
        Exhibit(
            "by_length", "Paths through the network", "residual", "paths", ("paths",), gradient_paths.by_length,
            "The gradient along paths of each length (Veit et al. 2016).",
        ),
        Exhibit(
            "confusion", "What is taken for what", "evaluate", "confusion", ("evaluation",), evaluate.confusion_of,
            "Rows are labels, columns predictions; colours grow with the root of the share.",
        ),
        Exhibit(
            "reliability", "Reliability", "evaluate", "calibration", ("evaluation",), evaluate.reliability_of,
            "Accuracy of answers over their confidence (Guo et al. 2017).",
        ),
        Exhibit(
            "cost", "Accuracy over cost", "compare", "", ("contenders",), overview.cost,
            "Each network's accuracy over its multiply-adds.",
        ),
        Exhibit(
            "networks' reliability", "Reliability of each network", "compare", "", ("contenders",),
            qualities.reliability, "Accuracy of each network's answers over their confidence.",
        ),
        Exhibit(
            "classes", "Class by class", "compare", "", ("contenders",), qualities.classes,
            "F1 of each network in the classes in which they differ most.",
        ),
    ),
)  # fmt: skip
