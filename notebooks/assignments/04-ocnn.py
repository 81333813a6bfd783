# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # The best threshold is a quantile
#
# OC-NN (Chalapathy et al. 2018) trains a network and one number, the threshold $r$, in turns. For $r$ the paper has a theorem: with the scores fixed, the best one is their $\nu$-quantile. You will work out the slopes of the objective, find *all* of its minimisers, see when the quantile that NumPy computes is one of them, train a linear scorer on digits in turns with $r$, and look at what the share $\nu$ means for rows that were not trained on.
#
# You need the book's chapters *The best threshold is a quantile* and *An objective without a minimum*, and Section 3 of the paper. NumPy is enough; it takes 60 to 90 minutes. A function may return numbers of Python, NumPy arrays or torch tensors without a graph, in single or double precision, and leaves its arguments unchanged. As in the paper, a large score is normal.
#
# Replace each `...` by your own code, and run the cells in order: a figure needs the answers above it, and stops with an error before. The checks that you see are a part of those that grade your work, and each answer is called again on other values than here.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number, as your instructor gave it to you

# %% tags=["setup"]
import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from adlib.companion.assignments import as_numbers, variant

sys.modules["adlib.ocnn"] = None  # you write it yourself here; the package's own is closed

draw = variant("04-ocnn", student)
SEED = int(draw.integers(10**6))  # of all that is random below
NU = float(draw.choice([0.05, 0.1, 0.2, 0.25]))  # share of the training rows below the threshold
DIGIT = int(draw.integers(10))  # the normal class
SIZES = range(2, 43)  # numbers of scores, for question 3
N_TRAIN = 60  # training rows, for questions 4 and 5
EPOCHS = int(draw.integers(180, 221))  # steps of the training
LR = 0.05  # length of a step
print(f"nu {NU}, digit {DIGIT}, {EPOCHS} steps")


def as_pair(value, what, shapes=((), ())):
    """The two parts of `value` as arrays of floats, for the checks; one sentence if it is anything else."""
    assert value is not None and value is not ..., f"{what} has no answer yet, should be two things, one after the other"
    assert (type(value) in (tuple, list) or np.ndim(value) == 1) and len(value) == 2, f"{what} should be two things, one after the other"
    return [as_numbers(part, s, f"{what}, part {i}") for i, (part, s) in enumerate(zip(value, shapes, strict=True), 1)]


# %% [markdown] tags=["text"]
# ## The objective
#
# With the network fixed, its scores $\hat y_1, \dots, \hat y_N$ of the training points are numbers, and what is left of the objective (Equation 5 of the paper) depends on $r$ alone:
#
# $$f(r) = \frac{1}{N\nu} \sum_{n=1}^N \max(0,\; r - \hat y_n) - r.$$
#
# It is there for you as `objective`, and so are the `shares` of the scores below a threshold.

# %% tags=["setup"]
def objective(r, scores, nu):
    """f at each of the thresholds r (m,), for scores (N,), (m,)."""
    return np.maximum(0, r[:, None] - scores).mean(1) / nu - r


def shares(scores, r):
    """The shares of the scores (N,) strictly below the number r, and at or below it, a pair of numbers."""
    return float(np.mean(scores < r)), float(np.mean(scores <= r))


# %% [markdown] tags=["question"] name="q1"
# ## Question 1: two slopes
#
# $f$ is made of straight pieces that meet at the scores. At a score it has a kink, and two slopes: that of the piece to the left and that of the piece to the right,
#
# $$f'_-(r) = \lim_{h \downarrow 0} \frac{f(r) - f(r - h)}{h}, \qquad f'_+(r) = \lim_{h \downarrow 0} \frac{f(r + h) - f(r)}{h}.$$
#
# Every number between the two is a subgradient of $f$ at $r$; between two scores both are equal. Write `slopes(r, scores, nu)` for one threshold `r`: the left and the right slope, as a pair of numbers, exact and not by differences. (The proof in the paper counts scores that are below $r$; find out where a score that is *equal* to $r$ belongs.)

# %% tags=["solution"] name="q1"
def slopes(r, scores, nu):
    """The slopes of f to the left and to the right of the number r, for scores (N,), a pair of numbers."""
    # BEGIN SOLUTION
    return float(np.mean(scores < r) / nu - 1), float(np.mean(scores <= r) / nu - 1)
    # END SOLUTION


