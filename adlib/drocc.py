"""DROCC: a classifier against negatives that it looks for itself, just off the data (Goyal et al. 2020)."""

from collections.abc import Callable

import torch

# ---- formulas


def project_to_shell(delta: torch.Tensor, radius: float, gamma: float) -> torch.Tensor:
    """Nearest points to delta (n, d) in the shell radius <= |delta| <= gamma * radius, (n, d) (Algorithm 1, step 3).

    A row of zeros, to which all points of the inner sphere are equally near, goes to that of the first coordinate.
    Raises ValueError unless radius > 0 and gamma >= 1.
    """
    _check_shell(radius, gamma)
    norm = delta.norm(dim=1, keepdim=True)
    first = torch.zeros_like(delta)
    first[:, 0] = radius
    return torch.where(norm > 0, delta * (norm.clamp(radius, gamma * radius) / norm), first)


def project_to_mahalanobis_shell(
    delta: torch.Tensor, sigma: torch.Tensor, radius: float, gamma: float
) -> torch.Tensor:
    """Nearest points, in the Euclidean sense, to delta (n, d) with radius <= |delta|_sigma <= gamma * radius, (n, d).

    |delta|_sigma^2 = sum_j sigma_j delta_j^2, with weights sigma (n, d) of at least 0, one a row above 0. Exact, where
    the paper searches a grid (Proposition 1): the solution is delta_j / (1 + tau sigma_j), its size is monotone in tau,
    and bisection finds the tau that meets the bound. Where a row cannot reach the inner bound so, because delta is 0 on
    its largest weight, what is missing is put on that coordinate (the hard case of trust-region problems).
    Raises ValueError unless radius > 0 and gamma >= 1, and for a row of weights that is negative, 0 or not finite.
    """
    _check_shell(radius, gamma)
    if not (sigma.isfinite().all() and (sigma >= 0).all() and (sigma > 0).any(1).all()):
        raise ValueError("sigma must be finite and at least 0, with a weight above 0 in each row.")
    x, top = delta.double(), sigma.double().amax(1, keepdim=True)
    weight = sigma.double() / top  # so that the largest of a row is 1, and the bounds are in its units
    low, high = radius / top.sqrt(), gamma * radius / top.sqrt()
    size = _size(x, weight)
    out = torch.where(size < low, _grown(x, weight, low), torch.where(size > high, _shrunk(x, weight, high), x))
    return out.to(delta.dtype)


def _check_shell(radius: float, gamma: float):
    if not radius > 0:
        raise ValueError(f"radius={radius!r} must be above 0.")
    if not gamma >= 1:
        raise ValueError(f"gamma={gamma!r} must be at least 1.")


def _size(x, weight):
    """|x|_weight, (n, 1)."""
    return (weight * x.square()).sum(1, keepdim=True).sqrt()


def _grown(x, weight, low):
    """x / (1 + tau weight) of size `low` with tau = u - 1 in (-1, 0], for rows that are smaller."""

    def at(u):
        return x / (1 - weight + u * weight).clamp_min(1e-300)

    is_top = weight == 1
    on_top = _size(x * is_top, weight)
    start = (on_top / low * (1 - 1e-9)).clamp(1e-12, 1)  # there, the largest weights alone pass the bound
    u = _bisect(lambda u: _size(at(u), weight) > low, start)
    grown = at(u)
    hard = _size(at(start), weight) < low
    rest = torch.where(is_top, 0, x / (1 - weight).clamp_min(1e-300))
    missing = (low.square() - _size(rest, weight).square()).clamp_min(0).sqrt()
    first = (is_top.cumsum(1) == 1) & is_top
    return torch.where(hard, torch.where(first, missing, rest), grown)


def _shrunk(x, weight, high):
    """x / (1 + tau weight) of size `high` with tau = 1 / nu > 0, for rows that are larger."""

    def at(nu):
        return x * (nu / (nu + weight))

    share = (high / _size(x, weight).clamp_min(1e-300)).clamp_max(1 - 1e-16)
    end = share / (1 - share)  # with all weights at 1 the bound is met here, with smaller ones before
    return at(end * _bisect(lambda part: _size(at(end * part), weight) < high, torch.full_like(end, 1e-12)))


def _bisect(still: Callable, start: torch.Tensor, steps: int = 40) -> torch.Tensor:
    """Where `still` ends between start (true there) and 1, by halving the logarithm; (n, 1), on the side of false."""
    low, high = start.log(), torch.zeros_like(start)
    for _ in range(steps):
        middle = (low + high) / 2
        goes_on = still(middle.exp())
        low, high = torch.where(goes_on, middle, low), torch.where(goes_on, high, middle)
    return ((low + high) / 2).exp()
