# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # Negatives from a shell
#
# DROCC (Goyal et al. 2020) has normal data only and trains a classifier all the same: it makes its own negatives, in a shell around each training point, and lets them climb to where the classifier is most easily fooled. You will write the projection to the shell, the climb, the projection to the shell of DROCC-LF, and the F1 score that such papers print, and look at what the climb does to the negatives.
#
# You need the book's chapters *Negatives off the curve*, *Which coordinates may be ignored?* and *Two F1 scores with one name*, and Sections 3 and 4 of the paper. NumPy is enough; it takes 60 to 90 minutes. A function may return NumPy arrays or torch tensors without a graph, in single or double precision, and leaves its arguments unchanged.
#
# Replace each `...` by your own code, and run the cells in order: a figure needs the answers above it, and stops with an error before. The checks that you see are a part of those that grade your work, and each answer is called again on other values than here.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number, as your instructor gave it to you

# %% tags=["setup"]
import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from adlib.companion.assignments import as_numbers, variant
from adlib.data import sine_wave

sys.modules["adlib.drocc"] = None  # you write it yourself here; the package's own is closed

draw = variant("03-drocc", student)
SEED = int(draw.integers(10**6))  # of all that is random below
RADIUS = float(draw.choice([0.5, 0.6, 0.7, 0.8]))  # inner radius of the shell
GAMMA = float(draw.choice([1.5, 2.0, 2.5]))  # outer over inner radius
N_STEPS = int(draw.integers(4, 9))  # steps of the ascent
TURN = int(draw.choice([2, 8, 25]))  # degrees, for question 4
STEPS = [round(reach * RADIUS / N_STEPS, 5) for reach in (0.05, 0.2, 0.8, 3.2)]  # lengths of a step
RADII = [float(draw.choice(some)) for some in ([0.03, 0.04, 0.05], [0.3, 0.4, 0.5], [2.2, 2.5, 2.8])]
SHARE = float(draw.choice([0.05, 0.1, 0.15, 0.25, 0.3]))  # share of the rows called anomalous, for question 6
print(f"radius {RADIUS}, gamma {GAMMA}, {N_STEPS} steps of {STEPS}, turn {TURN}, radii {RADII}, share {SHARE}")

# %% [markdown] tags=["text"]
# ## Data and network
#
# The data are the paper's first example, points on a sine wave, scaled to mean 0 and standard deviation 1. Anomalies of the test set lie above or below the wave. A network is a tuple `(v, b, w, c)` of plain arrays, with one hidden layer of $h$ units:
#
# $$f(x) = \langle w, \tanh(V x + b)\rangle + c,$$
#
# where $V$ is $(h, d)$, $b$ and $w$ are $(h,)$ and $c$ is a number. The logit $f(x)$ is large for points that the network takes for normal. So that training takes no time, $V$ and $b$ stay random and only $w$ and $c$ are learned.

# %% tags=["setup"]
random = np.random.default_rng(SEED)
WAVE = sine_wave(400, random)
MEAN, DEVIATION = WAVE.mean(0), WAVE.std(0)
WAVE = (WAVE - MEAN) / DEVIATION  # training points, (400, 2)
TEST = np.concatenate([sine_wave(400, random), sine_wave(400, random, displaced=0.4)])
TEST = (TEST - MEAN) / DEVIATION
IS_ANOMALY = np.repeat([0, 1], 400)
NOISE = random.standard_normal(WAVE.shape)  # where negatives start, relative to their own point
WAVE.flags.writeable = NOISE.flags.writeable = False  # functions leave what they are given unchanged
HIDDEN = random.normal(0, 2, (128, 2)), random.uniform(-3, 3, 128)


def logit(x, net):
    """f(x) for rows x (n, d), (n,)."""
    v, b, w, c = net
    return np.tanh(x @ v.T + b) @ w + c


def train(normal, negatives):
    """The network, (v, b, w, c), that tells rows normal (n, 2) from negatives (m, 2)."""
    v, b = HIDDEN
    x = np.tanh(np.concatenate([normal, negatives]) @ v.T + b)
    y = np.repeat([1, 0], [len(normal), len(negatives)])
    model = LogisticRegression(C=10, class_weight="balanced", solver="newton-cholesky").fit(x, y)
    return v, b, model.coef_[0], float(model.intercept_[0])


def distance_to_wave(points):
    """Distance of each of the points (n, 2) to the nearest training point, (n,)."""
    return np.linalg.norm(np.asarray(points)[:, None] - WAVE, axis=2).min(1)


NET = train(WAVE, random.uniform(-3, 3, (1000, 2)))  # a first network, against points from anywhere

# %% [markdown] tags=["question"] name="q1"
# ## Question 1: back to the shell
#
# A negative of the point $x$ is $x + \delta$ with $r \le \|\delta\|_2 \le \gamma r$ (Section 3, after Equation 1). Whatever has moved out of this shell goes to the *nearest* point of it: step 3 of the adversarial search in Algorithm 1.
#
# Write `project(delta, radius, gamma)` for $\delta$ `(n, d)`, which returns an array `(n, d)`. Each row is a $\delta$ of its own. All points of the inner sphere are equally near to a row of zeros; let it go to $(r, 0, \dots, 0)$. You may rely on `radius > 0` and `gamma >= 1`.

# %% tags=["solution"] name="q1"
def project(delta, radius, gamma):
    """The nearest points to the rows of delta (n, d) in the shell radius <= |delta| <= gamma * radius, (n, d)."""
    # BEGIN SOLUTION
    norm = np.linalg.norm(delta, axis=1, keepdims=True)
    out = delta * np.clip(norm, radius, gamma * radius) / np.where(norm > 0, norm, 1)
    out[norm[:, 0] == 0, 0] = radius
    return out
    # END SOLUTION


