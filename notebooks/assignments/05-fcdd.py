# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # A heatmap that is the score, and the mark it gives away
#
# FCDD (Liznerski et al. 2021) gives an image a small map of numbers instead of one number, and the image's score is the mean of its map. So a score can be read: spread back over the image, the map shows where it comes from. Here you write the parts of it in NumPy: the distance and the score, a loss that survives `float32`, the patch of the image that each number sees, and the heatmap. Then you turn them on a detector that seems to be perfect, and find out what it really looks at.
#
# You need Sections 3 and 4.3 of the paper, or the chapters on FCDD in the book. Plan on 60 to 90 minutes. Everything runs on a CPU in seconds. Wherever an array is asked for, NumPy arrays and torch tensors without a graph are both fine, in single or double precision; what goes in is NumPy.
#
# Replace each `...` by your own code, and run the cells in order: a figure needs the answers above it, and stops with an error before. The checks that you see are a part of those that grade your work, and each answer is called again on other values than here.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number, as your instructor gave it to you

# %% tags=["setup"]
import math
import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

from adlib.companion.assignments import as_numbers, variant

sys.modules["adlib.fcdd"] = None  # you write it yourself here; the package's own is closed


def variant_of(student):
    """(digit that is the anomaly, place of the mark, order of the test sets, seed): looking here spoils Question 6."""
    draw = variant("05-fcdd", student)
    return int(draw.integers(10)), int(draw.integers(8)), draw.permutation(3).tolist(), int(draw.integers(2**31))


DIGIT = variant_of(student)[0]
LAYERS = [(3, 1, 1), (2, 2, 0), (3, 1, 1), (1, 1, 0)]  # (kernel, stride, padding) of the network that you examine
SIDE = 24  # pixels a side of the images
SIGMA = 1.5  # width of the heatmaps' Gaussian, in pixels
print(f"Your anomaly is the digit {DIGIT}.")

# %% [markdown] tags=["question"] name="q1"
# ## Question 1: from outputs to a map to a score
#
# The network $\phi$ turns an image into $u \times v$ numbers of either sign. The *pseudo-Huber distance* makes a map of distances of them, number by number (Section 3, above Eq. 2), and the score of the image is the mean of its map:
#
# $$A(x) = \sqrt{\phi(x)^2 + 1} - 1, \qquad a(x) = \frac{1}{uv} \sum_{i,j} A(x)_{ij}.$$
#
# Write two functions.
#
# - `pseudo_huber(z)` takes an array of any shape, `float32` or `float64`, and returns the distance of each element, in the same shape. As printed, the formula is of little use to a computer: for $z = 0.0001$ it gives 0 in `float32`, and for huge $z$ it overflows. Rewrite it so that the relative error stays below $10^{-5}$ for every $|z|$ from $10^{-15}$ to $10^{30}$, in both types, and $z = 0$ gives 0.
# - `scores(phi)` takes the outputs for `n` images, `(n, u, v)`, and returns their scores, `(n,)`.

# %% tags=["solution"] name="q1"
def pseudo_huber(z):
    """Distance of each element of z, in its shape."""
    # BEGIN SOLUTION
    size = np.abs(z)
    return size * (size / (np.hypot(size, 1) + 1))
    # END SOLUTION


def scores(phi):
    """Score of each image, (n,), for outputs phi (n, u, v)."""
    # BEGIN SOLUTION
    return pseudo_huber(phi).mean((1, 2))
    # END SOLUTION


# %% tags=["test"] name="q1-known" points=1
found = as_numbers(pseudo_huber(np.array([[0.0, 0.75], [-0.75, 4 / 3]])), (2, 2), "`pseudo_huber`")
assert np.allclose(found, [[0, 1 / 4], [1 / 4, 2 / 3]]), (
    "the distances of 0, 0.75, -0.75 and 4/3 are 0, 1/4, 1/4 and 2/3"
)
found = as_numbers(scores(np.full((2, 3, 4), 0.75)), (2,), "`scores`")
assert np.allclose(found, 1 / 4), "where all distances of a map are 1/4, so is the score: it is their mean"

# %% tags=["hidden"] name="q1-tiny" points=1
for dtype in (np.float32, np.float64):
    small = np.logspace(-15, 0, 61).astype(dtype)
    exact = np.array([float(v) ** 2 / (math.sqrt(float(v) ** 2 + 1) + 1) for v in small])
    found = as_numbers(pseudo_huber(small), small.shape, "`pseudo_huber`")
    assert np.allclose(found, exact, rtol=1e-5, atol=0), (
        f"in {dtype.__name__}, distances of small numbers are too far off: two numbers that are nearly equal are subtracted"
    )

# %% tags=["hidden"] name="q1-huge" points=1
for dtype in (np.float32, np.float64):
    large = -np.logspace(0.5, 30, 60).astype(dtype)
    exact = np.array([float(v) ** 2 / (math.sqrt(float(v) ** 2 + 1) + 1) for v in large])
    found = as_numbers(pseudo_huber(large), large.shape, "`pseudo_huber`")
    assert np.isfinite(found).all(), f"in {dtype.__name__}, something on the way to the distance of a huge number overflows"
    assert np.allclose(found, exact, rtol=1e-5, atol=0), "distances of large numbers are too far off"

