"""How far to trust maps of one picture."""

from collections.abc import Sequence

from PIL import Image

from features import faithfulness, saliency
from features.networks import zoo
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.cached.saliency import explainer_of, framed_picture, passes
from viz.jobs import Work

# About how many passes the curves take, and how often sensitivity makes each map anew.
CURVES, REPEATS = 200, 10


def faithfulness_work(
    model: zoo.Model,
    digest: str,
    image: Image.Image,
    maps: Sequence[saliency.SaliencyMaps],
    durable: bool = True,
) -> Work:
    """How far to trust maps of one picture. durable: whether they may outlive the server."""
    made_of = [(each.method, each.class_ids.tolist(), each.against_ids.tolist(), tuple(each.maps)) for each in maps]
    pixels = framed_picture(model, image)[None]  # (1, C, S, S)
    work = Work(
        f"faithfulness {model.key} {digest} {made_of}",
        lambda: faithfulness.measure_maps(explainer_of(model.key, model), pixels, maps),
        queue_of(model, (image,), CURVES + REPEATS * sum(passes(model, each.method) for each in maps)),
    )
    return placed(work, "faithfulness", {"pixels": pixels, "maps": tuple(maps)}, durable, model=model)