# %% tags=["test"] name="q1-nine" points=1
y = np.arange(1.0, 10.0)
left, right = as_pair(slopes(3.5, y, 0.5), "`slopes`")
assert abs(left - right) < 1e-6, "between two scores f is straight: both slopes should be equal"
assert abs(left + 1 / 3) < 1e-4, "at 3.5 with nu = 0.5, three of nine scores are below, and the slope is 3 / 4.5 - 1"
left, right = as_pair(slopes(3.0, y, 0.5), "`slopes`")
assert left < right, "f bends upwards at a score: the left slope should be the smaller one, and comes first"

# %% tags=["hidden"] name="q1-at-scores" points=1
y = np.array([0.5, 2.0, -3.0, 7.0, 0.75])
for r in y:
    left, right = as_pair(slopes(float(r), y, 0.3), "`slopes`")
    below = sum(1 for s in y if s - r < 0)
    assert abs(left - (below / 1.5 - 1)) < 1e-4, "the left slope at a score is off: seen from the left, is that score below r?"
    assert abs(right - ((below + 1) / 1.5 - 1)) < 1e-4, "the right slope at a score is off: seen from the right, is that score below r?"

# %% tags=["hidden"] name="q1-ties-and-near" points=1
y = np.array([1.0, 2.0, 2.0, 2.0, 2.001, 5.0])
left, right = as_pair(slopes(2.0, y, 0.5), "`slopes`")
assert abs(right - left - 3 / 3) < 1e-3, "where several scores are equal to r, each of them adds to the kink; one that is only near does not"
assert abs(left - (1 / 3 - 1)) < 1e-3, "the left slope is off where several scores are equal to r"

# %% tags=["wrong"] name="q1-below-only" caught="q1-nine" hint="bends upwards"
def slopes(r, scores, nu):
    return (float(np.mean(scores < r) / nu - 1),) * 2


# %% tags=["wrong"] name="q1-swapped" caught="q1-nine" hint="comes first"
def slopes(r, scores, nu):
    return float(np.mean(scores <= r) / nu - 1), float(np.mean(scores < r) / nu - 1)


# %% tags=["wrong"] name="q1-without-r" caught="q1-nine" hint="the slope is 3 / 4.5 - 1"
def slopes(r, scores, nu):
    return float(np.mean(scores < r) / nu), float(np.mean(scores <= r) / nu)


# %% tags=["wrong"] name="q1-one-of-the-equal" caught="q1-ties-and-near" hint="each of them adds"
def slopes(r, scores, nu):
    left = np.mean(scores < r) / nu - 1
    return float(left), float(left + (r in scores) / (len(scores) * nu))


# %% tags=["wrong"] name="q1-by-differences" caught="q1-ties-and-near" hint="only near"
def slopes(r, scores, nu):
    h = 0.01
    low, here, high = (np.maximum(0, t - scores).mean() / nu - t for t in (r - h, r, r + h))
    return float((here - low) / h), float((high - here) / h)


# %% [markdown] tags=["question"] name="q2"
# ## Question 2: all minimisers
#
# A convex function is smallest exactly where 0 lies between its two slopes. So $r$ is a minimiser if at most a share $\nu$ of the scores is below it, and at least a share $\nu$ at or below it: Theorem 1. There may be more than one.
#
# Write `minimisers(scores, nu)`: the smallest and the largest minimiser of $f$, as a pair of numbers, which are equal if there is only one. The scores come in any order, and some may be equal; $0 < \nu < 1$. Products of floats are slightly off, and `100 * 0.07` is `7.000000000000001`: take $N\nu$ for a whole number if it is within $10^{-9}$ of one.

# %% tags=["solution"] name="q2"
def minimisers(scores, nu):
    """The smallest and the largest minimiser of f for scores (N,), a pair of numbers."""
    # BEGIN SOLUTION
    ordered, k = np.sort(scores), len(scores) * nu
    whole = round(k)
    if abs(k - whole) < 1e-9:
        return float(ordered[whole - 1]), float(ordered[whole])
    return (float(ordered[int(np.ceil(k)) - 1]),) * 2
    # END SOLUTION


# %% tags=["test"] name="q2-paper" points=1
y = np.arange(1.0, 10.0)
low, high = as_pair(minimisers(y, 0.33), "`minimisers`")
assert abs(low - 3) < 1e-5 and abs(high - 3) < 1e-5, (
    "in the paper's example, 1 to 9 with nu = 0.33, only r = 3 is a minimiser"
)
low, high = as_pair(minimisers(y, 1 / 3), "`minimisers`")
assert abs(low - 3) < 1e-5 and abs(high - 4) < 1e-5, (
    "with nu = 1/3, f has the value -2 at 3, at 4 and all the way between"
)

