# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # A test set that normalizes itself
#
# Novelty normalization (Wu et al. 2021) adds two parts to an autoencoder: a novelty score read off the code, and min-max scaling of the scores inside the loss. Its Table 4 credits the scaling alone with one point of AUROC on MNIST and six on CIFAR-10. Where can they come from? Here you take the scaling apart: what it can do to an AUROC at test time, what it must not be used for, what it does to the gradient in training, and what the rest of the loss weighs. The paper has no public code, so some of this nobody can look up: it has to be worked out.
#
# You need NumPy and 60 to 90 minutes, and should have read chapter 3 of the book. The data are the small digits of scikit-learn, which need no download. Replace each `...` by your own code, and run the cells in order: a figure needs the answers above it, and stops with an error before. The checks that you see are a part of those that grade your work. Each answer is called again on other values than here.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number, as your instructor gave it to you

# %% tags=["setup"]
import sys

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_digits

from adlib.companion.assignments import as_numbers, variant

sys.modules["adlib.ns"] = None  # you write it yourself here; the package's own is closed

draw = variant("02-ns", student)
digit = int(draw.integers(10))  # your normal class
per_batch = int(draw.integers(5, 9))  # scores in a batch, for question 3
batch_size = int(draw.integers(10, 15))  # images in the batch of question 6

pixels, labels = load_digits(return_X_y=True)
pixels = pixels / 16
own = draw.permutation(pixels[labels == digit])
train, test = own[:100], own[100:]  # images of your digit, (n, 64) in [0, 1]
others = pixels[labels != digit][::5]  # the anomalies

# The autoencoder here is the linear one, principal components: code z and reconstruction in closed form.
mean = train.mean(0)
_, scale, axes_of_code = np.linalg.svd(train - mean, full_matrices=False)
axes_of_code, scale = axes_of_code[:8], scale[:8] / 10


def parts(x):
    """(mean squared error of the pixels, novelty score in [0, 1] read off the code) of images (n, 64), (n,) each."""
    z = (x - mean) @ axes_of_code.T
    error = np.mean((x - mean - z @ axes_of_code) ** 2, axis=1)
    return error, expit(np.mean((z / scale) ** 2, axis=1) - 3)

f"Your digit is {digit}, your batches have {per_batch} scores in question 3 and {batch_size} in question 6."

# %% [markdown] tags=["question"] name="q1"
# ## Question 1: the AUROC, ties included
#
# The area under the ROC curve is the chance that an anomaly, drawn at random, scores higher than a normal image drawn at random; a tie counts as one half. With scores $a_1, \dots, a_m$ of the anomalies and $s_1, \dots, s_n$ of the normal images,
#
# $$\mathrm{AUROC} = \frac{1}{nm} \sum_{i=1}^n \sum_{j=1}^m \Big( [a_j > s_i] + \tfrac12 [a_j = s_i] \Big) .$$
#
# **Write** `auroc(normal, anomalous)` from this definition: two arrays of scores, (n,) and (m,), larger is more anomalous. Return one number in [0, 1].

# %% tags=["solution"] name="q1"
def auroc(normal, anomalous):
    """Chance that an anomaly scores above a normal image, ties counted half."""
    # BEGIN SOLUTION
    normal, anomalous = np.asarray(normal)[:, None], np.asarray(anomalous)[None]
    return np.mean((anomalous > normal) + 0.5 * (anomalous == normal))
    # END SOLUTION

# %% tags=["test"] name="q1-five-scores" points=1
value = as_numbers(auroc(np.array([0.1, 0.4]), np.array([0.3, 0.5, 0.7])), (), "`auroc`")
assert not np.isclose(value, 1 / 6), "larger scores are more anomalous: the value is upside down"
assert np.isclose(value, 5 / 6), "of the six pairs of an anomaly and a normal image, five are in the right order"

# %% tags=["hidden"] name="q1-ties" points=2
random = np.random.default_rng(1)
normal, anomalous = random.integers(-3, 3, 40).astype(float), random.integers(-2, 4, 25).astype(float)
value = as_numbers(auroc(normal, anomalous), (), "`auroc`")
expected = sum((a > s) + (a == s) / 2 for a in anomalous for s in normal) / 1000
assert np.isclose(value, expected), "with many ties among some of the scores, each tie should count half of a pair"
value = as_numbers(auroc(np.full(3, 2.0), np.full(4, 2.0)), (), "`auroc`")
assert np.isclose(value, 0.5), "where all scores are equal, every pair is a tie, and ties count half"

