"""Browser parts that Streamlit lacks: overlays with an opacity slider, small pictures to click, and pictures beside
the pointer.
"""

from viz.components.hover_pictures import hover_pictures
from viz.components.overlays import Overlay, overlays
from viz.components.picture_picker import picture_picker

__all__ = ["Overlay", "hover_pictures", "overlays", "picture_picker"]