# %% tags=["test"] name="q1-three" points=1
delta = np.array([[0.1, 0.0], [0.0, 1.5], [3.0, 4.0]])
found = as_numbers(project(delta, 1.0, 2.0), (3, 2), "`project`")
assert np.allclose(found[0], [1, 0], atol=1e-5), "(0.1, 0) is too near: it should move out to the inner sphere"
assert np.allclose(found[1], [0, 1.5], atol=1e-5), "(0, 1.5) is in the shell already: it should stay as it is"
assert np.allclose(found[2], [1.2, 1.6], atol=1e-5), "(3, 4) is too far: it should keep its direction, at length 2"

# %% tags=["hidden"] name="q1-nearest" points=2
random_ = np.random.default_rng(11)
delta = random_.normal(size=(60, 3)) * random_.choice([0.1, 0.6, 4.0], (60, 1))
found = as_numbers(project(delta, 0.7, 1.8), (60, 3), "`project`")
length = np.sqrt((found**2).sum(1))
assert length.min() > 0.7 - 1e-4 and length.max() < 1.8 * 0.7 + 1e-4, "some rows are not in the shell afterwards"
moved = np.sqrt(((found - delta) ** 2).sum(1))
directions = random_.normal(size=(4000, 3))
shell = directions / np.sqrt((directions**2).sum(1, keepdims=True)) * random_.uniform(0.7, 1.26, (4000, 1))
nearest = np.sqrt(((delta[:, None] - shell) ** 2).sum(2)).min(1)
assert (moved <= nearest + 1e-4).all(), "there are points of the shell that are nearer than those that were returned"
thin = as_numbers(project(delta, 2.0, 1.0), (60, 3), "`project`")
assert np.allclose((thin**2).sum(1), 4, atol=1e-3), "with gamma = 1 the shell is a sphere, and all rows should lie on it"

# %% tags=["hidden"] name="q1-zero" points=1
found = as_numbers(project(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 9.0]]), 1.5, 2.0), (2, 3), "`project`")
assert np.isfinite(found).all(), "a row of zeros has no direction: dividing by its length gives no number"
assert np.allclose(found[0], [1.5, 0, 0], atol=1e-5), "a row of zeros is not sent to the point that the question names"
assert np.allclose(found[1], [0, 0, 3], atol=1e-5), "a row beside a row of zeros should be projected as usual"

# %% tags=["wrong"] name="q1-sphere" caught="q1-three" hint="stay as it is"
def project(delta, radius, gamma):
    return radius * delta / np.linalg.norm(delta, axis=1, keepdims=True)


# %% tags=["wrong"] name="q1-coordinates" caught="q1-three" hint="inner sphere"
def project(delta, radius, gamma):
    return np.clip(delta, radius, gamma * radius)


# %% tags=["wrong"] name="q1-all-to-inner" caught="q1-three" hint="at length 2"
def project(delta, radius, gamma):
    norm = np.linalg.norm(delta, axis=1, keepdims=True)
    outside = (norm < radius) | (norm > gamma * radius)
    return np.where(outside, radius * delta / np.maximum(norm, 1e-12), delta)


# %% tags=["wrong"] name="q1-no-direction" caught="q1-zero" hint="no direction"
def project(delta, radius, gamma):
    with np.errstate(invalid="ignore"):
        norm = np.linalg.norm(delta, axis=1, keepdims=True)
        return delta * np.clip(norm, radius, gamma * radius) / norm


# %% tags=["wrong"] name="q1-zero-stays" caught="q1-zero" hint="the point that the question names"
def project(delta, radius, gamma):
    norm = np.linalg.norm(delta, axis=1, keepdims=True)
    return delta * np.clip(norm, radius, gamma * radius) / np.maximum(norm, 1e-12)


# %% [markdown] tags=["question"] name="q2"
# ## Question 2: which way is up?
#
# The search climbs the loss $\ell(f(x + h), -1)$ of a negative (Algorithm 1, steps 1 and 2). That loss grows with the logit, so both have the same uphill direction, and we climb the logit.
#
# Write `gradient(x, net)`: the gradient $\partial f / \partial x$ at each row of $x$ `(n, d)`, as an array `(n, d)`, for the network described above. Derive it by hand with the chain rule, or let torch do it and return `.numpy()`, since question 3 adds the gradient to an array.

# %% tags=["solution"] name="q2"
def gradient(x, net):
    """The gradient of the logit of net = (v, b, w, c) at each row of x (n, d), (n, d)."""
    # BEGIN SOLUTION
    v, b, w, c = net
    return ((1 - np.tanh(x @ v.T + b) ** 2) * w) @ v
    # END SOLUTION


# %% tags=["test"] name="q2-at-zero" points=1
one_unit = np.array([[2.0, 0.0]]), np.array([0.0]), np.array([3.0]), 1.0  # f(x) = 3 tanh(2 x_1) + 1
found = as_numbers(gradient(np.zeros((4, 2)), one_unit), (4, 2), "`gradient`")
assert np.allclose(found, [6, 0], atol=1e-4), "f(x) = 3 tanh(2 x_1) + 1 has the gradient (6, 0) at the origin"

# %% tags=["hidden"] name="q2-differences" points=2
random_ = np.random.default_rng(12)
net = random_.normal(size=(9, 4)), random_.normal(size=9), random_.normal(size=9), 0.5
x = random_.normal(size=(30, 4))
found = as_numbers(gradient(x, net), (30, 4), "`gradient`")
assert not np.allclose(found, found[0]), "the gradient is the same everywhere: how steep is tanh away from 0?"
shifts = 1e-5 * np.eye(4)
by_differences = np.stack([(logit(x + s, net) - logit(x - s, net)) / 2e-5 for s in shifts], 1)
assert np.allclose(found, by_differences, rtol=1e-3, atol=1e-3), (
    "the gradient disagrees with finite differences of the logit: check the derivative of tanh, at the right place"
)

