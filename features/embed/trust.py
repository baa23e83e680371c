"""How far to trust a map of features."""

import numpy as np

from features.embed.neighbours import nearest

TRUST_LIMIT = 5000


def trust(features: np.ndarray, points: np.ndarray, k: int, seed: int = 0) -> tuple[float, float]:
    """Trustworthiness and the share of kept neighbours of a map, over at most 5,000 of its points."""
    from sklearn.manifold import trustworthiness

    if len(features) > TRUST_LIMIT:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(features))[:TRUST_LIMIT])
        features, points = features[chosen], points[chosen]
    k = max(1, min(k, (len(features) - 1) // 2))  # scikit-learn wants k < N / 2
    before = nearest(features, k + 1).indices[:, 1:]  # (N, k)
    after = nearest(points, k + 1).indices[:, 1:]  # (N, k)
    same = [len(np.intersect1d(one, other)) for one, other in zip(before, after, strict=True)]
    return float(trustworthiness(features, points, n_neighbors=k)), float(np.mean(same) / k)
