"""Residual networks: architecture, canonical form, weights, names and preprocessing."""