# %% tags=["wrong"] name="q2-linear" caught="q2-differences" hint="how steep is tanh"
def gradient(x, net):
    v, b, w, c = net
    return np.tile(w @ v, (len(x), 1))


# %% tags=["wrong"] name="q2-not-squared" caught="q2-differences" hint="check the derivative of tanh"
def gradient(x, net):
    v, b, w, c = net
    return ((1 - np.tanh(x @ v.T + b)) * w) @ v


# %% tags=["wrong"] name="q2-no-bias" caught="q2-differences" hint="at the right place"
def gradient(x, net):
    v, b, w, c = net
    return ((1 - np.tanh(x @ v.T) ** 2) * w) @ v


# %% tags=["wrong"] name="q2-of-the-sum" caught="q2-at-zero" hint="should be numbers of shape"
def gradient(x, net):
    v, b, w, c = net
    return (((1 - np.tanh(x @ v.T + b) ** 2) * w) @ v).sum(0)


# %% [markdown] tags=["question"] name="q3"
# ## Question 3: the climb
#
# One step of Algorithm 1 moves a negative by a fixed length $\eta$ uphill, and then back to the shell around *its own* point:
#
# $$h \leftarrow h + \eta \, \frac{\nabla_h f(x + h)}{\|\nabla_h f(x + h)\|_2}, \qquad h \leftarrow \text{the nearest point to } h \text{ in the shell.}$$
#
# Write `ascend(x, delta, net, steps, step, radius, gamma)` for points $x$ `(n, d)` and their $h$, `delta` `(n, d)`. It returns the new `delta` `(n, d)`, relative to $x$, after `steps` steps of length `step`. Each row is a search of its own. Where the gradient is exactly 0, a row does not move uphill in that step. Nothing is projected before the first step, even if `delta` starts outside the shell. With `steps = 0`, `delta` is only projected: such are random negatives.

# %% tags=["solution"] name="q3"
def ascend(x, delta, net, steps, step, radius, gamma):
    """delta (n, d) after the search for negatives x + delta that the network takes for normal, (n, d)."""
    # BEGIN SOLUTION
    if steps == 0:
        return project(delta, radius, gamma)
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        norm = np.linalg.norm(uphill, axis=1, keepdims=True)
        delta = project(delta + step * uphill / np.where(norm > 0, norm, 1), radius, gamma)
    return delta
    # END SOLUTION


# %% tags=["test"] name="q3-one-row" points=1
along_first = np.array([[1.0, 0.0]]), np.array([0.0]), np.array([1.0]), 0.0  # f(x) = tanh(x_1)
x, delta = np.array([[0.1, 0.0]]), np.array([[0.5, 1.0]])
found = as_numbers(ascend(x, delta, along_first, 1, 0.2, 0.5, 4.0), (1, 2), "`ascend`")
assert found[0, 0] > 0.5, "f(x) = tanh(x_1) grows with the first coordinate: the search should go up, not down"
assert np.allclose(found, [0.7, 1.0], atol=1e-4), "one step of length 0.2 should lead from (0.5, 1) to (0.7, 1)"
found = as_numbers(ascend(x, delta, along_first, 3, 0.2, 0.5, 4.0), (1, 2), "`ascend`")
assert np.allclose(found, [1.1, 1.0], atol=1e-4), "three steps of length 0.2 should lead from (0.5, 1) to (1.1, 1)"

# %% tags=["hidden"] name="q3-rows" points=1
random_ = np.random.default_rng(13)
net = random_.normal(size=(8, 3)), random_.normal(size=8), random_.normal(size=8), 0.0
x, delta = random_.normal(size=(20, 3)), random_.normal(size=(20, 3))
found = as_numbers(ascend(x, delta, net, 1, 0.05, 1e-3, 1e6), (20, 3), "`ascend`")
length = np.sqrt(((found - delta) ** 2).sum(1))
assert np.allclose(length, 0.05, atol=1e-3), "in one step inside the shell, every row should move by the same length"

# %% tags=["hidden"] name="q3-where" points=1
random_ = np.random.default_rng(14)
net = random_.normal(size=(8, 3)), random_.normal(size=8), random_.normal(size=8), 0.0
x, delta = random_.normal(size=(20, 3)), random_.normal(size=(20, 3))
found = as_numbers(ascend(x, delta, net, 4, 0.2, 1e-3, 1e6), (20, 3), "`ascend`")
place = x + delta
for _ in range(4):
    slope = np.stack([(logit(place + s, net) - logit(place - s, net)) / 2e-5 for s in 1e-5 * np.eye(3)], 1)
    place = place + 0.2 * slope / np.sqrt((slope**2).sum(1, keepdims=True))
assert np.allclose(x + found, place, atol=2e-3), (
    "inside the shell the path is not the expected one: the gradient belongs to the place where the negative is, anew in each step"
)