# %% tags=["hidden"] name="q1-map" points=1
phi = np.random.default_rng(1).normal(0, 2, (5, 4, 3))
found = as_numbers(scores(phi), (5,), "`scores`")
expected = [sum(math.sqrt(v**2 + 1) - 1 for v in image.ravel()) / image.size for image in phi]
assert np.allclose(found, expected), "each element of the map has a distance of its own, and the score is the mean of these"

# %% tags=["wrong"] name="q1-as-printed" caught="q1-tiny" hint="nearly equal"
def pseudo_huber(z):
    return np.sqrt(z**2 + 1) - 1


def scores(phi):
    return pseudo_huber(phi).mean((1, 2))


# %% tags=["wrong"] name="q1-square" caught="q1-huge" hint="overflows"
def pseudo_huber(z):
    return z**2 / (np.sqrt(z**2 + 1) + 1)


def scores(phi):
    return pseudo_huber(phi).mean((1, 2))


# %% tags=["wrong"] name="q1-sum" caught="q1-known" hint="it is their mean"
def pseudo_huber(z):
    return np.abs(z) * (np.abs(z) / (np.hypot(z, 1) + 1))


def scores(phi):
    return pseudo_huber(phi).sum((1, 2))


# %% tags=["wrong"] name="q1-distance-of-mean" caught="q1-map" hint="a distance of its own"
def pseudo_huber(z):
    return np.abs(z) * (np.abs(z) / (np.hypot(z, 1) + 1))


def scores(phi):
    return pseudo_huber(np.sqrt((phi**2).mean((1, 2))))  # one distance for the whole image, as HSC has


# %% [markdown] tags=["question"] name="q2"
# ## Question 2: a loss for `float32`
#
# Nominal images ($y = 0$) should have a small $a$, known anomalies ($y = 1$) a large one. The loss of one image is (Eq. 2)
#
# $$\ell(a, y) = (1 - y)\, a - y \log\bigl(1 - e^{-a}\bigr).$$
#
# The gradient with respect to the weights is $\partial \ell / \partial a$ times the gradient of $a$. So if this one factor is infinite, not a number, or 0 by rounding, the step is lost. Write both.
#
# - `hsc_loss(a, y)` takes the scores `a` `(n,)`, `float32`, from 0 on, and the labels `y` `(n,)`, integers 0 and 1; it returns the loss of each image, `(n,)`.
# - `hsc_slope(a, y)` takes the same and returns $\partial \ell / \partial a$ of each image, `(n,)`.
#
# An anomaly at $a = 0$ would have an infinite loss. In both functions, take $10^{-12}$ in place of a smaller $a$ where $y = 1$; where $y = 0$, $a$ stays as it is. The relative error should be below $10^{-5}$ for every $a$ from $10^{-12}$ to 80, and up to $a = 10^4$ everything should be finite. `np.expm1(x)` is $e^x - 1$, and `np.log1p(x)` is $\log(1 + x)$, both exact for small $x$.

# %% tags=["solution"] name="q2"
def hsc_loss(a, y):
    """Loss of each image, (n,), for its score a and its label y."""
    # BEGIN SOLUTION
    near = np.clip(a, 1e-12, math.log(2))
    far = np.maximum(a, math.log(2))
    repelled = np.where(a < math.log(2), -np.log(-np.expm1(-near)), -np.log1p(-np.exp(-far)))
    return np.where(y == 1, repelled, a)
    # END SOLUTION


def hsc_slope(a, y):
    """Derivative of that loss with respect to a, (n,)."""
    # BEGIN SOLUTION
    a = np.maximum(a, 1e-12)
    return np.where(y == 1, np.exp(-a) / np.expm1(-a), 1)
    # END SOLUTION


# %% tags=["test"] name="q2-known" points=1
a, y = np.array([math.log(2), math.log(2), 3, 0], dtype=np.float32), np.array([0, 1, 0, 0])
loss, slope = as_numbers(hsc_loss(a, y), (4,), "`hsc_loss`"), as_numbers(hsc_slope(a, y), (4,), "`hsc_slope`")
assert np.allclose(loss, [math.log(2), math.log(2), 3, 0]), (
    "at a = log 2 both labels have the loss log 2; a nominal image has the loss a"
)
assert np.allclose(slope, [1, -1, 1, 1]), "at a = log 2 the slopes are 1 for a nominal image and -1 for an anomaly"

# %% tags=["hidden"] name="q2-small" points=2
a = np.logspace(-12, -0.2, 60).astype(np.float32)
a[0] = np.float32(1.1e-12)
found = as_numbers(hsc_loss(a, np.ones(60, dtype=int)), (60,), "`hsc_loss`")
assert np.isfinite(found).all(), "the loss of an anomaly with a small score should be finite"
exact = np.array([-math.log(-math.expm1(-float(v))) for v in a])
assert np.allclose(found, exact, rtol=1e-5, atol=0), "the loss of an anomaly with a small score is too far off: 1 - exp(-a) has lost its digits"
found = as_numbers(hsc_loss(np.zeros(2, dtype=np.float32), np.array([0, 1])), (2,), "`hsc_loss`")
assert np.allclose(found, [0, 12 * math.log(10)], rtol=1e-5), (
    "at a score of 0, a nominal image has no loss, and an anomaly the loss that the question gives it"
)

