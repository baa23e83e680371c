"""Draws what channels answer to: results -> Plotly figures."""
