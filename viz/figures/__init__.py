"""Figures: a result in, a Plotly figure out; one module per capability."""