# %% tags=["hidden"] name="q3-every-step" points=1
random_ = np.random.default_rng(15)
net = random_.normal(size=(8, 3)), random_.normal(size=8), random_.normal(size=8), 0.0
x, outside = random_.normal(size=(20, 3)), 3 * random_.normal(size=(20, 3))
inside = 0.9 * outside / np.sqrt((outside**2).sum(1, keepdims=True))
for delta, hint in (
    (inside, "a negative should go back to its shell after every step of the search"),
    (outside, "a negative that starts outside the shell should take its first step from there: nothing is projected before it"),
):
    found = as_numbers(ascend(x, delta, net, 4, 0.4, 0.8, 1.2), (20, 3), "`ascend`")
    length = np.sqrt((found**2).sum(1))
    assert length.min() > 0.8 - 1e-3 and length.max() < 0.96 + 1e-3, "after the last step some negatives are not in the shell"
    h = delta
    for _ in range(4):
        slope = np.stack([(logit(x + h + s, net) - logit(x + h - s, net)) / 2e-5 for s in 1e-5 * np.eye(3)], 1)
        h = h + 0.4 * slope / np.sqrt((slope**2).sum(1, keepdims=True))
        size = np.sqrt((h**2).sum(1, keepdims=True))
        h = h * np.minimum(np.maximum(size, 0.8), 0.96) / size
    assert np.allclose(found, h, atol=4e-3), hint

# %% tags=["hidden"] name="q3-flat" points=1
flat = np.ones((2, 2)), np.zeros(2), np.zeros(2), 1.0
x, delta = np.ones((2, 2)), np.array([[3.0, 4.0], [0.0, 1.5]])
found = as_numbers(ascend(x, delta, flat, 2, 0.1, 1.0, 2.0), (2, 2), "`ascend`")
assert np.isfinite(found).all(), "where the gradient is 0 there is no direction: dividing by its length gives no number"
assert np.allclose(found, [[1.2, 1.6], [0, 1.5]], atol=1e-4), "where the gradient is 0, a negative should only be projected"
found = as_numbers(ascend(x, delta, flat, 0, 0.1, 1.0, 2.0), (2, 2), "`ascend`")
assert np.allclose(found, [[1.2, 1.6], [0, 1.5]], atol=1e-4), "without steps, negatives should still be put in the shell"

# %% tags=["wrong"] name="q3-descends" caught="q3-one-row" hint="go up, not down"
def ascend(x, delta, net, steps, step, radius, gamma):
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        delta = project(delta - step * uphill / np.linalg.norm(uphill, axis=1, keepdims=True), radius, gamma)
    return delta


# %% tags=["wrong"] name="q3-raw-gradient" caught="q3-one-row" hint="one step of length 0.2"
def ascend(x, delta, net, steps, step, radius, gamma):
    for _ in range(steps):
        delta = project(delta + step * gradient(x + delta, net), radius, gamma)
    return project(delta, radius, gamma)


# %% tags=["wrong"] name="q3-one-norm-for-all" caught="q3-rows" hint="every row should move"
def ascend(x, delta, net, steps, step, radius, gamma):
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        delta = project(delta + step * uphill / max(np.linalg.norm(uphill), 1e-12), radius, gamma)
    return project(delta, radius, gamma)


# %% tags=["wrong"] name="q3-gradient-at-the-point" caught="q3-where" hint="where the negative is"
def ascend(x, delta, net, steps, step, radius, gamma):
    uphill = gradient(x, net)
    norm = np.linalg.norm(uphill, axis=1, keepdims=True)
    for _ in range(steps):
        delta = project(delta + step * uphill / np.where(norm > 0, norm, 1), radius, gamma)
    return project(delta, radius, gamma)


# %% tags=["wrong"] name="q3-projects-at-the-end" caught="q3-every-step" hint="after every step"
def ascend(x, delta, net, steps, step, radius, gamma):
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        norm = np.linalg.norm(uphill, axis=1, keepdims=True)
        delta = delta + step * uphill / np.where(norm > 0, norm, 1)
    return project(delta, radius, gamma)


# %% tags=["wrong"] name="q3-projects-first" caught="q3-every-step" hint="nothing is projected before it"
def ascend(x, delta, net, steps, step, radius, gamma):
    delta = project(delta, radius, gamma)
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        norm = np.linalg.norm(uphill, axis=1, keepdims=True)
        delta = project(delta + step * uphill / np.where(norm > 0, norm, 1), radius, gamma)
    return delta


# %% tags=["wrong"] name="q3-no-direction" caught="q3-flat" hint="no direction"
def ascend(x, delta, net, steps, step, radius, gamma):
    for _ in range(steps):
        uphill = gradient(x + delta, net)
        with np.errstate(invalid="ignore"):
            uphill = uphill / np.linalg.norm(uphill, axis=1, keepdims=True)
        delta = project(delta + step * uphill, radius, gamma)
    return project(delta, radius, gamma)


# %% [markdown] tags=["text"]
# ## What the climb does
#
# Your functions on the sine wave: `NOISE` is where the negatives start, and each panel lets them climb with another length of a step, under the network `NET`. Grey lines lead from the random negative, in the shell, to the one that the search finds; blue is where the network says normal. Look at it before you go on.

# %% tags=["show"]
GRID = np.stack(np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121)), -1)


def draw_plane(axis, net):
    """Blue where the network says normal, red elsewhere, and the training points."""
    says = logit(GRID.reshape(-1, 2), net).reshape(121, 121) > 0
    axis.contourf(GRID[..., 0], GRID[..., 1], says, [-1, 0.5, 2], colors=["#f4c7c3", "#a9c9e8"])
    axis.plot(*WAVE.T, ".", color="C1", markersize=2)
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])


def draw_search():
    starts = np.asarray(ascend(WAVE, NOISE, NET, 0, 0.1, RADIUS, GAMMA))
    figure, axes = plt.subplots(1, len(STEPS), figsize=(12, 3.4), layout="constrained")
    for axis, step in zip(axes, STEPS, strict=True):
        ends = np.asarray(ascend(WAVE, NOISE, NET, N_STEPS, step, RADIUS, GAMMA))
        draw_plane(axis, NET)
        few = slice(0, 80)
        axis.plot(*np.stack([WAVE + starts, WAVE + ends])[:, few].transpose(2, 0, 1), color="#666666", linewidth=0.8)
        axis.plot(*(WAVE + ends)[few].T, ".", color="#333333", markersize=4)
        axis.set_title(f"steps of {step:g}", fontsize=10)
    plt.show()


