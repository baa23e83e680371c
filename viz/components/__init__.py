"""Browser parts that Streamlit lacks: pictures under heat maps, with a box, to click or to scroll through."""

from viz.components.overlays import Overlay, overlays
from viz.components.patch_tiles import PatchTile, patch_tiles
from viz.components.picture_grid import picture_grid
from viz.components.picture_picker import picture_picker

__all__ = ["Overlay", "PatchTile", "overlays", "patch_tiles", "picture_grid", "picture_picker"]
