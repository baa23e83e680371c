"""What the command `channels` also makes of pictures: filters, maps of one image, pictures that channels answer to."""

import argparse
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from features.commands.common import Parser, positive, show
from features.errors import FeatureError, ImageError

if TYPE_CHECKING:
    from PIL import Image

    from features.channels import Ascent, Channels, Logit, Maximised
    from features.claim import Claim
    from features.datasets import ImageSet
    from features.networks.zoo import Model


def add(parser: Parser) -> None:
    """Add its options to the command."""
    parser.add_argument(
        "--image", metavar="X", help="also write the maps of one image at these layers: an id of the set, or a file"
    )
    parser.add_choice("--maps-of", "features.channels:PARTS", "what of it: {names}", default="output", metavar="NAME")
    parser.add_choice(
        "--maps-by", "features.channels:ORDERS", "order of the maps: {names}", default="maximum", metavar="NAME"
    )
    parser.add_argument(
        "--target",
        metavar="X",
        help="of whose logit channels are evidence: predicted, a class by name or number, or A-vs-B (default: "
        "predicted, of a network with classes)",
    )
    parser.add_argument(
        "--maximise",
        metavar="LAYER:N,...",
        help="also seek pictures that these channels answer to, by gradient ascent (activation maximisation)",
    )
    parser.add_choice("--goal", "features.channels:GOALS", "what is raised: {names}", default="mean", metavar="NAME")
    parser.add_argument(
        "--steps", type=positive, default=256, metavar="N", help="of an ascent, with --seed (default: %(default)s)"
    )


class Pictures:
    """What was asked for, checked before anything is measured."""

    def __init__(self, options: argparse.Namespace, model: "Model", images: "ImageSet") -> None:
        """Raises FeatureError for names that do not exist, ImageError for an image that cannot be opened."""
        from features import channels
        from features.channels.layers import layer_named, layers_of
        from features.channels.lesions import need_channels
        from features.channels.maps import OUTPUT
        from features.channels.pictures import named_channels

        channels.PARTS.need(options.maps_of)
        channels.ORDERS.need(options.maps_by)
        self.model, self.part, self.order = model, options.maps_of, options.maps_by
        self.ascent: Ascent = channels.Ascent(options.goal, options.steps, options.seed)
        self.layers = list(layers_of(model.network, options.layers))
        if self.part != OUTPUT:  # of the stem there is no other
            self.layers = [layer for layer in self.layers if layer != channels.STEM]
            if options.image is not None and not self.layers:
                raise FeatureError(f"The stem has no {self.part}, only an output. Name a block too: --layers.")
        self.picture: Image.Image | None = None if options.image is None else _picture(options.image, images)
        self.logit: Logit | None = _logit(options.target, model) if self.picture is not None else None
        if self.picture is None and options.target is not None:
            raise FeatureError("--target is of the maps of an image. Name one: --image X.")
        if self.logit is None and options.maps_by in ("evidence", "against"):
            raise FeatureError(f"The order {options.maps_by} needs --image and a network with classes.")
        named = [] if options.maximise is None else named_channels(options.maximise)
        # A stage and its last block are one layer.
        self.sought = list(dict.fromkeys((layer_named(model.network, layer), channel) for layer, channel in named))
        for layer, channel in self.sought:
            need_channels(model, layer, [channel])

    def settings(self) -> dict[str, Any]:
        """Of the claim on the folder."""
        made: dict[str, Any] = {}
        if self.picture is not None:
            logit = None if self.logit is None else [self.logit.index, self.logit.against]
            pixels = sha256(f"{self.picture.size}".encode() + self.picture.tobytes()).hexdigest()
            made |= {"image": pixels, "maps_of": self.part, "maps_by": self.order, "target": logit}
        if self.sought:
            told = {"goal": self.ascent.goal, "steps": self.ascent.steps}
            made |= {"maximise": [f"{layer}:{channel}" for layer, channel in self.sought], **told}
        return made

    def write(self, claim: "Claim", told: "Channels") -> list[str]:
        """Make and write what was asked for; sentences on what was sought come back."""
        from features import channels
        from features.channels import pictures

        pictures.write_filters(claim, channels.filters(self.model))
        if self.picture is not None:
            how = self.part, self.logit
            maps = [channels.feature_maps(self.model, self.picture, layer, *how) for layer in self.layers]
            pictures.write_maps(claim, maps, self.order)
        if not self.sought:
            return []
        made = [show(channels.maximise(self.model, layer, channel, self.ascent)) for layer, channel in self.sought]
        pictures.write_maximised(claim, made, told)
        return _told(made, told)


def _picture(text: str, images: "ImageSet") -> "Image.Image":
    from features.datasets import open_uri

    if text in images.ids:
        return images.open(images.ids.index(text))
    try:
        return open_uri(text)
    except ImageError as error:
        raise ImageError(f"{text} is no id among the {len(images):,} images of {images.name}, and {error}") from error


def _logit(text: str | None, model: "Model") -> "Logit | None":
    from features import channels, saliency

    if text is None:
        return None if model.network.classifier is None else channels.Logit()
    target = saliency.parse(text, model)
    if not isinstance(target, saliency.ClassTarget):
        raise FeatureError(f"Channels are evidence of classes, but the target is {text!r}. Name a class, or A-vs-B.")
    return channels.Logit(target.index, target.against)


def _told(made: "Sequence[Maximised]", told: "Channels") -> list[str]:
    measured = {layer.name: layer for layer in told.layers}
    sentences = []
    for each in made:
        times = each.beside(measured[each.layer]) if each.layer in measured else float("nan")
        compared = f", {times:.3g} times the most of {told.n_images:,} images" if times == times else ""
        sentences.append(
            f"channel {each.channel} of {each.layer}: {each.ascent.goal} raised from {each.start:.3g} to "
            f"{each.reached:.3g}{compared}"
        )
    return sentences
