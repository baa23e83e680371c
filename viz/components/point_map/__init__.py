"""Maps of points, from a few to a million: lasso, legend, pictures beside the pointer."""

from viz.components.point_map.component import Details, point_map
from viz.components.point_map.gestures import Gesture, rows_of, selected_after
from viz.components.point_map.media import address as media_address
from viz.components.point_map.parts import Colours, Panel, Pictures, Texts

__all__ = [
    "Colours",
    "Details",
    "Gesture",
    "Panel",
    "Pictures",
    "Texts",
    "media_address",
    "point_map",
    "rows_of",
    "selected_after",
]
