# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # Mini
# Text, for 5 to 10 minutes.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number

# %% tags=["setup"]
import numpy as np

# %% [markdown] tags=["question"] name="q1"
# Square.

# %% tags=["solution"] name="q1"
def square(x):
    """x squared."""
    # BEGIN SOLUTION
    product_of_two_equals = x * x
    return product_of_two_equals
    # END SOLUTION

# %% tags=["test"] name="q1-two" points=1
assert square(2) == 4, "2 squared is not 4"

# %% tags=["hidden"] name="q1-array" points=2
assert np.allclose(square(np.arange(3.)), [0, 1, 4]), "arrays are squared element by element"

# %% tags=["wrong"] name="q1-double" caught="q1-array" hint="element by element"
def square(x):
    sum_of_two_equals_instead = x + x
    return sum_of_two_equals_instead

# %% tags=["wrong"] name="q1-none" caught="q1-two" hint="not 4"
def square(x):
    return None

# %% [markdown] tags=["manual"] name="q2" points=2
# Why?

# %% [markdown] tags=["rubric"] name="q2"
# Because it follows from the definition of squares.