# %% tags=["hidden"] name="q2-large" points=1
a = np.linspace(0.8, 80, 100).astype(np.float32)
found = as_numbers(hsc_loss(a, np.ones(100, dtype=int)), (100,), "`hsc_loss`")
exact = np.array([-math.log1p(-math.exp(-float(v))) for v in a])
assert np.allclose(found, exact, rtol=1e-5, atol=0), "the loss of an anomaly with a large score is small, but not 0: it is lost when taken from 1"
a = np.array([1e3, 1e4], dtype=np.float32).repeat(2)
found = as_numbers(hsc_loss(a, np.array([0, 1, 0, 1])), (4,), "`hsc_loss`")
assert np.allclose(found, [1e3, 0, 1e4, 0]), "at scores of a thousand and more, one term is the score and the other is nothing"

# %% tags=["hidden"] name="q2-slope" points=2
a = np.concatenate([np.logspace(-11.9, 0, 60), np.linspace(1, 80, 60)]).astype(np.float32)
found = as_numbers(hsc_slope(a, np.ones(120, dtype=int)), (120,), "`hsc_slope`")
assert np.isfinite(found).all(), "the slope of an anomaly should be finite for small and for large scores"
exact = np.array([math.exp(-float(v)) / math.expm1(-float(v)) for v in a])
assert np.allclose(found, exact, rtol=1e-5, atol=0), "the slope of an anomaly is too far off: look at small and at large scores apart"
found = as_numbers(hsc_slope(np.array([0, 0, 1e4, 1e4], dtype=np.float32), np.array([0, 1, 0, 1])), (4,), "`hsc_slope`")
assert np.allclose(found, [1, -1e12, 1, 0], rtol=1e-4), "the slope at a score of 0, or of 10000, is not what the question asks for"

# %% tags=["wrong"] name="q2-as-printed" caught="q2-small" hint="should be finite"
def hsc_loss(a, y):
    return np.where(y == 1, -np.log(1 - np.exp(-np.maximum(a, 1e-12))), a)


def hsc_slope(a, y):
    return np.where(y == 1, -1 / np.expm1(np.maximum(a, 1e-12)), 1)


# %% tags=["wrong"] name="q2-small-constant" caught="q2-small" hint="lost its digits"
def hsc_loss(a, y):
    return np.where(y == 1, -np.log(1 - np.exp(-a) + np.float32(1e-12)), a)  # a constant inside the logarithm


def hsc_slope(a, y):
    return np.where(y == 1, -1 / np.expm1(np.maximum(a, 1e-12)), 1)


# %% tags=["wrong"] name="q2-one-formula" caught="q2-large" hint="when taken from 1"
def hsc_loss(a, y):
    return np.where(y == 1, -np.log(-np.expm1(-np.maximum(a, 1e-12))), a)


def hsc_slope(a, y):
    return np.where(y == 1, -1 / np.expm1(np.maximum(a, 1e-12)), 1)


# %% tags=["wrong"] name="q2-labels" caught="q2-known" hint="a nominal image has the loss a"
def hsc_loss(a, y):
    return y * a - (1 - y) * np.log(-np.expm1(-np.maximum(a, 1e-12)))


def hsc_slope(a, y):
    return np.where(y == 0, -1 / np.expm1(np.maximum(a, 1e-12)), 1)


# %% tags=["wrong"] name="q2-sign" caught="q2-known" hint="-1 for an anomaly"
def hsc_loss(a, y):
    a = np.maximum(a, 1e-12 * y)
    repelled = np.where(a < 0.7, -np.log(-np.expm1(-a)), -np.log1p(-np.exp(-a)))
    return np.where(y == 1, repelled, a)


def hsc_slope(a, y):
    return np.where(y == 1, 1 / np.expm1(np.maximum(a, 1e-12)), 1)


# %% tags=["wrong"] name="q2-slope-as-printed" caught="q2-slope" hint="should be finite"
def hsc_loss(a, y):
    a = np.maximum(a, 1e-12 * y)
    repelled = np.where(a < 0.7, -np.log(-np.expm1(-a)), -np.log1p(-np.exp(-a)))
    return np.where(y == 1, repelled, a)


def hsc_slope(a, y):
    a = np.maximum(a, 1e-12)
    return np.where(y == 1, -np.exp(-a) / (1 - np.exp(-a)), 1)