# %% tags=["hidden"] name="q2-any-scores" points=2
random_ = np.random.default_rng(21)
for n, nu in ((7, 0.35), (12, 0.25), (10, 0.86), (40, 0.55), (15, 0.49), (2, 0.5), (33, 0.04)):
    y = random_.permutation(np.round(random_.normal(size=n), 3) + 0.01 * np.arange(n))
    f = {r: sum(max(0.0, r - s) for s in y) / (n * nu) - r for r in y.tolist()}
    best = [r for r in f if f[r] < min(f.values()) + 1e-9]
    low, high = as_pair(minimisers(y, nu), "`minimisers`")
    assert min(abs(low - r) for r in f) < 1e-5, "the smallest minimiser is always one of the scores: what was returned is not"
    assert min(abs(low - r) for r in best) < 1e-5, "the smallest minimiser is off: another score has a smaller value of f"
    assert abs(low - min(best)) < 1e-5, "there is a smaller minimiser than the one that was returned"
    assert abs(high - max(best)) < 1e-5, "the largest minimiser is off: look where f is flat, and where it is not"

# %% tags=["hidden"] name="q2-ties" points=1
cases = (([5, 1, 1, 1, 1], 0.5, 1, 1), ([2, 7, 2, 2], 0.5, 2, 2), ([3, 1, 8, 3], 0.25, 1, 3), ([3, 1, 8, 3], 0.75, 3, 8))
for y, nu, lowest, highest in cases:
    low, high = as_pair(minimisers(np.array(y, float), nu), "`minimisers`")
    assert abs(low - lowest) < 1e-5, "with equal scores the smallest minimiser is off: each of them counts"
    assert abs(high - highest) < 1e-5, "with equal scores the largest minimiser is off: each of them counts"

# %% tags=["hidden"] name="q2-rounding" points=1
y = np.random.default_rng(22).permutation(100).astype(float)
for nu, lowest in ((0.07, 6), (0.14, 13), (0.29, 28), (0.57, 56)):
    low, high = as_pair(minimisers(y, nu), "`minimisers`")
    assert abs(low - lowest) < 1e-5 and abs(high - lowest - 1) < 1e-5, (
        "a product that should be whole came out slightly off: the question says when to take it for whole"
    )

# %% tags=["hidden"] name="q2-less-than-one" points=1
low, high = as_pair(minimisers(np.array([4.0, 2.0, 9.0]), 0.1), "`minimisers`")
assert abs(low - 2) < 1e-5 and abs(high - 2) < 1e-5, "with N nu below 1 the minimiser is off: what is the slope of f on either side of the smallest score?"
low, high = as_pair(minimisers(np.array([4.0, 2.0, 9.0, 5.0]), 0.25), "`minimisers`")
assert abs(low - 2) < 1e-5 and abs(high - 4) < 1e-5, "with N nu equal to 1, the interval of minimisers is off"

# %% tags=["wrong"] name="q2-numpy-default" caught="q2-paper" hint="only r = 3"
def minimisers(scores, nu):
    return (float(np.quantile(scores, nu)),) * 2


# %% tags=["wrong"] name="q2-one-is-enough" caught="q2-paper" hint="all the way between"
def minimisers(scores, nu):
    return (float(np.quantile(scores, nu, method="inverted_cdf")),) * 2


# %% tags=["wrong"] name="q2-always-an-interval" caught="q2-paper" hint="only r = 3"
def minimisers(scores, nu):
    ordered, k = np.sort(scores), int(np.ceil(round(len(scores) * nu, 9)))
    return float(ordered[k - 1]), float(ordered[k])


# %% tags=["wrong"] name="q2-nearest-whole" caught="q2-any-scores" hint="smaller value of f"
def minimisers(scores, nu):
    ordered, k = np.sort(scores), max(1, round(len(scores) * nu))
    is_whole = abs(len(scores) * nu - k) < 1e-9
    return float(ordered[k - 1]), float(ordered[k] if is_whole else ordered[k - 1])


# %% tags=["wrong"] name="q2-different-scores" caught="q2-ties" hint="each of them counts"
def minimisers(scores, nu):
    ordered, k = np.sort(scores), round(len(scores) * nu, 9)
    low = ordered[int(np.ceil(k)) - 1]
    return float(low), float(np.min(ordered[ordered > low], initial=np.inf) if k == round(k) else low)


# %% tags=["wrong"] name="q2-float-product" caught="q2-rounding" hint="slightly off"
def minimisers(scores, nu):
    ordered, k = np.sort(scores), len(scores) * nu
    low = int(np.ceil(k)) - 1
    return float(ordered[low]), float(ordered[low + 1] if k == int(k) else ordered[low])