# %% tags=["hidden"] name="q1-many-scores" points=1
random = np.random.default_rng(2)
normal, anomalous = random.normal(size=31), random.normal(0.5, 2, 120)
value = as_numbers(auroc(normal, anomalous), (), "`auroc`")
expected = sum(float((anomalous > s).sum()) for s in normal) / (31 * 120)
assert np.isclose(value, expected), "the AUROC is a share of all pairs, whatever the two numbers of images are"

# %% tags=["wrong"] name="q1-upside-down" caught="q1-five-scores" hint="upside down"
def auroc(normal, anomalous):
    return np.mean((normal[:, None] > anomalous) + 0.5 * (normal[:, None] == anomalous))

# %% tags=["wrong"] name="q1-no-ties" caught="q1-ties" hint="each tie should count half"
def auroc(normal, anomalous):
    return np.mean(anomalous > normal[:, None])

# %% tags=["wrong"] name="q1-full-ties" caught="q1-ties" hint="each tie should count half"
def auroc(normal, anomalous):
    return np.mean(anomalous >= normal[:, None])

# %% tags=["wrong"] name="q1-ranks-without-ties" caught="q1-ties" hint="each tie should count half"
def auroc(normal, anomalous):
    ranks = np.concatenate([normal, anomalous]).argsort(kind="stable").argsort(kind="stable")[len(normal) :]
    return (ranks.sum() - len(anomalous) * (len(anomalous) - 1) / 2) / (len(normal) * len(anomalous))

# %% [markdown] tags=["question"] name="q2"
# ## Question 2: normalization at test time
#
# In training, the scores of a batch are scaled by its own smallest and largest score (Eq. 6),
#
# $$\mathrm{Reg}(S_i) = \frac{S_i - S_{\min}}{S_{\max} - S_{\min}} .$$
#
# Below Eq. 7 the paper says what happens in testing: "We keep each $S_{\max}$ and $S_{\min}$ and take average to obtain $\bar S_{\max}$ and $\bar S_{\min}$", one of each for every training batch. All test images are then put through Eq. 6 with these two constants. Note what this does *not* promise: a test score may be smaller than $\bar S_{\min}$ or larger than $\bar S_{\max}$, and then the result lies outside [0, 1], as Eq. 6 says.
#
# **Write** `learned_range(batches)`: a list of arrays, the scores of each training batch, not all of the same length. Return the pair $(\bar S_{\min}, \bar S_{\max})$, smallest first.
#
# **Write** `normalized(s, low, high)`: an array (n,) and two numbers, low < high. Return Eq. 6 with these constants, (n,).

# %% tags=["solution"] name="q2"
def learned_range(batches):
    """(mean of the batches' minima, mean of their maxima)."""
    # BEGIN SOLUTION
    return np.mean([s.min() for s in batches]), np.mean([s.max() for s in batches])
    # END SOLUTION


def normalized(s, low, high):
    """Eq. 6 with given constants, (n,)."""
    # BEGIN SOLUTION
    return (s - low) / (high - low)
    # END SOLUTION

# %% tags=["test"] name="q2-two-batches" points=1
low, high = as_numbers(learned_range([np.array([1.0, 2.0, 4.0]), np.array([3.0, 6.0, 5.0])]), (2,), "`learned_range`")
assert not (np.isclose(low, 5) and np.isclose(high, 2)), "the pair begins with the mean of the minima: smallest first"
assert np.isclose(low, 2) and np.isclose(high, 5), "the minima are 1 and 3, the maxima 4 and 6: take the mean of each"
s = as_numbers(normalized(np.array([2.0, 3.5, 5.0]), 2.0, 5.0), (3,), "`normalized` of three scores")
assert np.allclose(s, [0, 0.5, 1]), "`low` should become 0, `high` 1, and the middle 1/2"

# %% tags=["hidden"] name="q2-range" points=1
random = np.random.default_rng(3)
batches = [random.normal(size=n) for n in (5, 2, 9, 4)]
low, high = as_numbers(learned_range(batches), (2,), "`learned_range`")
assert np.isclose(low, sum(min(s) for s in batches) / 4), "every batch has one minimum, and each counts as much, long or short"
assert np.isclose(high, sum(max(s) for s in batches) / 4), "every batch has one maximum, and each counts as much, long or short"

# %% tags=["hidden"] name="q2-same-auroc" points=2
random = np.random.default_rng(4)
normal, anomalous = random.normal(0, 1, 60), random.normal(1, 2, 50)
new = [as_numbers(normalized(s, -0.5, 0.75), s.shape, "`normalized`") for s in (normal, anomalous)]
before, after = (sum(float((s < a).sum()) for a in many) / 3000 for s, many in ((normal, anomalous), new))
assert np.isclose(before, after), (
    "normalization at test time should not change the AUROC: scores outside the learned range must stay apart as well"
)
assert np.allclose(new[0], [(s + 0.5) / 1.25 for s in normal]), "`normalized` should use the `low` and `high` it is given"

