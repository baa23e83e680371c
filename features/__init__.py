"""Computes: residual networks in canonical form, and what can be read from them. Knows nothing of the app."""
