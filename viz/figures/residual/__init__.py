"""Draws residual branches: a module for each thing that is shown."""

from viz.figures.residual import (
    branches,
    channels,
    contrast,
    gradient_paths,
    lesions,
    networks,
    representation,
    variance,
)

__all__ = ["branches", "channels", "contrast", "gradient_paths", "lesions", "networks", "representation", "variance"]