# %% tags=["wrong"] name="q2-extremes-of-all" caught="q2-two-batches" hint="take the mean of each"
def learned_range(batches):
    return np.concatenate(batches).min(), np.concatenate(batches).max()


def normalized(s, low, high):
    return (s - low) / (high - low)

# %% tags=["wrong"] name="q2-swapped" caught="q2-two-batches" hint="smallest first"
def learned_range(batches):
    return np.mean([s.max() for s in batches]), np.mean([s.min() for s in batches])


def normalized(s, low, high):
    return (s - low) / (high - low)

# %% tags=["wrong"] name="q2-weighted-by-length" caught="q2-range" hint="each counts as much"
def learned_range(batches):
    n = [len(s) for s in batches]
    return np.average([s.min() for s in batches], weights=n), np.average([s.max() for s in batches], weights=n)


def normalized(s, low, high):
    return (s - low) / (high - low)

# %% tags=["wrong"] name="q2-clips" caught="q2-same-auroc" hint="must stay apart"
def learned_range(batches):
    return np.mean([s.min() for s in batches]), np.mean([s.max() for s in batches])


def normalized(s, low, high):
    return np.clip((s - low) / (high - low), 0, 1)

# %% tags=["wrong"] name="q2-own-extremes" caught="q2-same-auroc" hint="should not change the AUROC"
def learned_range(batches):
    return np.mean([s.min() for s in batches]), np.mean([s.max() for s in batches])


def normalized(s, low, high):
    return (s - s.min()) / (s.max() - s.min())

# %% [markdown] tags=["question"] name="q3"
# ## Question 3: a test set that normalizes itself
#
# Somebody finds averages cumbersome, and scales each *test* batch by its own minimum and maximum instead, as in training. Then the score of an image depends on the images that happen to lie beside it.
#
# **Write** `normalized_by_batch(s, size)`: `s` (n,) is cut into batches of `size` scores in the order given (the last one may be shorter), and each is put through Eq. 6 with its own minimum and maximum. A batch of equal scores, or of one, becomes 0. Return (n,).
#
# **Find** an example in which this ruins a perfect detector: two lists `normal_batch` and `anomalous_batch` of `per_batch` numbers each, all normal scores below all anomalous ones, so that the AUROC is 1. Scaled as two batches, one with the normal scores and one with the anomalous ones, they should have an AUROC of 0.4 or less.

# %% tags=["solution"] name="q3"
def normalized_by_batch(s, size):
    """Eq. 6 batch by batch, each with its own minimum and maximum, (n,)."""
    # BEGIN SOLUTION
    out = np.zeros(len(s))
    for start in range(0, len(s), size):
        batch = s[start : start + size]
        if batch.max() > batch.min():
            out[start : start + size] = (batch - batch.min()) / (batch.max() - batch.min())
    return out
    # END SOLUTION


normal_batch = (
    # BEGIN SOLUTION
    [0.0] + [0.5] * (per_batch - 1)
    # END SOLUTION
)
anomalous_batch = (
    # BEGIN SOLUTION
    [0.6] * (per_batch - 1) + [1.0]
    # END SOLUTION
)

# %% tags=["test"] name="q3-two-batches" points=1
s = as_numbers(normalized_by_batch(np.array([1.0, 2.0, 3.0, 10.0, 30.0, 20.0]), 3), (6,), "`normalized_by_batch`")
assert np.allclose(s, [0, 0.5, 1, 0, 1, 0.5]), "each three scores are a batch, with a minimum and a maximum of its own"

# %% tags=["hidden"] name="q3-last-batch" points=1
s = as_numbers(normalized_by_batch(np.array([4.0, 2.0, 3.0, 2.5, 9.0, 7.0, 8.0]), 4), (7,), "`normalized_by_batch`")
assert np.allclose(s, [1, 0, 0.5, 0.25, 1, 0, 0.5]), "the last batch may be shorter, and is scaled like the others"

# %% tags=["hidden"] name="q3-no-range" points=1
s = as_numbers(normalized_by_batch(np.array([5.0, 5.0, 5.0, 1.0, 2.0, 3.0, 7.0]), 3), (7,), "`normalized_by_batch`")
assert np.isfinite(s).all(), "a batch without a range should become 0, not 0/0"
assert np.allclose(s, [0, 0, 0, 0, 0.5, 1, 0]), "a batch of equal scores or of one becomes 0, others are as before"

