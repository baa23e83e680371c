"""How far to trust maps of one picture."""

from collections.abc import Sequence

from PIL import Image

from features import faithfulness, saliency
from features.networks import zoo
from viz.cached.estimates import queue_of
from viz.cached.saliency import explainer_of, framed_picture, passes
from viz.cached.server import ask
from viz.jobs import Job, Work

# About how many passes the curves take, and how often sensitivity makes each map anew.
CURVES, REPEATS = 200, 10


def faithfulness_job(model: zoo.Model, digest: str, image: Image.Image, maps: Sequence[saliency.SaliencyMaps]) -> Job:
    """How far to trust maps of one picture."""
    made_of = [(each.method, each.class_ids.tolist(), each.against_ids.tolist(), tuple(each.maps)) for each in maps]
    return ask(
        Work(
            f"faithfulness {model.key} {digest} {made_of}",
            lambda: faithfulness.measure_maps(explainer_of(model.key, model), framed_picture(model, image)[None], maps),
            queue_of(model, (image,), CURVES + REPEATS * sum(passes(model, each.method) for each in maps)),
        )
    )