# %% tags=["wrong"] name="q2-no-first" caught="q2-less-than-one" hint="N nu below 1"
def minimisers(scores, nu):
    ordered, k = np.sort(scores), len(scores) * nu
    if k < 1:
        return -np.inf, float(ordered[0])  # "no row lies below, so r may be as small as it likes"
    if abs(k - round(k)) < 1e-9:
        return float(ordered[round(k) - 1]), float(ordered[round(k)])
    return (float(ordered[int(np.ceil(k)) - 1]),) * 2


# %% [markdown] tags=["text"]
# ## Two pictures
#
# Left: $f$ for twelve random scores and your $\nu$, with the minimisers that you find in orange. Right: how far the value of $f$ at NumPy's default quantile, `np.quantile(scores, NU)`, lies above the minimum, for samples of $2, 3, \dots$ scores (the first ones of `SAMPLE`). The axis is logarithmic, and where there is no bar the two agree; the next question asks where.

# %% tags=["setup"]
SAMPLE = np.random.default_rng(SEED).standard_normal(max(SIZES))  # all scores different

# %% tags=["show"]
def two_pictures():
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    twelve = SAMPLE[:12]
    low, high = minimisers(twelve, NU)
    r = np.linspace(min(twelve) - 0.5, np.quantile(twelve, 0.7), 400)
    axes[0].plot(r, objective(r, twelve, NU))
    axes[0].plot([low, high], objective(np.array([low, high]), twelve, NU), "o-", color="C1", linewidth=4, markersize=10)
    numpys = np.quantile(twelve, NU)
    axes[0].plot(numpys, objective(np.array([numpys]), twelve, NU), "x", color="black", markersize=6)
    axes[0].set(xlabel="r", ylabel="f(r)", title=f"12 scores, nu {NU:g}; the cross is NumPy's default")
    above = []
    for n in SIZES:
        thresholds = np.array([minimisers(SAMPLE[:n], NU)[0], np.quantile(SAMPLE[:n], NU)])
        lowest, value = objective(thresholds, SAMPLE[:n], NU)
        above.append(value - lowest)
    axes[1].bar(SIZES, above, log=True)
    axes[1].set(xlabel="number of scores", ylabel="f above its minimum", xticks=SIZES[::4], ylim=(1e-8, 2))
    plt.show()


two_pictures()

# %% [markdown] tags=["question"] name="q3"
# ## Question 3: when NumPy's quantile is right
#
# Read the right picture, or compute it: `exact_sizes` is the list of all sizes `n` in `SIZES` for which NumPy's default quantile of `SAMPLE[:n]` is a minimiser of $f$, up to rounding errors. The cells with figures do not run in grading: give the values in the cell below, typed or computed there.

# %% tags=["solution"] name="q3"
exact_sizes = (
    # BEGIN SOLUTION
    [
        n
        for n in SIZES
        if minimisers(SAMPLE[:n], NU)[0] - 1e-9 <= np.quantile(SAMPLE[:n], NU) <= minimisers(SAMPLE[:n], NU)[1] + 1e-9
    ]
    # END SOLUTION
)

# %% tags=["test"] name="q3-form" points=1
assert exact_sizes is not ..., "`exact_sizes` has no answer yet, should be a list of sizes"
assert np.ndim(exact_sizes) == 1 and len(exact_sizes) > 0, "`exact_sizes` should be a list of sizes"
given = as_numbers(exact_sizes, (len(exact_sizes),), "`exact_sizes`")
assert np.isin(given, SIZES).all(), "`exact_sizes` should hold numbers of scores that are in SIZES"

# %% tags=["hidden"] name="q3-sizes" points=2
assert np.ndim(exact_sizes) == 1, "`exact_sizes` should be a list of sizes"
given = as_numbers(exact_sizes, (len(exact_sizes),), "`exact_sizes`")
one_in = round(1 / NU)
right = [n for n in SIZES if n % one_in in (0, 1)]
assert set(given.tolist()) <= set(right), "`exact_sizes` names a size for which there is a bar in the right picture"
assert set(right) <= set(given.tolist()), "`exact_sizes` misses a size for which there is no bar in the right picture"

