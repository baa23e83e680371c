"""Every figure that a saved view can be shown as again, without the app: one entry each, in report and notebook."""

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from features.registry import Registry
from features.workspace import View
from viz.figures import anatomy, embed, evaluate, saliency
from viz.figures import channels as of_channels
from viz.figures.compare import overview
from viz.figures.compare import quality as qualities
from viz.figures.residual import branches, channels, gradient_paths, lesions, representation, variance

VIEWS = {  # of pages that have several: what tells them in links, and the first
    "residual": ("residual view", "branches"),
    "evaluate": ("evaluation view", "confusion"),
    "saliency": ("view", "stages"),
    "channels": ("channels view", "ranking"),
}
PLAIN = {"origin": "from the set", "class": "the predicted class", "against": "nothing"}  # of a picture, as it begins


def _as_it_begins(view: View) -> bool:
    """Whether a picture of the set is explained for its predicted class alone."""
    return all(view.one(name, usual) == usual for name, usual in PLAIN.items())


@dataclass(frozen=True)
class Exhibit:
    """A figure of a page.

    view: of the page's views, '' for a page that has one. of: the measures that `draw` takes, by their names. draw: a
    public function of viz/figures; None from it for nothing to draw. when: whether it can show what a view says.
    """

    name: str
    title: str
    page: str
    view: str
    of: tuple[str, ...]
    draw: Callable[..., go.Figure | None]
    caption: str
    when: Callable[[View], bool] = lambda view: True


def exhibits_of(view: View) -> list[Exhibit]:
    """What a saved view is shown as; nothing for one that only the app can show."""
    key, first = VIEWS.get(view.page, ("", ""))
    chosen = view.one(key, first) if key else ""
    return [each for each in EXHIBITS.values() if (each.page, each.view) == (view.page, chosen) and each.when(view)]


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
            "retrieval", "Retrieval along depth", "evaluate", "retrieval", ("features", "retrieved"),
            evaluate.retrieval_of, "How often the nearest images by a stage's features have the same label.",
        ),
        Exhibit(
            "maps", "Maps of every stage", "embed", "", ("features", "layouts"), embed.stage_maps,
            "Every point is an image: its stage's output pooled over space, laid out so that similar ones lie close.",
            lambda view: "features" not in view.state,
        ),
        Exhibit(
            "overlays", "Where the network looks", "saliency", "stages", ("seen", "maps"), saliency.overlays,
            "Maps of the predicted class at every stage over what the network sees; each on its own scale.",
            _as_it_begins,
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
        Exhibit(
            "ranked", "Channels of a layer in order", "channels", "ranking", ("responses", "ranked"),
            of_channels.ranked_of, "The first and the last channels of the layer.",
        ),
        Exhibit(
            "firsts", "What the first channels see", "channels", "ranking", ("responses", "firsts"),
            of_channels.pictures_of,
            "Of each channel the patch, its receptive field, that excites it most of all images, with its value.",
        ),
        Exhibit(
            "along depth", "Channels along depth", "channels", "along depth", ("responses", "depth"),
            of_channels.along_depth_of, "Silence of every layer's channels, and the AUROC for their best classes.",
        ),
        Exhibit(
            "patches", "What excites the channel", "channels", "one channel", ("responses", "channel", "patches"),
            of_channels.patches_of, "The receptive fields of the positions with the highest values, one an image.",
        ),
        Exhibit(
            "selective", "What the channel tells apart", "channels", "one channel", ("responses", "channel"),
            of_channels.selective_of,
            "Difference of means of each class and the rest with 95 % intervals (Welch's t), and AUROC.",
        ),
        Exhibit(
            "histogram", "How strongly images excite the channel", "channels", "one channel", ("responses", "channel"),
            of_channels.histogram_of, "Images by their maxima over positions; dotted lines are quantiles.",
        ),
        Exhibit(
            "filters", "Filters of the first layer", "channels", "filters", ("filters", "sheet"),
            of_channels.filters_of, "Mid grey is a weight of 0; each filter has its own scale.",
        ),
        Exhibit(
            "waves", "Waves of the first filters", "channels", "filters", ("filters", "number"), of_channels.waves,
            "The strongest wave of every filter: orientation as the angle, frequency as the distance from the centre.",
        ),
        Exhibit(
            "alike", "Channels of two networks that are most alike", "channels", "networks", ("alike",),
            of_channels.most_alike,
            "Every channel's highest correlation with one of the other network (Li et al. 2016).",
            lambda view: bool(view.one("beside network")),
        ),
    ),
)  # fmt: skip
