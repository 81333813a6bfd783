"""DROCC: its projections against a general solver, and their edges."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from adlib.drocc import project_to_mahalanobis_shell, project_to_shell


def size(delta, sigma):
    return (sigma * delta**2).sum(-1) ** 0.5


def nearest_by_slsqp(delta, sigma, radius, gamma, starts):
    """Distance from delta to the nearest feasible point that SciPy finds from any of the starts; inf if none."""
    inside = [
        {"type": "ineq", "fun": lambda x: (sigma * x**2).sum() - radius**2},
        {"type": "ineq", "fun": lambda x: (gamma * radius) ** 2 - (sigma * x**2).sum()},
    ]
    best = np.inf
    for start in starts:
        found = minimize(
            lambda x: ((x - delta) ** 2).sum(), start, jac=lambda x: 2 * (x - delta), constraints=inside,
            method="SLSQP", options={"maxiter": 300, "ftol": 1e-12},
        )  # fmt: skip
        if radius - 1e-6 <= size(found.x, sigma) <= gamma * radius + 1e-6:
            best = min(best, found.fun**0.5)
    return best


@pytest.mark.parametrize("weighted", [False, True])
def test_projections_end_in_the_shell_and_no_farther_than_a_general_solver(weighted):
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(200):
        d = rng.integers(2, 21)
        delta = rng.normal(size=d) * rng.choice([0.1, 1, 5])
        sigma = rng.exponential(size=d) * rng.choice([0.1, 1, 10]) if weighted else np.ones(d)
        radius, gamma = rng.choice([0.3, 1.0, 3.0]), rng.choice([1.0, 1.5, 2.0])
        given = torch.from_numpy(delta)[None], torch.from_numpy(sigma)[None]
        if weighted:
            ours = project_to_mahalanobis_shell(*given, radius, gamma)[0].numpy()
        else:
            ours = project_to_shell(given[0], radius, gamma)[0].numpy()
        assert radius * (1 - 1e-6) <= size(ours, sigma) <= gamma * radius * (1 + 1e-6)
        if radius <= size(delta, sigma) <= gamma * radius:
            np.testing.assert_allclose(ours, delta, rtol=1e-12)
        theirs = nearest_by_slsqp(delta, sigma, radius, gamma, [ours + rng.normal(0, 0.01, d), delta])
        compared += np.isfinite(theirs)
        assert np.linalg.norm(ours - delta) <= theirs + 1e-4
    assert compared > 150


def test_with_equal_weights_the_two_projections_agree():
    delta = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    plain = project_to_shell(delta, 2.0, 1.5)
    torch.testing.assert_close(project_to_mahalanobis_shell(delta, torch.ones(50, 7), 2.0, 1.5), plain)
    scaled = project_to_mahalanobis_shell(delta, torch.full((50, 7), 4.0), 4.0, 1.5)  # |x|_4 = 2 |x|
    torch.testing.assert_close(scaled, plain)


def test_what_cannot_be_reached_is_put_on_the_largest_weight():
    delta = torch.tensor([[0.0, 0.3, 0.0], [0.0, 0.0, 0.0]])
    sigma = torch.tensor([[4.0, 1.0, 1.0], [1.0, 4.0, 4.0]])
    first, second = project_to_mahalanobis_shell(delta, sigma, 1.0, 2.0)
    # tau = -1/4: the second coordinate grows to 0.3 / (1 - 1/4), and the first takes what is missing to |x| = 1
    torch.testing.assert_close(first, torch.tensor([((1 - 0.4**2) / 4) ** 0.5, 0.4, 0.0]))
    torch.testing.assert_close(second, torch.tensor([0.0, 0.5, 0.0]))


def test_a_coordinate_without_weight_stays():
    delta, sigma = torch.tensor([[5.0, 9.0], [0.1, 9.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    moved = project_to_mahalanobis_shell(delta, sigma, 1.0, 2.0)
    torch.testing.assert_close(moved, torch.tensor([[2.0, 9.0], [1.0, 9.0]]))


def test_a_row_of_zeros_goes_to_the_inner_sphere():
    assert project_to_shell(torch.zeros(1, 3), 2.0, 2.0).tolist() == [[2, 0, 0]]


BAD = [(0.0, 2.0, "radius=0.0"), (-1.0, 2.0, "radius=-1"), (1.0, 0.9, "gamma=0.9")]


@pytest.mark.parametrize("radius, gamma, words", BAD)
def test_bad_shells(radius, gamma, words):
    for call in (
        lambda: project_to_shell(torch.ones(1, 2), radius, gamma),
        lambda: project_to_mahalanobis_shell(torch.ones(1, 2), torch.ones(1, 2), radius, gamma),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("sigma", [[0.0, 0.0], [-1.0, 1.0], [float("nan"), 1.0]])
def test_bad_weights(sigma):
    with pytest.raises(ValueError, match="sigma must be finite"):
        project_to_mahalanobis_shell(torch.ones(1, 2), torch.tensor([sigma]), 1.0, 2.0)
