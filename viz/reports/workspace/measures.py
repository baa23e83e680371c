"""What figures of saved views are drawn of: one entry each, as it is made here and as a notebook makes it."""

from typing import TYPE_CHECKING, Any

from features.errors import FeatureError
from features.progress import Task
from features.registry import Registry
from features.workspace import View
from viz.reports.workspace import channels
from viz.reports.workspace.addresses import FRAME, compared, framed, laid_out, method, pictured
from viz.reports.workspace.measure import Measure, Setting, always, own_table

if TYPE_CHECKING:
    import pandas as pd


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


def _features(setting: Setting) -> Task[Any]:
    from features.extract import features as of

    return of(setting.model, setting.images)


def _retrieved(setting: Setting) -> Task[Any]:
    from features.evaluate import retrieval

    known = setting.earlier["features"]
    labels = known.label_sets if known.labels is None else known.labels
    if labels is None:
        raise FeatureError(f"{setting.images.name} has no labels to retrieve by. Leave {setting.view.title} out.")
    return retrieval(dict(known.stages), labels)


def _recalls(retrieved: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([{"stage": stage, "MAP": each.mean_average_precision} for stage, each in retrieved.items()])


def _layouts(setting: Setting) -> Task[Any]:
    from features import embed

    known = setting.earlier["features"]
    stages = framed(setting.view, setting.model.network.stage_names)
    settings = embed.MapSettings(**laid_out(setting.view))
    return embed.stage_maps({name: known.stages[name] for name in stages}, settings, known.provenance)


def _layouts_code(view: View) -> str:
    wanted = sorted(view.state.get("frame", ()), key=lambda name: (name != FRAME[0], name == FRAME[1], name))
    stages = repr(wanted) if wanted else "model.network.stage_names"
    settings = ", ".join(f"{name}={value!r}" for name, value in laid_out(view).items())
    return (
        f"stages = {{name: features.stages[name] for name in {stages}}}\n"
        f"layouts = finish(embed.stage_maps(stages, embed.MapSettings({settings}), features.provenance))"
    )


def _points(layouts: Any) -> "pd.DataFrame":
    import pandas as pd

    columns = {f"{stage} {axis}": each.points[:, k] for stage, each in layouts.items() for k, axis in enumerate("xy")}
    return pd.DataFrame(columns)


def _seen(setting: Setting) -> Task[Any]:
    import numpy as np

    framed_picture = setting.model.spec.preprocessing.framed(setting.images.open(pictured(setting.view)))
    return np.asarray(framed_picture.expand(3, -1, -1).permute(1, 2, 0))
    yield


def _maps(setting: Setting) -> Task[Any]:
    from features import saliency

    pixels = setting.model.spec.preprocessing.framed(setting.images.open(pictured(setting.view)))[None]
    return saliency.explain(
        saliency.Explainer(setting.model), pixels, [saliency.ClassTarget()], method(setting.view)
    )  # fmt: skip


def _extents(maps: Any) -> "pd.DataFrame":
    import pandas as pd

    rows = [(tap.name, *values.shape[1:], values.min(), values.max()) for tap, values in maps.maps.items()]
    return pd.DataFrame(rows, columns=["at", "height", "width", "least", "greatest"])


def _contenders(setting: Setting) -> Task[Any]:
    from features import compare

    told = yield from compare.compare([setting.load(name) for name in compared(setting.view)], setting.images)
    return told.contenders


def _networks(contenders: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([{"network": each.name, "accuracy": each.evaluation.accuracy} for each in contenders])


MEASURES: Registry[Measure] = Registry(
    "measure",
    (
        Measure(
            "anatomy", ("from features.networks.anatomy import anatomy as anatomy_of",),
            always("anatomy = anatomy_of(model.spec.architecture, model.spec.preprocessing.crop)"), _anatomy, _parts,
        ),
        Measure(
            "statistics", ("from features import residual",),
            always("statistics = finish(residual.statistics(model, images))"), _statistics, _blocks,
        ),
        Measure(
            "sweep", ("from features import residual",),
            always(
                "lesions = residual.lesions_of(model.network, residual.WITHOUT)\n"
                "sweep = finish(residual.sweep(model, images, lesions))"
            ),
            _sweep, own_table,
        ),
        Measure(
            "paths", ("from features import residual",),
            always("paths = finish(residual.paths(model, images.sample(residual.PATH_IMAGES)))"), _paths, own_table,
        ),
        Measure(
            "evaluation", ("from features.evaluate import evaluate",),
            always("evaluation = finish(evaluate(model, images))"), _evaluation, _scores,
        ),
        Measure(
            "features", ("from features import extract",),
            always("features = finish(extract.features(model, images))"), _features, own_table,
        ),
        Measure(
            "retrieved", ("from features.evaluate import retrieval",),
            always(
                "labels = features.label_sets if features.labels is None else features.labels\n"
                "retrieved = finish(retrieval(dict(features.stages), labels))"
            ),
            _retrieved, _recalls,
        ),
        Measure("layouts", ("from features import embed",), _layouts_code, _layouts, _points),
        Measure(
            "seen", (),
            lambda view: (
                f"picture = model.spec.preprocessing.framed(images.open({pictured(view)}))\n"
                "seen = np.asarray(picture.expand(3, -1, -1).permute(1, 2, 0))"
            ),
            _seen,
        ),
        Measure(
            "maps", ("from features import saliency",),
            lambda view: (
                f"pixels = model.spec.preprocessing.framed(images.open({pictured(view)}))[None]\n"
                "explainer, target = saliency.Explainer(model), saliency.ClassTarget()\n"
                f"maps = finish(saliency.explain(explainer, pixels, [target], {method(view)!r}))"
            ),
            _maps, _extents,
        ),
        Measure(
            "contenders", ("from features import compare",),
            lambda view: (
                f"networks = [zoo.load(naming.parse(name)) for name in {compared(view)!r}]\n"
                "contenders = finish(compare.compare(networks, images)).contenders"
            ),
            _contenders, _networks,
        ),
        *channels.MEASURES,
    ),
)  # fmt: skip