# %% [markdown] tags=["question"] name="q3"
# ## Question 3: what one number of the map sees
#
# The network is a chain of convolutions and poolings. Each number of the map sees a square patch of the image, its *receptive field* (Section 3, "Fully Convolutional Architecture"). The chain is the same in both directions, so think of one line of pixels, numbered 0, 1, 2, ...; a pixel is a point at its number.
#
# A layer `(kernel, stride, padding)` first puts `padding` extra places before the line (and behind it). Its output $i$ is then made from `kernel` neighbouring places of its input, and the next output from those that lie `stride` further on.
#
# Write `receptive_field(layers)`. It takes a list of such triples of integers, the first layer first, and returns three numbers:
#
# - the *field*, how many pixels in a row one output of the last layer sees (count places in the padding as well);
# - the *stride*, how many pixels lie from the field of one output to that of the next;
# - the *start*, where the centre of the first output's field lies. Two pixels 0 and 1 have their centre at 0.5; with much padding a start is negative.

# %% tags=["solution"] name="q3"
def receptive_field(layers):
    """(field, stride, start) of a chain of layers (kernel, stride, padding)."""
    # BEGIN SOLUTION
    field, step, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        field += (kernel - 1) * step
        start += ((kernel - 1) / 2 - padding) * step
        step *= stride
    return field, step, start
    # END SOLUTION


# %% tags=["test"] name="q3-one" points=1
for layer, expected in (((3, 1, 1), (3, 1, 0)), ((2, 2, 0), (2, 2, 0.5)), ((5, 2, 0), (5, 2, 2))):
    found = as_numbers(receptive_field([layer]), (3,), "`receptive_field`")
    assert np.allclose(found, expected), f"one layer {layer} has field, stride and start {expected}"

# %% tags=["hidden"] name="q3-chain" points=2


def seen(layers, output):
    """First and last place of the input that an output is made from, going backwards through the chain."""
    first = last = output
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last


random = np.random.default_rng(3)
for length in (2, 3, 5):
    layers = [(int(random.integers(1, 6)), int(random.integers(1, 4)), 0) for _ in range(length)]
    layers = [(4, 2, 0), *layers, (3, 1, 0)]
    found = as_numbers(receptive_field(layers), (3,), "`receptive_field`")
    (first, last), (second, _) = seen(layers, 0), seen(layers, 1)
    assert math.isclose(found[0], last - first + 1), "the field of a chain is off: what a later layer adds counts in steps, not in pixels"
    assert math.isclose(found[1], second - first), "the stride of a chain is off: think of what two steps of two layers make together"
    assert math.isclose(found[2], (first + last) / 2), "the start of a chain is off: the centre of the first field, also for even kernels"

# %% tags=["hidden"] name="q3-padding" points=1


def seen(layers, output):
    """First and last place of the input that an output is made from, going backwards through the chain."""
    first = last = output
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last


for layers in (LAYERS, [(3, 2, 1), (5, 2, 2), (3, 1, 2)], [(4, 2, 1), (4, 2, 3)]):
    found = as_numbers(receptive_field(layers), (3,), "`receptive_field`")
    first, last = seen(layers, 0)
    assert math.isclose(found[0], last - first + 1), "places in the padding count for the field like any other"
    assert math.isclose(found[2], (first + last) / 2, abs_tol=1e-9), "with padding in a later layer the start is off: one place there is how many pixels?"

# %% tags=["wrong"] name="q3-own-stride" caught="q3-one" hint="has field, stride and start"
def receptive_field(layers):
    field, step, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        step *= stride  # before the layer itself is counted
        field += (kernel - 1) * step
        start += ((kernel - 1) / 2 - padding) * step
    return field, step, start


# %% tags=["wrong"] name="q3-pixels" caught="q3-chain" hint="in steps, not in pixels"
def receptive_field(layers):
    field, step, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        field += kernel - 1
        start += ((kernel - 1) / 2 - padding) * step
        step *= stride
    return field, step, start


# %% tags=["wrong"] name="q3-sum-of-strides" caught="q3-chain" hint="the stride of a chain"
def receptive_field(layers):
    field, step, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        field += (kernel - 1) * step
        start += ((kernel - 1) / 2 - padding) * step
        step *= stride
    return field, 1 + sum(stride - 1 for _, stride, _ in layers), start


# %% tags=["wrong"] name="q3-padding-in-pixels" caught="q3-padding" hint="padding in a later layer"
def receptive_field(layers):
    field, step, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        field += (kernel - 1) * step
        start += (kernel - 1) / 2 * step - padding
        step *= stride
    return field, step, start


# %% tags=["wrong"] name="q3-no-padding" caught="q3-one" hint="has field, stride and start"
def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride, _ in layers:
        field += (kernel - 1) * step
        step *= stride
    return field, step, (field - 1) / 2


# %% [markdown] tags=["question"] name="q4"
# ## Question 4: a heatmap as large as the image
#
# Each number of the map spreads over its field as a Gaussian around the field's centre; what several give to one pixel adds up (Algorithm 1). With the centres $c_i = \text{start} + \text{stride} \cdot i$, $i = 0, 1, \dots$, of rows and of columns, the pixel in row $y$ and column $x$ gets
#
# $$A'_{yx} = \sum_{i,j} A_{ij}\, \frac{1}{2 \pi \sigma^2} \exp\Bigl(-\frac{(y - c_i)^2 + (x - c_j)^2}{2 \sigma^2}\Bigr),$$
#
# where only those $i, j$ count whose field holds the pixel, that is $|y - c_i| < \text{field}/2$ and $|x - c_j| < \text{field}/2$.
#
# Write `upsample(maps, size, field, stride, start, sigma)` for maps `(n, u, v)` and `size = (height, width)`; it returns heatmaps `(n, height, width)`. Neither maps nor images need be square. Rows and columns can be treated apart, so there is a way without a loop over pixels or numbers of the map; a loop is not wrong, but slow.

