"""Browser parts that Streamlit lacks: overlays with an opacity slider, small pictures to click or to scroll through."""

from viz.components.overlays import Overlay, overlays
from viz.components.picture_grid import picture_grid
from viz.components.picture_picker import picture_picker

__all__ = ["Overlay", "overlays", "picture_grid", "picture_picker"]