# %% tags=["wrong"] name="q3-yes-or-no" caught="q3-form" hint="that are in SIZES"
exact_sizes = [n % round(1 / NU) < 2 for n in SIZES]
# %% tags=["wrong"] name="q3-whole-products-only" caught="q3-sizes" hint="misses a size"
exact_sizes = [n for n in SIZES if n % round(1 / NU) == 0]
# %% tags=["wrong"] name="q3-small-is-zero" caught="q3-sizes" hint="there is a bar in the right picture"
exact_sizes = [n for n in SIZES if n % round(1 / NU) < 2 or n > 30]

# %% [markdown] tags=["question"] name="q4"
# ## Question 4: in turns
#
# The simplest scorer is linear, $\hat y_n = \langle w, x_n\rangle$. Without the matrix $V$, the objective of Equation 3 is
#
# $$J(w, r) = \tfrac12 \|w\|^2 + \frac{1}{N\nu} \sum_{n=1}^N \max(0,\; r - \langle w, x_n\rangle) - r,$$
#
# that of the linear one-class SVM. Algorithm 1 takes turns: it improves $w$ with $r$ fixed, then sets $r$ anew from the scores of the new $w$.
#
# Write `turn(w, r, x, nu, lr)` for rows `x` `(N, d)` and `w` `(d,)`: one step of gradient descent, $w \leftarrow w - \text{lr} \cdot \nabla_w J(w, r)$, and then the smallest minimiser `r` for the new `w`. It returns the pair `(w, r)`. Derive the gradient by hand. A row whose score is exactly `r` counts like one below it (any value between the two slopes of the maximum is a subgradient; automatic differentiation in torch picks another).

# %% tags=["solution"] name="q4"
def turn(w, r, x, nu, lr):
    """One turn of the training: w (d,) and the number r after it, for rows x (N, d)."""
    # BEGIN SOLUTION
    below = x @ w <= r
    w = w - lr * (w - x[below].sum(0) / (len(x) * nu))
    return w, minimisers(x @ w, nu)[0]
    # END SOLUTION


# %% tags=["test"] name="q4-by-hand" points=1
x = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [4.0, 0.0]])  # with scores 1, 1, 1 and 4 for w = (1, 1)
w, r = as_pair(turn(np.array([1.0, 1.0]), 1.5, x, 0.5, 0.2), "`turn`", ((2,), ()))
assert (w < 1).all(), "with these rows w should become smaller: check the sign of the step and all terms of J"
assert np.allclose(w, [0.95, 0.95], atol=1e-4), "w should step from (1, 1) to (0.95, 0.95)"
assert abs(r - 0.95) < 1e-4, "the new scores are 0.95, 0.95, 0.95 and 3.8, and r belongs to these"

# %% tags=["hidden"] name="q4-step" points=2
random_ = np.random.default_rng(23)
x, w = random_.normal(1, 1, (40, 6)), random_.normal(size=6)
ordered = sorted((x @ w).tolist())
for below in (0, 3, 17):  # how many scores are below r
    r = ordered[0] - 1 if below == 0 else (ordered[below - 1] + ordered[below]) / 2
    found, _ = as_pair(turn(w, r, x, 0.2, 0.1), "`turn`", ((6,), ()))
    shifts = 1e-6 * np.eye(6)
    slope = [
        sum((v @ v) / 2 * sign + sum(max(0.0, r - s) for s in x @ v) / 8 * sign for v, sign in ((w + s, 1), (w - s, -1))) / 2e-6
        for s in shifts
    ]
    assert np.allclose(found, w - 0.1 * np.array(slope), atol=1e-3), (
        "the step of w is not along the gradient of J: compare with finite differences, also where few rows or none are below r"
    )

# %% tags=["hidden"] name="q4-threshold" points=1
random_ = np.random.default_rng(24)
x = random_.normal(1, 1, (30, 4))
w, r = as_pair(turn(np.ones(4), 0.0, x, 0.1, 0.3), "`turn`", ((4,), ()))
scores = sorted((x @ w).tolist())
assert abs(r - scores[2]) < 1e-3, "r should be the smallest minimiser for the scores of the new w, where it is not unique"

# %% tags=["hidden"] name="q4-on-the-threshold" points=1
x = np.array([[1.0, 0.0], [3.0, 1.0], [2.0, 5.0], [4.0, 0.0]])
w, _ = as_pair(turn(np.array([1.0, 0.0]), 3.0, x, 0.5, 0.5), "`turn`", ((2,), ()))
assert np.allclose(w, [2.0, 1.5], atol=1e-4), "a row whose score is exactly r should count like one below it"

# %% tags=["wrong"] name="q4-away" caught="q4-by-hand" hint="w should become smaller"
def turn(w, r, x, nu, lr):
    w = w + lr * (w - x[x @ w <= r].sum(0) / (len(x) * nu))
    return w, minimisers(x @ w, nu)[0]


