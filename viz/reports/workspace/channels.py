"""What figures of views of channels are drawn of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.progress import Task
from features.workspace import View
from viz.reports.workspace.addresses import beside, channel, filters_by, number, ordered
from viz.reports.workspace.measure import Measure, Setting, always, own_table

if TYPE_CHECKING:
    import numpy as np

    from features.channels import Channels
    from features.networks.zoo import Model

IMPORTS = ("from features import channels",)
LAYERS = "[channels.STEM, *(name for name, _ in model.network.blocks())]"
SHEET_COLUMNS, MOST = 16, 16  # filters in a row; patches of channels


def _layers(model: "Model") -> list[str]:
    from features.channels import STEM

    return [STEM, *(name for name, _ in model.network.blocks())]


def _responses(setting: Setting) -> Task[Any]:
    from features import channels

    return channels.responses(setting.model, setting.images, _layers(setting.model))


def _depth(setting: Setting) -> Task[Any]:
    from features import channels

    return channels.along_depth(setting.earlier["responses"])


def _layer(view: View) -> str:
    """In code: the layer that a view is about, the last one where nobody chose."""
    chosen = channel(view)[0]
    return repr(chosen) if chosen else "responses.layers[-1].name"


def _channel(setting: Setting) -> Task[Any]:
    layer, chosen = channel(setting.view)
    return layer or setting.earlier["responses"].layers[-1].name, chosen
    yield  # a task, as all are


def _ranked(setting: Setting) -> Task[Any]:
    from features import channels

    told: Channels = setting.earlier["responses"]
    name, class_name = ordered(setting.view)
    layer = channel(setting.view)[0] or told.layers[-1].name
    ranking = channels.RANKINGS.need(name) if name else channels.usual(told)
    sweep = None
    if ranking.needs_sweep:
        sweep = yield from channels.sweep(setting.model, setting.images, layer)
    return ranking.of(channels.evidence(told, setting.model, layer, class_name, sweep))


def _ranked_code(view: View) -> str:
    from features.channels import RANKINGS

    name, class_name = ordered(view)
    swept = name is not None and RANKINGS.need(name).needs_sweep
    return "\n".join(
        [
            f"layer = {_layer(view)}",
            f"ranking = channels.RANKINGS.need({name!r})" if name else "ranking = channels.usual(responses)",
            *(["without = finish(channels.sweep(model, images, layer))"] if swept else []),
            f"known = channels.evidence(responses, model, layer, {class_name!r}, {'without' if swept else None})",
            "ranked = ranking.of(known)",
        ]
    )


def _firsts(setting: Setting) -> Task[Any]:
    from features import channels

    ranked, told = setting.earlier["ranked"], setting.earlier["responses"]
    top, first = told.layer(ranked.layer).top, ranked.channels[:MOST].tolist()
    return channels.patch_pictures(setting.model, setting.images, ranked.layer, top, first)


def _firsts_code(view: View) -> str:
    return (
        f"{_ranked_code(view)}\n"
        f"top, first = responses.layer(layer).top, ranked.channels[:{MOST}].tolist()\n"
        "firsts = finish(channels.patch_pictures(model, images, layer, top, first))"
    )


def _patches(setting: Setting) -> Task[Any]:
    from features import channels

    layer, chosen = setting.earlier["channel"]
    top = setting.earlier["responses"].layer(layer).top
    return channels.patch_pictures(setting.model, setting.images, layer, top, [chosen], MOST)


def _patches_code(view: View) -> str:
    return (
        f"layer, top = {_layer(view)}, responses.layer({_layer(view)}).top\n"
        f"patches = finish(channels.patch_pictures(model, images, layer, top, [{channel(view)[1]}], {MOST}))"
    )


def _named(pictures: "dict[str, np.ndarray]") -> pd.DataFrame:
    return pd.DataFrame(
        [(name, *each.shape[:2]) for name, each in pictures.items()], columns=["patch", "height", "width"]
    )


def _filters(setting: Setting) -> Task[Any]:
    from features import channels

    return channels.filters(setting.model)
    yield


def _sheet(setting: Setting) -> Task[Any]:
    from features.channels.sheets import filter_sheet

    filters = setting.earlier["filters"]
    return filter_sheet(filters, filters.order(filters_by(setting.view)).tolist(), SHEET_COLUMNS)
    yield


def _number(setting: Setting) -> Task[Any]:
    return number(setting.view, "filter")
    yield


def _alike(setting: Setting) -> Task[Any]:
    from features import channels

    name, every_block = beside(setting.view)
    other = setting.load(name)
    layers = _layers(setting.model)
    blocks = layers if every_block and layers == _layers(other) else []
    return channels.beside(setting.model, other, setting.images, blocks)


def _alike_code(view: View) -> str:
    def lines() -> Iterator[str]:
        name, every_block = beside(view)
        yield f"other, layers = zoo.load(naming.parse({name!r})), []"
        if every_block:
            yield "names = [[name for name, _ in each.network.blocks()] for each in (model, other)]"
            yield "layers = [channels.STEM, *names[0]] if names[0] == names[1] else []"
        yield "alike = finish(channels.beside(model, other, images, layers))"

    return "\n".join(lines())


MEASURES = (
    Measure(
        "responses", IMPORTS, always(f"responses = finish(channels.responses(model, images, {LAYERS}))"), _responses,
        own_table,
    ),
    Measure("depth", IMPORTS, always("depth = finish(channels.along_depth(responses))"), _depth, own_table),
    Measure("ranked", IMPORTS, _ranked_code, _ranked, own_table),
    Measure("firsts", IMPORTS, _firsts_code, _firsts, _named),
    Measure("channel", (), lambda view: f"channel = ({_layer(view)}, {channel(view)[1]})", _channel),
    Measure("patches", IMPORTS, _patches_code, _patches, _named),
    Measure("filters", IMPORTS, always("filters = channels.filters(model)"), _filters, own_table),
    Measure(
        "sheet", ("from features.channels.sheets import filter_sheet",),
        lambda view: f"sheet = filter_sheet(filters, filters.order({filters_by(view)!r}).tolist(), {SHEET_COLUMNS})",
        _sheet,
    ),
    Measure("number", (), lambda view: f"number = {number(view, 'filter')}", _number),
    Measure("alike", IMPORTS, _alike_code, _alike, own_table),
)  # fmt: skip