draw_search()

# %% [markdown] tags=["question"] name="q4"
# ## Question 4: put numbers to it
#
# The figure shows it, three numbers say it. They take some lines of code each, about 15 minutes in all; `distance_to_wave(points)` of the setup gives the distance of each point to the nearest training point. The cells with figures do not run in grading: give the values in the cell below, typed or computed there.
#
# - `needed`: the smallest of the lengths in `STEPS` with which the search turns the negatives by more than `TURN` degrees on average. The turn of one negative is the angle between its row of `NOISE` and its row of `ascend(WAVE, NOISE, NET, N_STEPS, step, RADIUS, GAMMA)`.
# - `near_random`: the share of random negatives (`steps = 0`) that lie within 0.1 of *some* training point, any one, as a number between 0 and 1.
# - `near_found`: the same share of the negatives that the search finds in `N_STEPS` steps of length `STEPS[2]`.

# %% tags=["solution"] name="q4"
needed = (
    # BEGIN SOLUTION
    next(
        step
        for step in STEPS
        for found in [ascend(WAVE, NOISE, NET, N_STEPS, step, RADIUS, GAMMA)]
        for lengths in [np.linalg.norm(NOISE, axis=1) * np.linalg.norm(found, axis=1)]
        if np.degrees(np.arccos(np.clip((NOISE * found).sum(1) / lengths, -1, 1))).mean() > TURN
    )
    # END SOLUTION
)
near_random = (
    # BEGIN SOLUTION
    np.mean(distance_to_wave(WAVE + ascend(WAVE, NOISE, NET, 0, STEPS[2], RADIUS, GAMMA)) < 0.1)
    # END SOLUTION
)
near_found = (
    # BEGIN SOLUTION
    np.mean(distance_to_wave(WAVE + ascend(WAVE, NOISE, NET, N_STEPS, STEPS[2], RADIUS, GAMMA)) < 0.1)
    # END SOLUTION
)

# %% tags=["test"] name="q4-form" points=1
found = as_numbers(needed, (), "`needed`")
assert np.isclose(found, STEPS).any(), "`needed` should be one of STEPS"
for name, share in (("near_random", near_random), ("near_found", near_found)):
    assert 0 <= as_numbers(share, (), f"`{name}`") <= 1, f"`{name}` should be a share, between 0 and 1"

