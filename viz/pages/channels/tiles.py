"""An image with what a position sees of it, as a tile that can be clicked."""

from features.notes import ImageNotes
from viz import sidebar
from viz.cached.patches import PatchPicture
from viz.components import PatchTile


def tile_of(
    picture: PatchPicture,
    title: str,
    label: str | None,
    name: str,
    hint: str,
    heat: str = "",
    chosen: bool = False,
    noted: ImageNotes | None = None,
) -> PatchTile:
    """name: of the image. hint: what the pointer tells. heat: a data link to what is laid over it, or ''. noted:
    of the image."""
    told = "" if noted is None else sidebar.noting.in_brackets(noted)
    return PatchTile(
        title=title,
        caption=f"{label or name}{told}",
        picture=picture.picture,
        ratio=picture.ratio,
        box=picture.box,
        clipped=picture.clipped,
        crop=picture.crop,
        part=picture.part,
        centre=picture.centre,
        seen=picture.seen,
        heat=heat,
        chosen=chosen,
        alt=f"{name}, {label}{told}" if label else f"{name}{told}",
        hint=f"{hint}{told}",
    )
