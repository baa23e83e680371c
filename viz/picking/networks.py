"""Networks beside the sidebar's, chosen by their names."""

from features.errors import WeightsError
from features.networks import naming
from features.networks.zoo import Model
from viz import sidebar

HELP = (
    "Type others: a path of weights on the machine that runs the app, or a network with a lesion "
    "(resnet20-fashion?lesion=without:layer3.0)."
)


def loaded(name: str) -> Model:
    """A network by a name that a visitor typed or chose, as `naming.parse` reads it; the page waits for its weights.

    Raises FeatureError if there is none, or it lies where visitors may not read.
    """
    asked = naming.parse(name)
    for file in (asked.weights, asked.classes):
        if file is not None:
            sidebar.inside_roots(str(file), "weights", WeightsError)
    return sidebar.loaded(asked)