# %% tags=["hidden"] name="q3-example" points=2
normal = as_numbers(normal_batch, (per_batch,), "`normal_batch`").astype(float)
anomalous = as_numbers(anomalous_batch, (per_batch,), "`anomalous_batch`").astype(float)
assert normal.max() < anomalous.min(), "before the scaling, every normal score should be below every anomalous one"
new = [(s - s.min()) / ((s.max() - s.min()) or 1) for s in (normal, anomalous)]
after = sum((a > s) + (a == s) / 2 for a in new[1] for s in new[0]) / per_batch**2
assert after <= 0.4 + 1e-9, (
    "scaled by themselves, your two batches should have an AUROC of 0.4 or less: "
    "what can a single score do to a whole batch?"
)

# %% tags=["wrong"] name="q3-all-at-once" caught="q3-two-batches" hint="of its own"
def normalized_by_batch(s, size):
    return (s - s.min()) / (s.max() - s.min())


normal_batch = list(range(per_batch))
anomalous_batch = [10 + i for i in normal_batch]

# %% tags=["wrong"] name="q3-full-batches-only" caught="q3-last-batch" hint="may be shorter"
def normalized_by_batch(s, size):
    whole = len(s) // size * size
    b = s[:whole].reshape(-1, size)
    low, width = b.min(1, keepdims=True), np.ptp(b, 1)[:, None]
    return np.concatenate([((b - low) / np.where(width > 0, width, 1)).ravel(), np.zeros(len(s) - whole)])


normal_batch = [0.0] + [0.5] * (per_batch - 1)
anomalous_batch = [0.6] * (per_batch - 1) + [1.0]

# %% tags=["wrong"] name="q3-divides-by-zero" caught="q3-no-range" hint="not 0/0"
def normalized_by_batch(s, size):
    cut = [s[i : i + size] for i in range(0, len(s), size)]
    with np.errstate(invalid="ignore"):
        return np.concatenate([(b - b.min()) / (b.max() - b.min()) for b in cut])


normal_batch = [0.0] + [0.5] * (per_batch - 1)
anomalous_batch = [0.6] * (per_batch - 1) + [1.0]

# %% tags=["wrong"] name="q3-same-shape" caught="q3-example" hint="what can a single score do"
def normalized_by_batch(s, size):
    cut = [s[i : i + size] for i in range(0, len(s), size)]
    return np.concatenate([(b - b.min()) / ((b.max() - b.min()) or 1) for b in cut])


normal_batch = list(range(per_batch))
anomalous_batch = [10 + i for i in normal_batch]

# %% [markdown] tags=["text"]
# On your digit, with the reconstruction error as the score, the learned range changes nothing. Clipping, which some code does to keep the promise of [0, 1], makes ties. And with batches of the test set, the AUROC depends on how it is sorted.

# %% tags=["show"]
normal, anomalous = parts(test)[0], parts(others)[0]
low, high = learned_range(np.array_split(parts(train)[0], 5))
print(f"as it is                   {auroc(normal, anomalous):.4f}")
print(f"learned range              {auroc(normalized(normal, low, high), normalized(anomalous, low, high)):.4f}")
clipped = [np.clip(normalized(s, low, high), 0, 1) for s in (normal, anomalous)]
print(f"learned range, clipped     {auroc(*clipped):.4f}")
both, is_normal = np.concatenate([normal, anomalous]), np.arange(len(normal) + len(anomalous)) < len(normal)
for what, order in (("sorted by class", np.arange(len(both))), ("shuffled", draw.permutation(len(both)))):
    s = normalized_by_batch(both[order], 16)
    print(f"by batch, {what:16} {auroc(s[is_normal[order]], s[~is_normal[order]]):.4f}")

# %% [markdown] tags=["question"] name="q4"
# ## Question 4: the gradient: through minimum and maximum, or not
#
# So whatever the scaling does, it does in training. The loss of a batch is the mean of Eq. 6,
#
# $$L = \frac1n \sum_{i=1}^n \frac{S_i - S_{\min}}{S_{\max} - S_{\min}} .$$
#
# The paper does not say whether $S_{\min}$ and $S_{\max}$ are constants for the gradient (in PyTorch, `.detach()`), or whether it runs *through* them, as it does if one simply writes the formula down. Then the two images that are the minimum and the maximum enter three times each. The two readings give the same loss and very different trainings.
#
# **Write** `reg_gradient(s, detached)`: `s` (n,) are the scores of a batch, n ≥ 2, with one smallest and one largest score (no ties there). Return the derivatives $\partial L / \partial S_i$, (n,): with `detached=True` those with $S_{\min}$ and $S_{\max}$ held constant, with `detached=False` those of the whole formula. Work it out on paper first: differentiate the fraction by $S_i$, by $S_{\min}$ and by $S_{\max}$.

