# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # A miniature
# Three questions and a written one, for the tests of grading.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number

# %% tags=["setup"]
# ruff: noqa: E402
import numpy as np
import torch

from adlib.companion.assignments import variant

rng = variant("90-mini", student)
scale = int(rng.integers(3, 10**6))

# %% [markdown] tags=["question"] name="q1"
# ## Question 1
# Squares of all elements, and of how many.

# %% tags=["solution"] name="q1"
def squares(x):
    """Each element of the array x, squared."""
    # BEGIN SOLUTION
    return np.multiply(x, x)
    # END SOLUTION


def count(x):
    """How many elements the array x has."""
    # BEGIN SOLUTION
    return int(np.asarray(x).size)
    # END SOLUTION

# %% tags=["test"] name="q1-two" points=1
assert np.allclose(squares(np.array([2.0])), 4), "2 squared should be 4"

# %% tags=["hidden"] name="q1-many" points=2
generator = np.random.default_rng(77)
given = generator.normal(size=(3, 4))
assert np.shape(squares(given)) == (3, 4), "the result should have the shape of the argument"
assert np.allclose(squares(given), given**2), "each element should be squared, negative ones too"

# %% tags=["hidden"] name="q1-count" points=1
assert count(np.ones((3, 4))) == 12, "count should look at all axes"

# %% tags=["wrong"] name="q1-double" caught="q1-many" hint="each element"
def squares(x):
    return 2 * x


def count(x):
    return int(np.asarray(x).size)

# %% tags=["wrong"] name="q1-rows" caught="q1-count" hint="all axes"
def squares(x):
    return x * x


def count(x):
    return len(x)

# %% tags=["show"]
print(squares(np.arange(3.0)))

# %% [markdown] tags=["question"] name="q2"
# ## Question 2
# The softmax of the rows of a tensor.

# %% tags=["solution"] name="q2"
def softmax(scores):
    """Rows that sum to 1, stable for large scores."""
    shifted = scores - scores.max(dim=1, keepdim=True).values
    # BEGIN SOLUTION
    powers = torch.exp(shifted)
    return powers / powers.sum(dim=1, keepdim=True)
    # END SOLUTION

# %% tags=["test"] name="q2-sum" points=1
rows = softmax(torch.zeros(2, 5))
assert torch.allclose(rows.sum(dim=1), torch.ones(2)), "each row should sum to 1"

# %% tags=["hidden"] name="q2-large" points=2
rows = softmax(torch.tensor([[1000.0, 1000.0], [0.0, 0.0]]))
assert torch.isfinite(rows).all(), "large scores should not overflow"
sharp = softmax(torch.tensor([[0.0, 3.0]]))
assert abs(float(sharp[0, 1]) - 0.952574) < 1e-5, "the larger score should get the larger part, by the exponential"

# %% tags=["wrong"] name="q2-uniform" caught="q2-large" hint="larger part"
def softmax(scores):
    return torch.full_like(scores, 1 / scores.shape[1])

# %% tags=["wrong"] name="q2-overflow" caught="q2-large" hint="overflow"
def softmax(scores):
    powers = torch.exp(scores)
    return powers / powers.sum(dim=1, keepdim=True)

# %% [markdown] tags=["question"] name="q3"
# ## Question 3
# Your `scale`, twice.

# %% tags=["solution"] name="q3"
# BEGIN SOLUTION
twice = 2 * scale
# END SOLUTION

# %% tags=["hidden"] name="q3-value" points=2
assert twice == 2 * scale, "twice your own scale was asked for"

# %% tags=["wrong"] name="q3-same" caught="q3-value" hint="twice"
twice = scale

# %% tags=["wrong"] name="q3-square" caught="q3-value" hint="your own"
twice = scale**2

# %% [markdown] tags=["manual"] name="q4" points=3
# ## Question 4
# Why is the softmax computed from shifted scores?

# %% [markdown] tags=["rubric"] name="q4"
# The exponential of a large number overflows; a constant cancels out.
