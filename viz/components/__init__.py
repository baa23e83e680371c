"""Browser parts that Streamlit lacks: overlays with an opacity slider, pictures to click, to scroll through, with a box."""

from viz.components.overlays import Overlay, overlays
from viz.components.patch_tiles import PatchTile, patch_tiles
from viz.components.picture_grid import picture_grid
from viz.components.picture_picker import picture_picker

__all__ = ["Overlay", "PatchTile", "overlays", "patch_tiles", "picture_grid", "picture_picker"]