# %% tags=["solution"] name="q4"
def reg_gradient(s, detached):
    """Derivatives of the mean of Eq. 6 by each score, (n,)."""
    # BEGIN SOLUTION
    width = s.max() - s.min()
    gradient = np.full(len(s), 1 / (len(s) * width))
    if not detached:
        loss = (s.mean() - s.min()) / width
        gradient[s.argmin()] -= (1 - loss) / width
        gradient[s.argmax()] -= loss / width
    return gradient
    # END SOLUTION

# %% tags=["test"] name="q4-three-scores" points=1
s = np.array([2.0, 1.0, 3.0])
gradient = as_numbers(reg_gradient(s, True), (3,), "`reg_gradient` of three scores, detached")
assert np.allclose(gradient, [1 / 6] * 3), (
    "detached, L is (S_0 + S_1 + S_2 - 3) / 6, since low is 1 and high - low is 2"
)
gradient = as_numbers(reg_gradient(s, False), (3,), "`reg_gradient` of three scores, not detached")
assert np.allclose(gradient, [1 / 6, -1 / 12, -1 / 12]), (
    "not detached, L is (1 + (S_0 - S_1) / (S_2 - S_1)) / 3 near these scores: differentiate that"
)

# %% tags=["hidden"] name="q4-through" points=2
def loss(s):
    return sum((x - min(s)) / (max(s) - min(s)) for x in s) / len(s)


random = np.random.default_rng(5)
for n in (4, 9):
    s = random.gamma(1.0, 1.0, n)
    gradient = as_numbers(reg_gradient(s, False), (n,), f"`reg_gradient` of {n} scores, not detached")
    step = 1e-6 * np.eye(n)
    expected = [(loss(s + step[i]) - loss(s - step[i])) / 2e-6 for i in range(n)]
    assert np.allclose(gradient, expected, atol=1e-5), (
        "not detached, the gradient should agree with what L does when one score moves a little: "
        "the minimum and the maximum get different terms, which depend on where the mean lies between them"
    )

# %% tags=["hidden"] name="q4-detached" points=1
random = np.random.default_rng(6)
for n in (2, 7):
    s = random.normal(0, 3, n)
    gradient = as_numbers(reg_gradient(s, True), (n,), f"`reg_gradient` of {n} scores, detached")
    assert np.allclose(gradient * (max(s) - min(s)) * n, 1), (
        "detached, every image is pushed alike: the gradient of the plain mean, over the range of the batch"
    )

# %% tags=["hidden"] name="q4-invariance" points=1
random = np.random.default_rng(7)
s = random.normal(size=6)
one = as_numbers(reg_gradient(s, False), (6,), "`reg_gradient` of six scores, not detached")
two = as_numbers(reg_gradient(4 * s + 10, False), (6,), "`reg_gradient` of six scores, not detached")
assert np.isclose(one.sum(), 0, atol=1e-5) and np.isclose(one @ s, 0, atol=1e-5), (
    "a constant added to all scores, or a factor on all, leaves L as it is, and so must a step along the gradient of it"
)
assert np.allclose(two, one / 4), "scores four times as far apart should have a quarter of the gradient"
pair = as_numbers(reg_gradient(np.array([0.3, 0.9]), False), (2,), "`reg_gradient` of two scores, not detached")
assert np.allclose(pair, 0, atol=1e-5), "for a batch of two the loss is a constant, whatever the scores"

# %% tags=["wrong"] name="q4-of-the-sum" caught="q4-three-scores" hint="detached, L is"
def reg_gradient(s, detached):
    width = np.ptp(s)
    gradient = np.full(len(s), 1 / width)
    if not detached:
        m = ((s - s.min()) / width).sum()
        gradient[s.argmin()] -= (len(s) - m) / width
        gradient[s.argmax()] -= m / width
    return gradient

# %% tags=["wrong"] name="q4-both-detached" caught="q4-three-scores" hint="not detached"
def reg_gradient(s, detached):
    return np.full(len(s), 1 / (len(s) * np.ptp(s)))

# %% tags=["wrong"] name="q4-equal-ends" caught="q4-through" hint="different terms"
def reg_gradient(s, detached):
    gradient = np.full(len(s), 1 / (len(s) * np.ptp(s)))
    if not detached:
        gradient[[s.argmin(), s.argmax()]] -= 0.5 / np.ptp(s)
    return gradient