# %% tags=["hidden"] name="q4-turn" points=1
def turn_of(step):
    """Mean angle between noise and negative, with slopes by differences."""
    h = NOISE
    for _ in range(N_STEPS):
        at = WAVE + h
        slope = np.stack([(logit(at + s, NET) - logit(at - s, NET)) / 2e-5 for s in 1e-5 * np.eye(2)], 1)
        h = h + step * slope / np.sqrt((slope**2).sum(1, keepdims=True))
        size = np.sqrt((h**2).sum(1, keepdims=True))
        h = h * np.minimum(np.maximum(size, RADIUS), GAMMA * RADIUS) / size
    cosine = (NOISE * h).sum(1) / np.sqrt((NOISE**2).sum(1) * (h**2).sum(1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()


found = as_numbers(needed, (), "`needed`")
right = min(step for step in STEPS if turn_of(step) > TURN)
assert found > 0.99 * right, "with that length of a step the negatives turn by less than was asked, on average"
assert found < 1.01 * right, "a shorter step turns the negatives by enough, too"

# %% tags=["hidden"] name="q4-onto-the-data" points=1
def share_near(steps):
    """Share of negatives within 0.1 of a training point, with slopes by differences."""
    size = np.sqrt((NOISE**2).sum(1, keepdims=True))
    h = NOISE if steps else NOISE * np.minimum(np.maximum(size, RADIUS), GAMMA * RADIUS) / size
    for _ in range(steps):
        at = WAVE + h
        slope = np.stack([(logit(at + s, NET) - logit(at - s, NET)) / 2e-5 for s in 1e-5 * np.eye(2)], 1)
        h = h + STEPS[2] * slope / np.sqrt((slope**2).sum(1, keepdims=True))
        size = np.sqrt((h**2).sum(1, keepdims=True))
        h = h * np.minimum(np.maximum(size, RADIUS), GAMMA * RADIUS) / size
    return np.mean([((WAVE - row) ** 2).sum(1).min() < 0.01 for row in WAVE + h])


for name, share, steps in (("near_random", near_random, 0), ("near_found", near_found, N_STEPS)):
    assert abs(as_numbers(share, (), f"`{name}`") - share_near(steps)) < 0.011, (
        f"`{name}` is off: measure from each negative, x + delta, to all training points, not to its own alone"
    )

# %% tags=["wrong"] name="q4-largest-possible" caught="q4-turn" hint="turn by less than was asked"
needed = next(step for step in STEPS if np.degrees(np.arcsin(min(1, N_STEPS * step / RADIUS))) > TURN)
near_random, near_found = 0.08, 0.3
# %% tags=["wrong"] name="q4-any-negative" caught="q4-turn" hint="turn by less than was asked"
needed = STEPS[0]
near_random, near_found = 0.08, 0.3
# %% tags=["wrong"] name="q4-own-point" caught="q4-onto-the-data" hint="not to its own alone"
needed = {2: STEPS[1], 8: STEPS[2], 25: STEPS[3]}[TURN]
near_random, near_found = 0.0, 0.0

# %% [markdown] tags=["question"] name="q5"
# ## Question 5: a shell that knows what counts
#
# DROCC-LF measures distances with a weight $\sigma_j \ge 0$ for each coordinate, $\|\delta\|_\Sigma^2 = \sum_j \sigma_j \delta_j^2$ (Equation 2), so that negatives may move freely along coordinates that do not count. The nearest point of *this* shell, nearest in the ordinary Euclidean sense, is not on the way to the centre. For a $\delta$ beyond the outer bound $R = \gamma r$, Proposition 1 says that it has the coordinates
#
# $$\frac{\delta_j}{1 + \tau \sigma_j}, \qquad \tau \ge 0,$$
#
# for the one $\tau$ that meets the bound. The weighted length falls as $\tau$ grows, so $\tau$ can be found by halving an interval, or by a root finder of SciPy.
#
# Write `shrink(delta, sigma, bound)` for one $\delta$ `(d,)` and its weights `(d,)`: the nearest point with $\|\cdot\|_\Sigma \le$ `bound`, as an array `(d,)`, with an error of at most $10^{-4}$. A $\delta$ that is inside already stays as it is. (The inner bound works alike, with $\tau < 0$, and is left out here.)

# %% tags=["solution"] name="q5"
def shrink(delta, sigma, bound):
    """The nearest point to delta (d,) of a weighted length of at most `bound`, for weights sigma (d,), (d,)."""
    # BEGIN SOLUTION
    def candidate(tau):
        return delta / (1 + tau * sigma)

    def is_too_long(tau):
        return np.sum(sigma * candidate(tau) ** 2) > bound**2

    if not is_too_long(0):
        return delta
    low, high = 0.0, 1.0
    while is_too_long(high):
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_long(middle) else (low, middle)
    return candidate(high)
    # END SOLUTION


# %% tags=["test"] name="q5-plane" points=1
found = as_numbers(shrink(np.array([0.5, 0.5]), np.array([1.0, 1.0]), 1.0), (2,), "`shrink`")
assert np.allclose(found, [0.5, 0.5], atol=1e-4), "(0.5, 0.5) is inside the bound: it should stay as it is"
found = as_numbers(shrink(np.array([3.0, 4.0]), np.array([1.0, 1.0]), 2.0), (2,), "`shrink`")
assert np.allclose(found, [1.2, 1.6], atol=1e-3), "with equal weights of 1 this is the projection of question 1"
found = as_numbers(shrink(np.array([3.0, 1.0]), np.array([1.0, 0.0]), 1.0), (2,), "`shrink`")
assert np.allclose(found, [1, 1], atol=1e-3), "a coordinate of weight 0 does not count, and should stay as it is"

# %% tags=["hidden"] name="q5-bound" points=1
random_ = np.random.default_rng(16)
for d in (2, 5, 30):
    sigma, delta = random_.exponential(size=d) ** 2, random_.normal(size=d)
    delta *= random_.uniform(1.5, 8) / np.sqrt((sigma * delta**2).sum())
    found = as_numbers(shrink(delta, sigma, 1.0), (d,), "`shrink`")
    length = np.sqrt((sigma * found**2).sum())
    assert length < 1 + 1e-3, "the weighted length of the result is still larger than the bound"
    assert length > 1 - 1e-3, "a point beyond the bound should end exactly on it: the result is shorter than need be"

# %% tags=["hidden"] name="q5-nearest" points=2
random_ = np.random.default_rng(17)
for d in (2, 3, 10):
    sigma, place = random_.uniform(0.1, 9, d), random_.normal(size=d)
    place *= 1.5 / np.sqrt((sigma * place**2).sum())  # a place on the bound, and what lies straight out from there
    for tau in (0.01, 0.5, 40.0):
        delta = place + tau * sigma * place
        found = as_numbers(shrink(delta, sigma, 1.5), (d,), "`shrink`")
        better = np.linalg.norm(place - delta) < np.linalg.norm(found - delta) - 1e-3 * np.linalg.norm(delta)
        assert not better, "there is a point within the bound that is nearer than the one that was returned"
        assert np.allclose(found, place, atol=2e-3), "the result is not the nearest point within the bound"

# %% tags=["wrong"] name="q5-to-the-centre" caught="q5-plane" hint="weight 0 does not count"
def shrink(delta, sigma, bound):
    return delta * min(1, bound / np.sqrt(np.sum(sigma * delta**2)))


# %% tags=["wrong"] name="q5-tau-up-to-ten" caught="q5-nearest" hint="not the nearest point"
def shrink(delta, sigma, bound):
    if np.sum(sigma * delta**2) <= bound**2:
        return delta
    low, high = 0.0, 10.0
    for _ in range(80):
        tau = (low + high) / 2
        is_too_long = np.sum(sigma * (delta / (1 + tau * sigma)) ** 2) > bound**2
        low, high = (tau, high) if is_too_long else (low, tau)
    return delta / (1 + high * sigma)


# %% tags=["wrong"] name="q5-stops-early" caught="q5-bound" hint="shorter than need be"
def shrink(delta, sigma, bound):
    def is_too_long(tau):
        return np.sum(sigma * (delta / (1 + tau * sigma)) ** 2) > bound**2

    if not is_too_long(0):
        return delta
    low, high = 0.0, 1.0
    while is_too_long(high):
        low, high = high, 2 * high
    while high - low > 0.1:
        tau = (low + high) / 2
        low, high = (tau, high) if is_too_long(tau) else (low, tau)
    return delta / (1 + high * sigma)


# %% tags=["wrong"] name="q5-counted-coordinates-alike" caught="q5-nearest" hint="nearer than the one"
def shrink(delta, sigma, bound):
    share = min(1, bound / np.sqrt(np.sum(sigma * delta**2)))
    return np.where(sigma > 0, share * delta, delta)


# %% [markdown] tags=["question"] name="q6"
# ## Question 6: an F1 and its ceiling
#
# Tables of anomaly detection often print an F1 score. It needs a number of rows to be called anomalous, and takes it from the test set: a share of the rows, those with the highest anomaly scores, is called anomalous, the rest normal. With $p$ the share of true ones among the rows that are called the positive class, and $\rho$ the share of the positive rows that are found, $F_1 = 2 p \rho / (p + \rho)$.
#
# Write `f1_at(y, scores, share, positive)` for labels `y` `(n,)` (1 is an anomaly, 0 normal) and anomaly scores `(n,)`, with `positive` either `"anomaly"` or `"normal"`. It returns the F1 of that class as a number; 0 if no row of it is found. You may rely on `share * n` being a whole number (up to rounding) and on scores that are all different.
#
# Then give `ceiling`: on a test set with as many anomalies as normal rows, of which a share of `SHARE` is called anomalous, how large can the F1 of the *normal* class be at most, to two decimals? (The code of DROCC does this, with a share of 0.2.)

# %% tags=["solution"] name="q6"
def f1_at(y, scores, share, positive):
    """F1 of the class `positive` when the rows with the highest scores, a share of them, are called anomalous."""
    # BEGIN SOLUTION
    called = np.zeros(len(y), int)
    called[np.argsort(-scores)[: round(share * len(y))]] = 1
    is_positive, called_positive = (y == 1, called == 1) if positive == "anomaly" else (y == 0, called == 0)
    found = np.sum(is_positive & called_positive)
    return float(2 * found / (np.sum(is_positive) + np.sum(called_positive)))
    # END SOLUTION


ceiling = (
    # BEGIN SOLUTION
    f1_at(np.repeat([0, 1], 1000), np.arange(2000.0), SHARE, "normal")
    # END SOLUTION
)

# %% tags=["test"] name="q6-ten-rows" points=1
y = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.95, 0.6, 0.7, 0.8, 0.9])
found = as_numbers(f1_at(y, scores, 0.4, "anomaly"), (), "`f1_at`")
assert abs(found - 3 / 4) < 1e-4, (
    "four rows are called anomalous, and three of the four anomalies are among them: F1 is 0.75"
)

