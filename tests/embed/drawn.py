"""Features whose neighbours, classes and outliers are known."""

import numpy as np


def points(n_rows, width=6, seed=0):
    """Normally distributed features (N, D) float32."""
    return np.random.default_rng(seed).normal(size=(n_rows, width)).astype(np.float32)


def two_clusters(n_each=20):
    """Rows 0..n-1 around the origin, the others far away along the first axis."""
    values = points(2 * n_each)
    values[n_each:, 0] += 50
    return values


def blobs(n_each=30, n_classes=3, width=8, apart=20):
    """Features (N, D) and labels (N,) of classes that lie far from each other."""
    labels = np.repeat(np.arange(n_classes), n_each)
    centres = np.eye(n_classes, width, dtype=np.float32) * apart
    return points(len(labels), width) + centres[labels], labels
