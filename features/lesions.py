"""What is done to a network, of its blocks or of its channels, by the text that names it anywhere."""

from features import channels, residual
from features.channels import ChannelLesion
from features.errors import FeatureError
from features.networks.zoo import Model
from features.residual import Lesion

FORMS = "without:BLOCK, scaled:FACTOR:BLOCK, swapped:BLOCK:BLOCK or, of channels, without:LAYER:CHANNELS"


def parse(text: str) -> Lesion | ChannelLesion:
    """A lesion as it is written, of blocks as `residual.parse` or of channels as `channels.parse` reads it.

    Raises FeatureError if it is neither. Whether what it names exists shows when it is made.
    """
    for read in (channels.parse, residual.parse):
        try:
            return read(text)
        except FeatureError:
            continue
    raise FeatureError(
        f"The lesion was {text[:80]!r}. Wanted {FORMS}, as in without:layer3.1, scaled:0.5:layer3.1,layer3.2 or "
        "without:layer3.1:5,17."
    )


def lesioned(model: Model, lesion: Lesion | ChannelLesion) -> Model:
    """The same network with a lesion, for any analysis, on the same parameters.

    Raises FeatureError if it names what the network does not have.
    """
    if isinstance(lesion, ChannelLesion):
        return channels.without(model, lesion.layer, lesion.channels)
    return residual.lesioned(model, lesion)
