"""How far to trust maps of one picture."""

from collections.abc import Sequence

from PIL import Image

from features import faithfulness, saliency
from features.networks import zoo
from viz.cached.saliency import explainer_of, framed_picture
from viz.cached.server import analysis_queue
from viz.jobs import Job


def faithfulness_job(model: zoo.Model, digest: str, image: Image.Image, maps: Sequence[saliency.SaliencyMaps]) -> Job:
    """How far to trust maps of one picture."""
    made_of = [
        (found.method, found.class_ids.tolist(), found.against_ids.tolist(), tuple(found.maps)) for found in maps
    ]
    return analysis_queue().get(
        f"faithfulness {model.key} {digest} {made_of}",
        lambda: faithfulness.judge_all(explainer_of(model.key, model), framed_picture(model, image)[None], maps),
    )