# %% tags=["wrong"] name="q4-ends-swapped" caught="q4-through" hint="where the mean lies"
def reg_gradient(s, detached):
    width = np.ptp(s)
    gradient = np.full(len(s), 1 / (len(s) * width))
    if not detached:
        loss = (s.mean() - s.min()) / width
        gradient[s.argmax()] -= (1 - loss) / width
        gradient[s.argmin()] -= loss / width
    return gradient

# %% [markdown] tags=["text"]
# PyTorch agrees, if your formula is right. This is all that `detach` is about.

# %% tags=["show"]
import torch

s = torch.tensor([0.2, 0.9, 0.3, 0.35], dtype=torch.float64, requires_grad=True)
for detached in (True, False):
    low, high = (end.detach() if detached else end for end in (s.min(), s.max()))
    (gradient,) = torch.autograd.grad(((s - low) / (high - low)).mean(), s)
    print(detached, gradient.numpy().round(4), np.round(reg_gradient(s.detach().numpy(), detached), 4))

# %% [markdown] tags=["question"] name="q5"
# ## Question 5: the whole loss, Eq. 4
#
# A score has two parts, the reconstruction error $\mathcal L_r$ and the novelty score $\mathcal L_{ns}$, and the loss a third, the number of weights of the scoring network that are not zero,
#
# $$\mathcal L_{total} = (1 - \lambda_1)\, \mathcal L_r + \lambda_1\, \mathcal L_{ns} - \lambda_2\, \|W\|_0 .$$
#
# Mind its sign: weights that are not zero are *rewarded*, because the paper fears that all become zero. Below Eq. 3 it says to count "the total number of non-zero entries" and in the next sentence "the number of parameters that are less than $10^{-10}$", which are the others. Take the first as meant: an entry counts if its *size* is at least $10^{-10}$.
#
# **Write** `l0_count(weights)`: a list of arrays of any shapes, the weights of each layer. Return one number, how many entries count in all layers together.
#
# **Write** `total_loss(error, novelty, weights, lam1, lam2)`: `error` and `novelty` (n,) are the two parts for each image. Return Eq. 4 for each image, (n,).

# %% tags=["solution"] name="q5"
def l0_count(weights):
    """How many entries are at least 1e-10 in size, over all layers."""
    # BEGIN SOLUTION
    return sum(int((np.abs(w) >= 1e-10).sum()) for w in weights)
    # END SOLUTION


def total_loss(error, novelty, weights, lam1, lam2):
    """Eq. 4 for each image, (n,)."""
    # BEGIN SOLUTION
    return (1 - lam1) * error + lam1 * novelty - lam2 * l0_count(weights)
    # END SOLUTION

# %% tags=["test"] name="q5-by-hand" points=1
weights = [np.array([[0.0, 0.5, 0.3], [0.0, 0.2, 1.0]])]
assert as_numbers(l0_count(weights), (), "`l0_count`") == 4, "four of the six entries are not zero, and these count"
loss = as_numbers(total_loss(np.array([1.0, 2.0]), np.array([0.5, 0.0]), weights, 0.25, 0.125), (2,), "`total_loss`")
assert not np.allclose(loss, [1.375, 2.0]), "weights that are not zero should lower the loss: see the sign in Eq. 4"
assert np.allclose(loss, [0.375, 1.0]), "for image 0, it is 0.75 * 1 + 0.25 * 0.5 - 0.125 * 4"

# %% tags=["hidden"] name="q5-count" points=1
weights = [np.array([[-0.7, 1e-12], [-1e-13, 2e-10]]), np.zeros(3), np.full((2, 1, 2), -3.0)]
assert as_numbers(l0_count(weights), (), "`l0_count`") == 6, (
    "entries count by their size in all layers: negative weights do, and those nearer to zero than 1e-10 do not"
)

# %% tags=["hidden"] name="q5-loss" points=1
random = np.random.default_rng(8)
error, novelty, weights = random.random(5), random.random(5), [random.normal(size=(4, 3)), random.normal(size=3)]
loss = as_numbers(total_loss(error, novelty, weights, 0.2, 1e-3), (5,), "`total_loss` of five images")
expected = [0.8 * e + 0.2 * n - 0.015 for e, n in zip(error, novelty, strict=True)]
assert np.allclose(loss, expected), (
    "lam1 is the share of the novelty score, the rest is that of the error, and each image's loss has the term of the weights"
)