# %% tags=["hidden"] name="q6-both-classes" points=1
random_ = np.random.default_rng(18)
y = random_.permutation(np.repeat([0, 1], [30, 10]))
scores = random_.permutation(40) / 40 + 0.4 * y + 1e-6 * np.arange(40)
for share in (0.1, 0.25, 0.6):
    order = sorted(range(40), key=lambda i: scores[i])
    says = {i: int(place >= 40 - round(40 * share)) for place, i in enumerate(order)}
    for label, positive in ((1, "anomaly"), (0, "normal")):
        hits = sum(1 for i in range(40) if says[i] == label and y[i] == label)
        precision = hits / sum(1 for i in range(40) if says[i] == label)
        recall = hits / sum(1 for i in range(40) if y[i] == label)
        expected = 2 * precision * recall / (precision + recall) if hits else 0.0
        found = as_numbers(f1_at(y, scores, share, positive), (), "`f1_at`")
        assert abs(found - expected) < 1e-4, f"the F1 of the {positive} class is off when a share of {share} is called anomalous"

# %% tags=["hidden"] name="q6-none-found" points=1
found = as_numbers(f1_at(np.array([0, 0, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]), 0.25, "anomaly"), (), "`f1_at`")
assert np.isfinite(found) and abs(found) < 1e-6, "if no positive row is found, F1 should be 0"

