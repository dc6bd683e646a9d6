"""A map in two dimensions on which neighbours stay neighbours: t-SNE (van der Maaten and Hinton 2008), exact.

For some hundreds of points, in numpy. It begins at the two principal axes, so equal input gives an equal map.
"""

import numpy as np

EXAGGERATION, EXAGGERATED, ITERATIONS = 12.0, 150, 600


def neighbourhoods(square: np.ndarray, perplexity: float) -> np.ndarray:
    """p_{j|i} `[N, N]` from squared distances: Gaussians, each as wide as gives it that many neighbours (eq. 1)."""
    low, high = np.zeros(len(square)), np.full(len(square), np.inf)
    beta = 1.0 / np.maximum(np.median(square, axis=1), 1e-12)
    near = square - np.min(square + np.diag(np.full(len(square), np.inf)), axis=1, keepdims=True)
    for _ in range(60):
        p = np.exp(-np.maximum(near, 0.0) * beta[:, None])
        np.fill_diagonal(p, 0.0)
        p /= p.sum(axis=1, keepdims=True)
        spread = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1)
        wide = spread > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), 2.0 * beta, 0.5 * (low + np.minimum(high, 1e30)))
    return p


def tsne(square: np.ndarray, axes: np.ndarray, perplexity: float) -> np.ndarray:
    """Places `[N, 2]`, within 1 of the middle, for squared distances `[N, N]`; it begins at `axes [N, 2]`.

    Gradient (eq. 5): 4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2), with momentum; p is exaggerated at first.
    """
    p = neighbourhoods(square, min(perplexity, max(1.0, (len(square) - 1) / 3)))
    p = np.maximum((p + p.T) / (2 * len(p)), 1e-12)
    place = 1e-2 * axes / max(float(np.std(axes)), 1e-12)
    speed, rate = np.zeros_like(place), max(len(p) / EXAGGERATION, 10.0)
    for step in range(ITERATIONS):
        strength = EXAGGERATION if step < EXAGGERATED else 1.0
        total = (place**2).sum(1)
        kernel = 1.0 / (1.0 + np.maximum(total[:, None] + total - 2.0 * place @ place.T, 0.0))
        np.fill_diagonal(kernel, 0.0)
        pull = (strength * p - kernel / kernel.sum()) * kernel
        gradient = 4.0 * (pull.sum(1)[:, None] * place - pull @ place)
        speed = (0.5 if step < EXAGGERATED else 0.8) * speed - rate * gradient
        place = place + speed
    place -= place.mean(0)
    return place / max(float(np.abs(place).max()), 1e-12)


def principal_axes(points: np.ndarray) -> np.ndarray:
    """Of `[N, D]`: coordinates along the two directions of most variance `[N, 2]`, signs fixed."""
    centred = points - points.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]
    return centred @ axes.T