# %% tags=["hidden"] name="q5-no-slope" points=1
random = np.random.default_rng(9)
error, novelty, weights = random.random(5), random.random(5), [random.normal(size=(4, 3)), random.normal(size=3)]
moved = [w + 1e-6 for w in weights]
loss, other = (as_numbers(total_loss(error, novelty, w, 0.5, 0.1), (5,), "`total_loss`") for w in (weights, moved))
assert np.allclose(loss, other, atol=1e-12), "a weight that moves a little should leave the count, and the loss, as they are"
zero = as_numbers(total_loss(error, novelty, [np.zeros(3)], 0.5, 0.1), (5,), "`total_loss`")
assert np.allclose(zero, (error + novelty) / 2), "weights of zero should not count"

# %% tags=["wrong"] name="q5-penalty" caught="q5-by-hand" hint="the sign in Eq. 4"
def l0_count(weights):
    return sum((abs(w) >= 1e-10).sum() for w in weights)


def total_loss(error, novelty, weights, lam1, lam2):
    return (1 - lam1) * error + lam1 * novelty + lam2 * l0_count(weights)

# %% tags=["wrong"] name="q5-as-printed" caught="q5-by-hand" hint="four of the six"
def l0_count(weights):
    return sum((w < 1e-10).sum() for w in weights)


def total_loss(error, novelty, weights, lam1, lam2):
    return (1 - lam1) * error + lam1 * novelty - lam2 * l0_count(weights)

# %% tags=["wrong"] name="q5-without-size" caught="q5-count" hint="negative weights do"
def l0_count(weights):
    return sum((w >= 1e-10).sum() for w in weights)


def total_loss(error, novelty, weights, lam1, lam2):
    return (1 - lam1) * error + lam1 * novelty - lam2 * l0_count(weights)

# %% tags=["wrong"] name="q5-exact-zero" caught="q5-count" hint="nearer to zero than 1e-10"
def l0_count(weights):
    return sum(np.count_nonzero(w) for w in weights)


def total_loss(error, novelty, weights, lam1, lam2):
    return (1 - lam1) * error + lam1 * novelty - lam2 * l0_count(weights)

# %% tags=["wrong"] name="q5-l1" caught="q5-by-hand" hint="for image 0"
def l0_count(weights):
    return sum((abs(w) >= 1e-10).sum() for w in weights)


def total_loss(error, novelty, weights, lam1, lam2):
    size = sum(abs(w).sum() for w in weights)
    return (1 - lam1) * error + lam1 * novelty - lam2 * size

# %% [markdown] tags=["text"]
# Two figures on your digit. The first is your gradient on a batch of training images, through minimum and maximum: one stem for each image. Training moves each score *against* its derivative.

# %% tags=["show"]
error, novelty = parts(train[:batch_size])
gradient = reg_gradient(0.5 * error + 0.5 * novelty, False)
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
axis.stem(range(batch_size), gradient)
axis.set(xlabel="image of the batch", ylabel="derivative of L by its score", xticks=range(batch_size))
axis.grid(alpha=0.4)
plt.show()

# %% [markdown] tags=["text"]
# The second asks what $\lambda_1$ weighs. What orders the images in a sum is not how large a part is but how much it *differs* from image to image. Drawn are the standard deviations of $(1 - \lambda_1) \mathcal L_r$ and $\lambda_1 \mathcal L_{ns}$ over all test images, normal and anomalous, with the mean squared error of the pixels as $\mathcal L_r$ (the text below Eq. 1).

# %% tags=["show"]
error, novelty = parts(np.concatenate([test, others]))
lam1 = np.linspace(0, 0.5, 101)
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.plot(lam1, (1 - lam1) * error.std(), label="spread of the error's part")
axis.plot(lam1, lam1 * novelty.std(), label="spread of the novelty's part")
axis.set(xlabel="λ₁", xticks=np.arange(0, 0.51, 0.05))
axis.grid(alpha=0.4)
axis.legend()
plt.show()
normal, anomalous = parts(test), parts(others)
for share in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0):
    value = auroc(*((1 - share) * error + share * novelty for error, novelty in (normal, anomalous)))
    print(f"λ₁ = {share:4.2f}: AUROC {value:.3f}")

# %% [markdown] tags=["question"] name="q6"
# ## Question 6: read the figures
#
# **Find** `hardest`: the number of the image in the first figure whose score a training step would *raise* the most. (Then ask yourself: is it an image that the autoencoder draws badly, or well?)
#
# **Find** `balance`: the $\lambda_1$ in the second figure at which both parts order the images equally much. Read it to 0.02.
#
# The cells with figures do not run in grading: give the values in the cell below, typed or computed there.

# %% tags=["solution"] name="q6"
hardest = (
    # BEGIN SOLUTION
    np.argmin(reg_gradient(0.5 * parts(train[:batch_size])[0] + 0.5 * parts(train[:batch_size])[1], False))
    # END SOLUTION
)
balance = (
    # BEGIN SOLUTION
    parts(np.concatenate([test, others]))[0].std()
    / sum(part.std() for part in parts(np.concatenate([test, others])))
    # END SOLUTION
)