# %% tags=["hidden"] name="q6-ceiling" points=1
found = as_numbers(ceiling, (), "`ceiling`")
rows = 4000
called_normal = rows - round(SHARE * rows)
precision, recall = min(rows // 2, called_normal) / called_normal, min(rows // 2, called_normal) / (rows // 2)
assert abs(found - 1) > 1e-6, "even a perfect ranking calls some rows by the wrong name here: which, and how many?"
assert abs(found - 2 * precision * recall / (precision + recall)) < 6e-3, (
    "`ceiling` is off: count who is called normal when every anomaly has a higher score than every normal row"
)

# %% tags=["wrong"] name="q6-lowest-scores" caught="q6-ten-rows" hint="three of the four anomalies"
def f1_at(y, scores, share, positive):
    called = (np.argsort(np.argsort(scores)) < round(share * len(y))).astype(int)
    label = 1 if positive == "anomaly" else 0
    return float(2 * np.sum((y == label) & (called == label)) / (np.sum(y == label) + np.sum(called == label)))


ceiling = 1 / (1.5 - SHARE)
# %% tags=["wrong"] name="q6-always-anomaly" caught="q6-both-classes" hint="F1 of the normal class"
def f1_at(y, scores, share, positive):
    called = np.argsort(np.argsort(-scores)) < round(share * len(y))
    return float(2 * np.sum((y == 1) & called) / (np.sum(y == 1) + np.sum(called)))


ceiling = 1 / (1.5 - SHARE)
# %% tags=["wrong"] name="q6-true-ratio" caught="q6-both-classes" hint="when a share of"
def f1_at(y, scores, share, positive):
    called = (np.argsort(np.argsort(-scores)) < y.sum()).astype(int)
    label = 1 if positive == "anomaly" else 0
    return float(2 * np.sum((y == label) & (called == label)) / (np.sum(y == label) + np.sum(called == label)))


ceiling = 1 / (1.5 - SHARE)
# %% tags=["wrong"] name="q6-zero-by-zero" caught="q6-none-found" hint="should be 0"
def f1_at(y, scores, share, positive):
    called = (np.argsort(np.argsort(-scores)) < round(share * len(y))).astype(int)
    label = 1 if positive == "anomaly" else 0
    hits = np.sum((y == label) & (called == label))
    precision, recall = hits / np.sum(called == label), hits / np.sum(y == label)
    with np.errstate(invalid="ignore"):
        return float(2 * precision * recall / (precision + recall))


ceiling = 1 / (1.5 - SHARE)
# %% tags=["wrong"] name="q6-no-ceiling" caught="q6-ceiling" hint="by the wrong name"
def f1_at(y, scores, share, positive):
    called = (np.argsort(np.argsort(-scores)) < round(share * len(y))).astype(int)
    label = 1 if positive == "anomaly" else 0
    return float(2 * np.sum((y == label) & (called == label)) / (np.sum(y == label) + np.sum(called == label)))


ceiling = 1.0
# %% tags=["wrong"] name="q6-precision-as-ceiling" caught="q6-ceiling" hint="count who is called normal"
def f1_at(y, scores, share, positive):
    called = (np.argsort(np.argsort(-scores)) < round(share * len(y))).astype(int)
    label = 1 if positive == "anomaly" else 0
    return float(2 * np.sum((y == label) & (called == label)) / (np.sum(y == label) + np.sum(called == label)))


ceiling = 0.5 / (1 - SHARE)

# %% [markdown] tags=["text"]
# ## All together: three radii
#
# Here your functions make DROCC: a network against random negatives, then three times anew against all negatives found so far. Only the radius differs, and the length of a step goes with it. AUROC and F1 are those of test points displaced by 0.4 against points on the wave. The loss in the titles is that of a training step of Algorithm 1 with $\mu = 1$ and without the decay of the weights,
#
# $$\frac1n \sum_{i=1}^n \big[\, \ell(f(x_i), 1) + \mu\, \ell(f(\tilde x_i), -1) \,\big], \qquad \ell(f, y) = \log(1 + e^{-y f}),$$
#
# for points $x_i$ and their negatives $\tilde x_i$: a network that says 0 everywhere has $2 \log 2 \approx 1.39$.

# %% tags=["show"]
def drocc_loss(logits, negative_logits, mu):
    """The mean loss of points and their negatives with these logits (n,), a number."""
    return float(np.mean(np.logaddexp(0, -logits) + mu * np.logaddexp(0, negative_logits)))


def draw_radii():
    figure, axes = plt.subplots(1, len(RADII), figsize=(10, 3.8), layout="constrained")
    for axis, radius in zip(axes, RADII, strict=True):
        noise = np.random.default_rng(SEED).standard_normal((4, *WAVE.shape))
        negatives = WAVE + np.asarray(ascend(WAVE, noise[0], NET, 0, 0.1, radius, GAMMA))
        net = train(WAVE, negatives)
        for start in noise[1:]:
            found = WAVE + np.asarray(ascend(WAVE, start, net, 5, 0.15 * radius, radius, GAMMA))
            negatives = np.concatenate([negatives, found])
            net = train(WAVE, negatives)
        draw_plane(axis, net)
        loss = drocc_loss(logit(WAVE, net), logit(found, net), 1.0)
        scores = -logit(TEST, net)
        f1, f1_normal = f1_at(IS_ANOMALY, scores, 0.5, "anomaly"), f1_at(IS_ANOMALY, scores, SHARE, "normal")
        axis.set_title(
            f"radius {radius:g}: loss {loss:.2f}, AUROC {roc_auc_score(IS_ANOMALY, scores):.3f}\n"
            f"F1 {f1:.3f}; of the normal class at {SHARE:g}: {f1_normal:.3f}",
            fontsize=9,
        )
    plt.show()


draw_radii()

# %% [markdown] tags=["manual"] name="q7" points=4
# ## Question 7: three radii, two scores
#
# Look at the three panels.
#
# 1. What goes wrong with the smallest radius, what with the largest? Say in each case where the negatives lie relative to the training points and to the wave, and what the classifier can learn from them.
# 2. What do you conclude from question 4 about the paper's sentence that the search "does not yield a point that is in" the normal data, and why does the classifier survive such negatives?
# 3. The AUROC tells the three radii apart. What does the F1 of the normal class at your `SHARE` say about them, and why?

# %% [markdown] tags=["rubric"] name="q7"
# - **1 point, radius too small**: the negatives lie between the training points and right beside them, as near as points of the data are to one another, so that many are in effect *on* the wave. The two classes overlap, the loss hardly falls below that of guessing ($2 \log 2$), and nothing is learned about places farther away, from where no negatives come.
# - **1 point, radius too large**: the negatives leave out the neighbourhood of the wave (or fall on other parts of it, where it bends or goes on), so that the region called normal is too wide: many points displaced by 0.4 lie inside it.
# - **1 point, the search**: it climbs to where the network says normal, which is near the wave, and keeps its distance from its own point only. So negatives do come to lie on the data, three or four times as many as without search. (Equation 1 asks for a distance from all points; the simplified set does not.) At a place on the wave, points of the data outnumber negatives, which are spread out over their shells; a classifier learns the ratio of the two. A smaller weight $\mu$ helps, as the paper says.
# - **1 point, the F1**: it is at its ceiling, or close to it, for all three. It only asks whether the few rows with the highest scores are anomalies, which even a poor ranking gets right; the rows that are ranked wrongly lie lower, where all are called normal. So the score cannot tell a good detector from a fair one.
#
# A common misunderstanding: that a small radius is just a stricter detector. It is not: it has no negatives anywhere else, and its negatives contradict the data.