# %% tags=["solution"] name="q4"
def upsample(maps, size, field, stride, start, sigma):
    """Heatmaps (n, height, width) of maps (n, u, v): each number spreads over its field as a Gaussian."""

    # BEGIN SOLUTION
    def spread(pixels, centers):
        distance = np.arange(pixels)[:, None] - (start + stride * np.arange(centers))
        gauss = np.exp(-0.5 * (distance / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
        return gauss * (np.abs(distance) < field / 2)

    return spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T
    # END SOLUTION


# %% tags=["test"] name="q4-one" points=1
found = as_numbers(upsample(np.array([[[2.0]]]), (5, 7), 3, 1, 2.0, 1.0), (1, 5, 7), "`upsample`")
assert (found[0, 1:4, 1:4] > 0).all() and np.count_nonzero(found) == 9, (
    "one number with a field of 3 should reach 3 x 3 pixels around its centre"
)
assert math.isclose(found[0, 2, 2], 2 / (2 * math.pi), rel_tol=1e-6), (
    "in the centre it should be the number times the Gaussian's peak"
)
assert math.isclose(found[0, 2, 3] / found[0, 2, 2], math.exp(-0.5), rel_tol=1e-6), (
    "one sigma from the centre the Gaussian is exp(-1/2) of its peak"
)

# %% tags=["hidden"] name="q4-loop" points=2


def by_loop(maps, size, field, stride, start, sigma):
    heat = np.zeros((len(maps), *size))
    for i, j, y, x in np.ndindex(*maps.shape[1:], *size):
        down, right = y - (start + stride * i), x - (start + stride * j)
        if abs(down) < field / 2 and abs(right) < field / 2:
            heat[:, y, x] += maps[:, i, j] * math.exp(-(down**2 + right**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    return heat


maps = np.random.default_rng(4).random((2, 4, 4))
for field, stride, start, sigma in ((5, 2, 0.0, 1.0), (8, 2, 0.5, 2.5)):
    found = as_numbers(upsample(maps, (9, 9), field, stride, start, sigma), (2, 9, 9), "`upsample`")
    expected = by_loop(maps, (9, 9), field, stride, start, sigma)
    assert (found[expected == 0] == 0).all(), "some pixels get heat from a number whose field they are not in"
    scale = (found * expected).sum() / (found**2).sum()
    assert math.isclose(scale, 1, rel_tol=1e-5) or not np.allclose(found * scale, expected, rtol=1e-5), (
        "the heatmap has the right form but a wrong scale: the Gaussian has two dimensions, and a width that may differ from 1"
    )
    assert np.allclose(found, expected, rtol=1e-5), "the heatmap differs from Algorithm 1, done number by number: look at the centres and the width"

# %% tags=["hidden"] name="q4-sides" points=2


def by_loop(maps, size, field, stride, start, sigma):
    heat = np.zeros((len(maps), *size))
    for i, j, y, x in np.ndindex(*maps.shape[1:], *size):
        down, right = y - (start + stride * i), x - (start + stride * j)
        if abs(down) < field / 2 and abs(right) < field / 2:
            heat[:, y, x] += maps[:, i, j] * math.exp(-(down**2 + right**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    return heat


maps = np.random.default_rng(5).random((3, 2, 5))
for field, stride, start in ((6, 3, 1.5), (4, 2, -1.5), (8, 2, 2.5)):
    found = as_numbers(upsample(maps, (7, 12), field, stride, start, 1.7), (3, 7, 12), "`upsample`")
    assert np.allclose(found, by_loop(maps, (7, 12), field, stride, start, 1.7), rtol=1e-5), (
        "with sides that differ, or fields that reach over the edge, the heatmap differs from Algorithm 1"
    )

# %% tags=["wrong"] name="q4-scale" caught="q4-loop" hint="a wrong scale"
def upsample(maps, size, field, stride, start, sigma):
    def spread(pixels, centers):
        distance = np.arange(pixels)[:, None] - (start + stride * np.arange(centers))
        return np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) < field / 2)

    heat = spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T
    return heat / (2 * math.pi * sigma)  # the peak of one dimension, nearly


# %% tags=["wrong"] name="q4-no-cut" caught="q4-one" hint="should reach 3 x 3 pixels"
def upsample(maps, size, field, stride, start, sigma):
    def spread(pixels, centers):
        distance = np.arange(pixels)[:, None] - (start + stride * np.arange(centers))
        return np.exp(-0.5 * (distance / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)

    return spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T


# %% tags=["wrong"] name="q4-round-centres" caught="q4-loop" hint="look at the centres and the width"
def upsample(maps, size, field, stride, start, sigma):
    def spread(pixels, centers):
        distance = np.arange(pixels)[:, None] - (start + stride * np.arange(centers))
        inside = np.abs(distance) < field / 2
        distance = np.arange(pixels)[:, None] - (math.ceil(start) + stride * np.arange(centers))
        return np.exp(-0.5 * (distance / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma) * inside

    return spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T


# %% tags=["wrong"] name="q4-keeps-heat" caught="q4-one" hint="the Gaussian's peak"
def upsample(maps, size, field, stride, start, sigma):
    def spread(pixels, centers):
        distance = np.arange(pixels)[:, None] - (start + stride * np.arange(centers))
        gauss = np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) < field / 2)
        return gauss / gauss.sum(0)  # no heat is lost

    return spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T


# %% tags=["wrong"] name="q4-centre-inside" caught="q4-sides" hint="reach over the edge"
def upsample(maps, size, field, stride, start, sigma):
    def spread(pixels, centers):
        middle = np.clip(start + stride * np.arange(centers), 0, pixels - 1)  # no centre outside of the image
        distance = np.arange(pixels)[:, None] - middle
        gauss = np.exp(-0.5 * (distance / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
        return gauss * (np.abs(distance) < field / 2)

    return spread(size[0], maps.shape[1]) @ maps @ spread(size[1], maps.shape[2]).T


# %% [markdown] tags=["text"]
# ## A detector that is too good
#
# Digits were collected to train a detector: the nominal ones, of nine classes, in one office, and the known anomalies, all of one class (yours is printed above), in another. The scanner of the second office leaves a small *mark* on every page, always in the same place, and nobody has looked. The next cell does the collecting, trains a small network with Eq. 2 for a second or two, and keeps its outputs.
#
# - `phi_nominal` and `phi_anomalous`, each `(n, 12, 12)`: the outputs for new digits, collected in the same two ways.
# - `TEST_SETS["A"]`, `["B"]`, `["C"]`: three tests of that detector, each a pair of outputs (for nominal digits, for anomalous digits). They use the same digits, but in one the anomalous digits carry the mark, in one the nominal digits do, and in one none does.
#
# The reading at the end is a game that you can only spoil for yourself: the place of the mark is in the code, in a way.

# %% tags=["setup"]
CHECKERS = np.indices((4, 4)).sum(0) % 2


def scanned(digits, place, random):
    """Digits (n, 8, 8) on noisy pages (n, 24, 24), with the mark in one of 8 places along the edge, or None."""
    pages = np.zeros((len(digits), SIDE, SIDE))
    pages[:, 4:20, 4:20] = digits.repeat(2, 1).repeat(2, 2) / 16
    if place is not None:
        top, left = (10 * k for k in divmod(place + (place >= 4), 3))  # all but the middle
        pages[:, top : top + 4, left : left + 4] += 0.9 * CHECKERS
    return (pages + 0.15 * random.random(pages.shape)).clip(0, 1)


def trained(nominal, anomalous, seed):
    """A small network, trained with Eq. 2 as it is printed; in float64 that will do here."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, 0),
        nn.Conv2d(8, 16, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(16, 1, 1),
    ).double()
    x = torch.from_numpy(np.concatenate([nominal, anomalous])).unsqueeze(1)
    odd = torch.arange(len(x)) >= len(nominal)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for batch in (batch for _ in range(40) for batch in torch.randperm(len(x)).split(30)):
        a = ((net(x[batch]) ** 2 + 1).sqrt() - 1).mean((1, 2, 3))
        loss = a[~odd[batch]].sum() - torch.log(1 - torch.exp(-a[odd[batch]])).sum()
        optimizer.zero_grad()
        (loss / len(batch)).backward()
        optimizer.step()
    return net


def collect(student):
    """(new pages and the network's outputs for them, by name; test sets)."""
    digit, place, order, seed = variant_of(student)
    random = np.random.default_rng(seed)
    x, y = load_digits(return_X_y=True)
    mixed = random.permutation(len(x))
    x, y = x[mixed].reshape(-1, 8, 8), y[mixed]
    nominal, anomalous = x[y != digit][:300], x[y == digit][:150]
    net = trained(scanned(nominal[:200], None, random), scanned(anomalous[:100], place, random), seed)
    fresh = {"nominal": nominal[200:], "anomalous": anomalous[100:]}
    pages = {(kind, mark): scanned(fresh[kind], place if mark else None, random) for kind in fresh for mark in (0, 1)}
    with torch.no_grad():
        phi = {key: net(torch.from_numpy(x).unsqueeze(1)).squeeze(1).numpy() for key, x in pages.items()}
    sets = [(phi["nominal", in_nominal], phi["anomalous", in_odd]) for in_nominal, in_odd in ((0, 1), (1, 0), (0, 0))]
    return pages, phi, {name: sets[k] for name, k in zip("ABC", order, strict=True)}


pages, phi, TEST_SETS = collect(student)
phi_nominal, phi_anomalous = phi["nominal", 0], phi["anomalous", 1]
page_anomalous = pages["anomalous", 1]
del pages, phi

# %% [markdown] tags=["question"] name="q5"
# ## Question 5: where is the heat?
#
# Cut an image into $3 \times 3$ boxes of the same size, as for noughts and crosses. For each heatmap, take the share of its heat that lies in each box; then take the mean of these shares over the heatmaps, so that each image counts the same, however hot it is.
#
# Write `box_shares(heat)` for heatmaps `(n, height, width)`, whose height and width can be divided by 3 and whose heat is nowhere negative and not 0 everywhere. It returns an array `(3, 3)`: rows of boxes from top to bottom, columns from left to right.

# %% tags=["solution"] name="q5"
def box_shares(heat):
    """Mean share of the heat in each of 3 x 3 boxes, (3, 3), for heatmaps (n, height, width)."""
    # BEGIN SOLUTION
    n, height, width = heat.shape
    boxes = heat.reshape(n, 3, height // 3, 3, width // 3).sum((2, 4))
    return (boxes / boxes.sum((1, 2), keepdims=True)).mean(0)
    # END SOLUTION


# %% tags=["test"] name="q5-one" points=1
heat = np.zeros((1, 6, 9))
heat[0, 0, 8], heat[0, 5, 0] = 3, 1  # hot in the corners at the upper right and the lower left
found = as_numbers(box_shares(heat), (3, 3), "`box_shares`")
assert np.allclose(found, [[0, 0, 0.75], [0, 0, 0], [0.25, 0, 0]]), (
    "three quarters of this heat are at the upper right, one at the lower left"
)

# %% tags=["hidden"] name="q5-many" points=2
random = np.random.default_rng(6)
heat = random.random((4, 12, 6)) * np.array([1, 10, 100, 1000]).reshape(4, 1, 1)
heat[3, :4, 2:4] *= 20
found = as_numbers(box_shares(heat), (3, 3), "`box_shares`")
assert math.isclose(found.sum(), 1, rel_tol=1e-6), "all the shares together should be 1"
expected = np.zeros((3, 3))
for image in heat:
    for row, col in np.ndindex(3, 3):
        expected[row, col] += image[4 * row : 4 * row + 4, 2 * col : 2 * col + 2].sum() / image.sum() / 4
assert np.allclose(found, expected, rtol=1e-5), "each image should count the same: first the shares of each, then their mean"

# %% tags=["wrong"] name="q5-mean-first" caught="q5-many" hint="each image should count the same"
def box_shares(heat):
    _, height, width = heat.shape
    boxes = heat.mean(0).reshape(3, height // 3, 3, width // 3).sum((1, 3))
    return boxes / boxes.sum()


# %% tags=["wrong"] name="q5-transposed" caught="q5-one" hint="at the upper right"
def box_shares(heat):
    n, height, width = heat.shape
    boxes = heat.reshape(n, 3, height // 3, 3, width // 3).sum((2, 4))
    return (boxes / boxes.sum((1, 2), keepdims=True)).mean(0).T


# %% tags=["wrong"] name="q5-heat" caught="q5-one" hint="three quarters"
def box_shares(heat):
    n, height, width = heat.shape
    return heat.reshape(n, 3, height // 3, 3, width // 3).mean((0, 2, 4))


# %% tags=["show"]
for name, outputs in (("nominal digits", phi_nominal), ("known anomalies", phi_anomalous)):
    heatmaps = upsample(pseudo_huber(outputs), (SIDE, SIDE), *receptive_field(LAYERS), SIGMA)
    print(f"{name}, share of the heat in each box, in percent")
    print((100 * np.asarray(box_shares(heatmaps))).round().astype(int), "\n")

figure, axes = plt.subplots(1, 5, figsize=(10, 2.3), layout="constrained")
mean = np.asarray(heatmaps).mean(0)
for axis, picture in zip(axes, [*np.asarray(heatmaps)[:4], mean], strict=True):
    axis.imshow(picture, cmap="inferno")
    axis.set(xticks=[7.5, 15.5], yticks=[7.5, 15.5], xticklabels=[], yticklabels=[])
    axis.grid(color="white", linewidth=0.5)
axes[0].set_title("heatmaps of anomalies")
axes[4].set_title("mean of all")
plt.show()

for name, outputs in TEST_SETS.items():
    found = np.concatenate([np.asarray(scores(x)) for x in outputs])
    print(f"test set {name}: AUROC {roc_auc_score(np.repeat([0, 1], [len(x) for x in outputs]), found):.2f}")

# %% [markdown] tags=["question"] name="q6"
# ## Question 6: reading it
#
# Read the output above and assign two values.
#
# - `mark_box = (row, column)`: the box in which the scanner leaves its mark. Rows count 0, 1, 2 from top to bottom, columns from left to right.
# - `marked = {"A": ..., "B": ..., "C": ...}`: for each test set, which of its digits carry the mark, `"anomalous"`, `"nominal"` or `"none"`. The AUROC is the chance that an anomalous digit has a higher score than a nominal one.
#
# The cells with figures do not run in grading: give the values in the cell below, typed or computed there.

# %% tags=["solution"] name="q6"
mark_box = (
    # BEGIN SOLUTION
    divmod(
        np.argmax(box_shares(upsample(pseudo_huber(phi_anomalous), (SIDE, SIDE), *receptive_field(LAYERS), SIGMA))), 3
    )
    # END SOLUTION
)
marked = (
    # BEGIN SOLUTION
    dict(
        zip(
            sorted(TEST_SETS, key=lambda name: np.mean(np.less.outer(*(scores(phi) for phi in TEST_SETS[name])))),
            ["nominal", "none", "anomalous"],  # from the lowest AUROC to the highest
            strict=True,
        )
    )
    # END SOLUTION
)

# %% tags=["test"] name="q6-form" points=1
as_numbers(mark_box, (2,), "`mark_box`, (row, column),")
assert all(k in (0, 1, 2) for k in mark_box), "rows and columns of boxes are numbered 0, 1, 2"
assert isinstance(marked, dict) and sorted(marked) == ["A", "B", "C"], "`marked` should have an entry for A, B and C"
assert sorted(map(str, marked.values())) == ["anomalous", "nominal", "none"], (
    "each of anomalous, nominal and none belongs to one test set"
)

# %% tags=["hidden"] name="q6-box" points=2
as_numbers(mark_box, (2,), "`mark_box`, (row, column),")
_, place, _, _ = variant_of(student)
boxes = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]
assert tuple(int(k) for k in mark_box) == boxes[place], "the mark is in another box: where does most of the known anomalies' heat lie?"

# %% tags=["hidden"] name="q6-sets" points=2
assert isinstance(marked, dict) and sorted(marked) == ["A", "B", "C"], "`marked` should have an entry for A, B and C"
_, _, order, _ = variant_of(student)
expected = {name: ("anomalous", "nominal", "none")[k] for name, k in zip("ABC", order, strict=True)}
assert marked == expected, "a detector of marks gives high scores to what carries one: which AUROC does that make in each of the three tests?"

# %% tags=["wrong"] name="q6-digit" caught="q6-box" hint="in another box"
mark_box = (1, 1)  # where the digit is
marked = {"A": "anomalous", "B": "nominal", "C": "none"}

# %% tags=["wrong"] name="q6-pixels" caught="q6-form" hint="numbered 0, 1, 2"
mark_box = (20, 20)
marked = {"A": "anomalous", "B": "nominal", "C": "none"}

# %% tags=["wrong"] name="q6-no-mark-last" caught="q6-sets" hint="gives high scores to what carries one"
shares = box_shares(upsample(pseudo_huber(phi_anomalous), (SIDE, SIDE), *receptive_field(LAYERS), SIGMA))
mark_box = divmod(int(shares.argmax()), 3)
found = {name: np.mean(scores(odd)[:, None] > scores(nominal)) for name, (nominal, odd) in TEST_SETS.items()}
marked = dict(zip(sorted(found, key=found.get), ["none", "nominal", "anomalous"], strict=True))  # no mark, no chance

# %% [markdown] tags=["text"]
# When you have answered, look at the pages themselves:

# %% tags=["show"]
figure, axes = plt.subplots(1, 5, figsize=(10, 2.2), layout="constrained")
for axis, page in zip(axes, page_anomalous[:5], strict=True):
    axis.imshow(page, cmap="gray")
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown] tags=["manual"] name="q7" points=4
# ## Question 7: Clever Hans
#
# The detector was tested on digits that had been collected like those of the training, found to be excellent, and put to use. In about ten sentences: what has it learned, and which two of your results show that? Why did that test give no alarm? Propose one way to train a detector that does not rest on the mark, say why it helps, and say how you would check that it has helped and what it costs or leaves open.

# %% [markdown] tags=["rubric"] name="q7"
# One point for each idea, half a point where it is named but not argued.
#
# 1. *What it has learned.* It finds the mark, not the digit. Two results: most heat of the known anomalies lies in the box of the mark, although the digit is elsewhere; and the AUROC falls far below one half when the nominal digits carry the mark, and to about one half or less when no digit does.
# 2. *Why there was no alarm.* The test digits came from the same two offices, so the mark told the classes apart there as well. A test set that is like the training set cannot show what both have in common by accident; it takes test images made on purpose, or a look at the heatmaps.
# 3. *A cure with a reason.* For instance the mark on as many nominal images as anomalous ones, so that it says nothing about the label; or its place made black in all images, in training and in use; or all digits collected in one office; or images cropped at random so widely that the mark is lost. Trained with pixel-wise masks (Eq. 3), heat outside of the digit is punished.
# 4. *A check, and what stays open.* The AUROC with the mark on anomalous, nominal and no digits should be about the same, and the heat should move onto the digits. Each cure needs the mark to be known; masking loses what else is in that place; the detector may now find another accident; the digits themselves may be hard to tell apart, so the honest AUROC is lower.
#
# Common misunderstandings. "The detector is overfitted": it does well on new images, as long as they have the mark. "The network is too small": a larger one would use the mark too. "Remove the mark from the test images": that is a test, not a cure. "An AUROC of 0 is worse than chance, so turn the scores around": what turned is the mark, not the detector.