# %% tags=["test"] name="q6-numbers" points=1
assert as_numbers(hardest, (), "`hardest`") in range(batch_size), (
    "`hardest` should be the number of an image of the batch"
)
assert 0 <= as_numbers(balance, (), "`balance`") <= 0.5, "`balance` should be a value on the axis, between 0 and 0.5"

# %% tags=["hidden"] name="q6-hardest" points=1
s = 0.5 * sum(parts(train[:batch_size]))
reg = (s - s.min()) / (s.max() - s.min())
pull = {int(s.argmin()): 1 - reg.mean() - 1 / batch_size, int(s.argmax()): reg.mean() - 1 / batch_size}
assert as_numbers(hardest, (), "`hardest`") in [i for i in pull if pull[i] > 0.9 * max(pull.values())], (
    "a step goes against the derivative: the score that rises most belongs to the longest stem that points down"
)

# %% tags=["hidden"] name="q6-balance" points=1
error, novelty = (part.std() for part in parts(np.concatenate([test, others])))
assert abs(as_numbers(balance, (), "`balance`") - error / (error + novelty)) < 0.021, (
    "both parts order the images equally much where the two lines cross"
)

# %% tags=["wrong"] name="q6-lowered-most" caught="q6-hardest" hint="points down"
hardest = np.argmax(reg_gradient(0.5 * sum(parts(train[:batch_size])), False))
balance = parts(np.concatenate([test, others]))[0].std() / sum(p.std() for p in parts(np.concatenate([test, others])))

# %% tags=["wrong"] name="q6-the-papers-value" caught="q6-balance" hint="the two lines cross"
hardest = np.argmin(reg_gradient(0.5 * sum(parts(train[:batch_size])), False))
balance = 0.5

# %% tags=["wrong"] name="q6-half-of-the-spreads" caught="q6-balance" hint="the two lines cross"
hardest = np.argmin(reg_gradient(0.5 * sum(parts(train[:batch_size])), False))
balance = parts(np.concatenate([test, others]))[0].std()  # the height at the left end

# %% [markdown] tags=["manual"] name="q7" points=5
# ## Question 7: where do the six points come from?
#
# Table 4 gives the autoencoder alone a mean AUROC of 59.74 on CIFAR-10, and 65.61 with "+ Normalization". In at most fifteen sentences, with reasons from what you have worked out:
#
# - Can the normalization of the *test* scores have any part in this?
# - What does the normalization change in training if minimum and maximum are detached and the optimizer is Adam? And what if the gradient runs through them: which images are pushed which way, and is anything left that makes the reconstructions good?
# - Eq. 4 has the term $- \lambda_2 \|W\|_0$ to prevent that all weights become zero. Can it, when training is by gradients? What score does a network with all weights and biases zero give, and is that the solution to fear?
# - Name one experiment that would tell where the six points come from.

# %% [markdown] tags=["rubric"] name="q7"
# One point each:
#
# 1. *Testing.* No. With the averages fixed, Eq. 6 is one straight line with a positive slope for all test images, so the order and the AUROC stay. (Only by clipping, or by using each test batch's own extremes, could it change, and the latter lets an image's score depend on its neighbours.)
# 2. *Detached.* The gradient is that of the plain loss over the range of the batch. Adam divides by the size of past gradients, so a constant factor has nearly no effect; only the range that differs from batch to batch remains.
# 3. *Through.* The derivatives sum to zero. The lowest and the highest score are pushed up, all others down, each by the same small amount: the others towards the best, and the best image is made *worse*. The loss does not change when all scores grow by a constant or a factor, so nothing makes reconstructions good as such.
# 4. *The count.* Its derivative is zero wherever there is one, so gradient descent never feels it; inside Eq. 6 it would cancel besides, being the same for each image. All zero gives a sigmoid of 0, a score of 1/2 and not 0. The solution to fear is a sigmoid driven towards 0 for every image, by a bias or large weights, which the count does not hinder.
# 5. *An experiment* that separates causes: the same seeds, epochs and learning rate with no, detached and through normalization, several seeds, the last epoch; or no normalization with rescaled learning rates; or plain gradient descent in place of Adam. No credit for "more data sets", or for choosing the epoch on test data.
#
# Common misunderstandings: that scores on [0, 1] are easier to rank; that $S_{\max}$ is always an anomaly (in training there are none: it is a normal image that is drawn badly); that a zero sum of gradients means that nothing is learned.
