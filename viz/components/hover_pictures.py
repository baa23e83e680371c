"""A picture beside the pointer over the points of a chart."""

from viz.components.browser_parts import component

_COMPONENT = component(
    "hover_pictures",
    """
<span></span>
""",
)


def hover_pictures(chart: str, sheet: str, columns: int) -> None:
    """Show a picture beside the pointer over the points of a Plotly chart on the same page.

    chart: the chart's key. Each point's customdata is (its place on the sheet, 'line|line|...'). sheet: a data
    link to a sheet of square pictures in rows of `columns`.
    """
    _COMPONENT(
        key=f"{chart}_hover",
        data={"chart": chart, "sheet": sheet, "columns": columns},
    )