# %% tags=["wrong"] name="q4-no-penalty" caught="q4-by-hand" hint="w should become smaller"
def turn(w, r, x, nu, lr):
    w = w + lr * x[x @ w <= r].sum(0) / (len(x) * nu)
    return w, minimisers(x @ w, nu)[0]


# %% tags=["wrong"] name="q4-old-scores" caught="q4-by-hand" hint="r belongs to these"
def turn(w, r, x, nu, lr):
    scores = x @ w
    w = w - lr * (w - x[scores <= r].sum(0) / (len(x) * nu))
    return w, minimisers(scores, nu)[0]


# %% tags=["wrong"] name="q4-mean-of-the-rows-below" caught="q4-by-hand" hint="(0.95, 0.95)"
def turn(w, r, x, nu, lr):
    below = x @ w <= r
    w = w - lr * (w - x[below].sum(0) / max(1, below.sum()))
    return w, minimisers(x @ w, nu)[0]


# %% tags=["wrong"] name="q4-lowest-share-whatever-r" caught="q4-step" hint="few rows or none"
def turn(w, r, x, nu, lr):
    if np.sum(x @ w <= r) < len(x) * nu:  # "r is not where it should be"
        r = minimisers(x @ w, nu)[0]
    w = w - lr * (w - x[x @ w <= r].sum(0) / (len(x) * nu))
    return w, minimisers(x @ w, nu)[0]


# %% tags=["wrong"] name="q4-numpy-default" caught="q4-threshold" hint="smallest minimiser"
def turn(w, r, x, nu, lr):
    w = w - lr * (w - x[x @ w <= r].sum(0) / (len(x) * nu))
    return w, float(np.quantile(x @ w, nu))


# %% tags=["wrong"] name="q4-strictly-below" caught="q4-on-the-threshold" hint="like one below it"
def turn(w, r, x, nu, lr):
    w = w - lr * (w - x[x @ w < r].sum(0) / (len(x) * nu))
    return w, minimisers(x @ w, nu)[0]


# %% [markdown] tags=["text"]
# ## On digits
#
# Images of one digit, 8 x 8 pixels from scikit-learn, are normal. `TRAIN` holds 60 of them, `FRESH` the others, which are not trained on, and `OTHERS` all other digits.

# %% tags=["setup"]
images, digits = load_digits(return_X_y=True)
normal = np.random.default_rng(SEED).permutation(images[digits == DIGIT] / 16)
TRAIN, FRESH, OTHERS = normal[:N_TRAIN], normal[N_TRAIN:], images[digits != DIGIT] / 16

# %% [markdown] tags=["question"] name="q5"
# ## Question 5: the whole training
#
# Write `fit(x, nu, lr, turns)`: start with the mean of the rows for `w` and the smallest minimiser for its scores, take that many turns, and return the pair `(w, r)` at the end. The line below it trains on the digits.

# %% tags=["solution"] name="q5"
def fit(x, nu, lr, turns):
    """w (d,) and the number r after some turns of training on rows x (N, d), from the mean row."""
    # BEGIN SOLUTION
    w = x.mean(0)
    r = minimisers(x @ w, nu)[0]
    for _ in range(turns):
        w, r = turn(w, r, x, nu, lr)
    return w, r
    # END SOLUTION


ended = fit(TRAIN, NU, LR, EPOCHS)

# %% tags=["test"] name="q5-start" points=1
x = np.array([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0], [1.0, 2.0]])  # its mean is (1, 1)
w, r = as_pair(fit(x, 0.3, 0.1, 0), "`fit`", ((2,), ()))
assert np.allclose(w, [1, 1], atol=1e-5), "without a turn, w should be the mean of the rows"
assert abs(r - 2) < 1e-5, "without a turn, r should be the smallest minimiser for the scores 1, 2, 2 and 3"

# %% tags=["hidden"] name="q5-end" points=1
from sklearn.svm import OneClassSVM


def value_of(w, x, nu):
    """J at its best r, for whole products."""
    lowest = sorted((x @ w).tolist())[: round(len(x) * nu)]
    return w @ w / 2 - sum(lowest) / len(lowest)


x = np.random.default_rng(25).normal(2, 1, (40, 6))
for nu in (0.1, 0.25):
    w, _ = as_pair(fit(x, nu, 0.05, 200), "`fit`", ((6,), ()))
    best = OneClassSVM(kernel="linear", nu=nu, tol=1e-6).fit(x).coef_[0] / (len(x) * nu)
    assert value_of(w, x, nu) < value_of(best, x, nu) + 0.1, (
        "after 200 turns J is well above its minimum: each turn should begin with the w and the r of the one before"
    )

# %% tags=["wrong"] name="q5-from-zero" caught="q5-start" hint="the mean of the rows"
def fit(x, nu, lr, turns):
    w, r = np.zeros(x.shape[1]), 0.0
    for _ in range(turns):
        w, r = turn(w, r, x, nu, lr)
    return w, r


ended = fit(TRAIN, NU, LR, EPOCHS)
# %% tags=["wrong"] name="q5-same-r-always" caught="q5-end" hint="of the one before"
def fit(x, nu, lr, turns):
    w = x.mean(0)
    first = r = minimisers(x @ w, nu)[0]
    for _ in range(turns):
        w, r = turn(w, first, x, nu, lr)
    return w, r


ended = fit(TRAIN, NU, LR, EPOCHS)
# %% tags=["wrong"] name="q5-one-turn" caught="q5-end" hint="of the one before"
def fit(x, nu, lr, turns):
    start = x.mean(0)
    w, r = start, minimisers(x @ start, nu)[0]
    for _ in range(turns):
        w, r = turn(start, r, x, nu, lr)
    return w, r


ended = fit(TRAIN, NU, LR, EPOCHS)

# %% tags=["show"]
def training_and_end():
    history, (w, r) = [], fit(TRAIN, NU, LR, 0)
    for _ in range(EPOCHS):
        w, r = turn(w, r, TRAIN, NU, LR)
        scores = TRAIN @ np.asarray(w, float)
        value = w @ w / 2 + objective(np.array([float(r)]), scores, NU)[0]
        row = value, r, *np.quantile(scores, [0.05, 0.5, 0.95]), *shares(scores, float(r))
        history.append([float(number) for number in row])
    values, thresholds, low, median, high, below, up_to = np.array(history).T
    turns = np.arange(1, EPOCHS + 1)
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
    axes = axes.ravel()
    axes[0].plot(turns, values)
    axes[0].set(xlabel="turn", ylabel="J")
    axes[1].fill_between(turns, low, high, alpha=0.3)
    axes[1].plot(turns, median, label="median score")
    axes[1].plot(turns, thresholds, label="r")
    axes[1].set(xlabel="turn", ylabel="scores of TRAIN")
    axes[1].legend()
    axes[2].plot(turns, below, label="below r")
    axes[2].plot(turns, up_to, label="at or below r")
    axes[2].axhline(NU, color="black", linestyle="--", linewidth=1)
    axes[2].set(xlabel="turn", ylabel="share of TRAIN", ylim=(0, 2.5 * NU))
    axes[2].legend()
    w, r = ended
    for name, rows in (("TRAIN", TRAIN), ("FRESH", FRESH), ("OTHERS", OTHERS)):
        scores = np.sort(rows @ np.asarray(w, float))
        axes[3].step(scores, np.arange(1, len(scores) + 1) / len(scores), where="post", label=name)
    axes[3].axvline(r, color="black", linestyle="--", linewidth=1)
    axes[3].set(xlabel="score at the end", ylabel="share up to there", yticks=np.linspace(0, 1, 11))
    axes[3].grid(alpha=0.4)
    axes[3].legend()
    plt.show()


training_and_end()

# %% [markdown] tags=["question"] name="q6"
# ## Question 6: read it
#
# Read the last panel, just left of the dashed line, or compute it from `ended`. The cells with figures do not run in grading: give the values in the cell below, typed or computed there. They are `train_below`, `fresh_below` and `others_below`: the shares of the rows of `TRAIN`, `FRESH` and `OTHERS` with a score strictly below the threshold, as numbers between 0 and 1, with an error of at most 0.03.

# %% tags=["solution"] name="q6"
train_below = (
    # BEGIN SOLUTION
    shares(TRAIN @ ended[0], ended[1])[0]
    # END SOLUTION
)
fresh_below = (
    # BEGIN SOLUTION
    shares(FRESH @ ended[0], ended[1])[0]
    # END SOLUTION
)
others_below = (
    # BEGIN SOLUTION
    shares(OTHERS @ ended[0], ended[1])[0]
    # END SOLUTION
)

# %% tags=["test"] name="q6-form" points=1
for name, share in (("train_below", train_below), ("fresh_below", fresh_below), ("others_below", others_below)):
    assert 0 <= as_numbers(share, (), f"`{name}`") <= 1, f"`{name}` should be a share, between 0 and 1"
assert train_below <= NU + 0.03, "at a minimiser, at most a share nu of the training scores is below r"

# %% tags=["hidden"] name="q6-values" points=1
rows_below = round(N_TRAIN * NU)
w = TRAIN.mean(0)
for _ in range(EPOCHS):
    lowest = np.argsort(TRAIN @ w)[:rows_below]
    w = w - LR * (w - TRAIN[lowest].mean(0))
r = np.sort(TRAIN @ w)[rows_below - 1]
for name, share, rows in (("train_below", train_below, TRAIN), ("fresh_below", fresh_below, FRESH), ("others_below", others_below, OTHERS)):
    right = sum(1 for score in rows @ w if score < r) / len(rows)
    assert abs(as_numbers(share, (), f"`{name}`") - right) <= 0.03 + 1e-9, f"`{name}` is off: count the rows of that set on the left of the threshold"

# %% tags=["wrong"] name="q6-nu-for-all" caught="q6-values" hint="count the rows of that set"
train_below = fresh_below = others_below = NU
# %% tags=["wrong"] name="q6-right-of-it" caught="q6-form" hint="at most a share nu"
train_below, fresh_below, others_below = (1 - shares(x @ ended[0], ended[1])[0] for x in (TRAIN, FRESH, OTHERS))
# %% tags=["wrong"] name="q6-train-and-fresh-alike" caught="q6-values" hint="`others_below` is off"
train_below = shares(TRAIN @ ended[0], ended[1])[0]
fresh_below = shares(FRESH @ ended[0], ended[1])[0]
others_below = 1.0

# %% [markdown] tags=["manual"] name="q7" points=2
# ## Question 7: derive it
#
# 1. When exactly is there more than one minimiser? Use the slopes of question 1.
# 2. Let $N\nu = k$ be whole. Show that the minimum of $f$ is minus the mean of the $k$ smallest scores. What, then, is a network trained to do, and what becomes of $r$?

# %% [markdown] tags=["rubric"] name="q7"
# - **1 point, more than one**: $f$ is convex and piecewise linear, with slope (number of scores below) $/ (N\nu) - 1$ between scores: negative as long as fewer than $N\nu$ scores are below, positive when more are. So there is more than one minimiser exactly if a piece has slope 0, that is if $N\nu = k$ is whole and the $k$-th smallest score is less than the next; then all of the interval between the two minimises $f$. Half a point for an answer that ignores ties.
# - **1 point, the value**: with $r = \hat y_{(k)}$, $f = \frac1k \sum_{i \le k} (r - \hat y_{(i)}) - r = -\frac1k \sum_{i \le k} \hat y_{(i)}$, since $k$ times $r / k$ cancels. Training raises the mean of the $k$ lowest scores (against the penalty of the weights); $r$ is a by-product that drops out of the objective.
#
# A common misunderstanding: to set the derivative to 0 and stop, as the paper's proof does. At a kink there is no derivative, and with $N\nu$ not whole it is 0 nowhere.

# %% [markdown] tags=["manual"] name="q8" points=3
# ## Question 8: what nu promises
#
# 1. Compare your three shares with $\nu$. Why does $\nu$ say something about the training rows, whatever the scorer, and nothing of the kind about new rows? In which direction do you expect the share of new normal rows to be off, and when by most?
# 2. A colleague takes $\nu = 0.01$ for 60 training rows. What is $r$ then, how many training rows lie below it, and what would you advise?

# %% [markdown] tags=["rubric"] name="q8"
# - **1 point, training rows**: $r$ is set from these very scores, so that at most a share $\nu$ is below and at least a share $\nu$ at or below: a fact about counting, true even of a useless scorer (or of random scores).
# - **1 point, new rows**: $w$ and $r$ were fitted to the training rows, whose lowest scores the training raises; new rows do not share in that. So more of them than $\nu$ are expected below, the more so with few rows and many weights (60 rows and 64 pixels here), and there is chance besides. (For a scorer fixed beforehand the share is near $\nu$, up to chance.) The share of anomalies below $r$ depends on what they are, and $\nu$ says nothing about it. To promise something about new rows, take the threshold from normal rows that were not trained on. A share of `FRESH` that happens to be near or below $\nu$ in a variant is no objection; full points if the answer explains it as chance.
# - **1 point, less than one row**: $N\nu = 0.6 < 1$, so $r$ is the smallest score and no row lies below it. Each row below would weigh more than $r$ can gain; the single lowest row decides. Advice: $\nu \ge 1/60$, or more data.
#
# A common misunderstanding: that $\nu$ is the share of anomalies that are found, or of alarms that are false.
