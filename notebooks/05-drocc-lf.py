# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which coordinates may be ignored?
#
# DROCC {cite:p}`goyal2020` makes negatives at a fixed distance from the data. If most coordinates are noise, most of that distance is noise, too. DROCC-LF is told some anomalies and learns from them which coordinates count; it measures the distance in those. This chapter tests both parts of the idea, the known anomalies and the learned distance, apart from each other.
#
# ```{claims} drocc-lf-noisy-drocc drocc-lf-noisy-like-ocsvm drocc-lf-noisy-optimal drocc-lf-mnist-bce drocc-lf-mnist-sad drocc-lf-mnist-oe drocc-lf-mnist-lf drocc-lf-mnist-lf-alone drocc-lf-mnist-oe-over-sad drocc-lf-mnist-lf-over-oe
# ```

# %% tags=["parameters"]
dataset: str = "auto"  # images of the last experiment, mnist, digits or auto
n: int = 1024  # points of the noisy sine wave, 1024 in the paper
n_known: int = 1024  # known anomalies, the paper names no number
displaced: float = 0.5  # how far known anomalies lie above or below the curve
noise_columns: int = 8  # columns without information, 8 in the paper
radius: float = 0.0  # inner radius of the shell on the sine wave, 0 for sqrt(d)
ascent_steps: int = 5  # steps of the search, 0 for random points of the shell
epochs: int = 100  # passes over the points of the sine wave
n_images: int = 500  # training images of each kind
image_epochs: int = 25  # passes over the images
image_seeds: int = 2  # number of repetitions with images
seeds: int = 3  # number of repetitions on the sine wave, seeds 0, 1, 2 and so on
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import copy
import math
import warnings
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import Markdown, display
from pydantic import Field
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler

from adlib import DROCC, DROCCLF, DROCCOE, KNN, OCSVM, DeepSAD, nets
from adlib.companion import datasets, plots, receipt
from adlib.companion.params import ChapterParams
from adlib.data import noisy_sine
from adlib.drocc import (
    ascend,
    influence,
    project_to_mahalanobis_shell,
    to_network,
)
from adlib.metrics import auroc, recall_at_fpr, threshold_at
from adlib.svdd import squared_distance

Count = Annotated[int, Field(ge=1, le=10000, strict=True)]


class Params(ChapterParams):
    dataset: Literal["auto", "mnist", "digits"]
    n: Annotated[int, Field(ge=50, le=100000, strict=True)]
    n_known: Annotated[int, Field(ge=2, le=100000, strict=True)]
    displaced: Annotated[float, Field(gt=0, le=100)]
    noise_columns: Annotated[int, Field(ge=0, le=1000, strict=True)]
    radius: Annotated[float, Field(ge=0, le=100)]
    ascent_steps: Annotated[int, Field(ge=0, le=1000, strict=True)]
    epochs: Count
    n_images: Annotated[int, Field(ge=20, le=5000, strict=True)]
    image_epochs: Count
    image_seeds: Annotated[int, Field(ge=1, le=100, strict=True)]
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]


P = Params.from_notebook(globals())
plots.set_style()

# %% [markdown]
# ## The idea
#
# One-class classification with *limited negatives* knows normal data, and some anomalies that stand for a few of the ways to be anomalous. A plain classifier learns what separates these from the data, and may call anything else normal. DROCC-OE adds the classifier's loss for the known anomalies to that of DROCC. DROCC-LF goes further. For a weight $\sigma_j \ge 0$ of each coordinate, its shell is
#
# $$
# N_i(r) = \{\tilde x : r \le \|\tilde x - x_i\|_\Sigma \le \gamma r\}, \qquad \|\delta\|_\Sigma^2 = \sum_j \sigma_j \delta_j^2, \qquad \sigma_j = \Big| \frac{\partial f_\theta(x_i)}{\partial x_j} \Big|,
# $$ (drocc-lf-shell)
#
# so that a coordinate counts as much as the classifier depends on it ({py:func}`adlib.drocc.influence`; scaled to a mean of 1, as in the authors' code, so that $r$ keeps its meaning). Where $\sigma_j$ is small, a negative may be anywhere.
#
# ## The projection
#
# After each step of the search a negative $\delta$ has to go back to the nearest point of the shell. With weights that point has no closed form. Proposition 1 of the paper gives the candidates,
#
# $$
# \delta_j / (1 + \tau \sigma_j),
# $$ (drocc-lf-projection)
#
# with one number $\tau > -1 / \max_j \sigma_j$, which the paper looks for on a grid, and its code among 40 random numbers. (But for one case: where $\delta$ is 0 on the largest weight, what is missing to the inner bound has to be put there.) The weighted length of {eq}`drocc-lf-projection` falls as $\tau$ rises, and the nearest point is the one that just meets the bound. So {py:func}`project_to_mahalanobis_shell <adlib.drocc.project_to_mahalanobis_shell>` halves an interval until $\tau$ is found, for a whole batch at once.
# {numref}`fig-lf-shell` shows where points of the plane go, if one coordinate weighs sixteen times as much as the other.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The shell between two ellipses, for weights 1 and 16, and the nearest points of the shell for points outside of it.", "name": "fig-lf-shell"}, "image": {"alt": "Two flat ellipses around a centre. Arrows lead from points inside the inner ellipse, mostly up or down, and from points beyond the outer ellipse to the nearest places on them."}}
weights, random = torch.tensor([1.0, 16.0]), np.random.default_rng(3)
directions = np.linspace(0, 2 * np.pi, 16, endpoint=False) + 0.2
inner, outer = (
    np.column_stack([a * np.cos(directions), b * np.sin(directions)])
    for a, b in ((0.6, 0.12), (2.9, 1.3))
)
starts = torch.from_numpy(np.concatenate([inner, outer]))
ends = project_to_mahalanobis_shell(starts, weights.double().expand(32, 2), 1.0, 2.0)
figure, axis = plt.subplots(figsize=(7, 3.2))
for size in (1, 2):
    ellipse = plt.matplotlib.patches.Ellipse((0, 0), 2 * size, size / 2, fill=False, color="#333333")
    axis.add_patch(ellipse)
axis.plot(0, 0, "o", color="C1")
axis.quiver(*starts.T, *(ends - starts).T, angles="xy", scale_units="xy", scale=1, width=0.003, color="C0")
axis.set(aspect="equal", xlim=(-3.1, 3.1), ylim=(-1.45, 1.45), xlabel="weight 1", ylabel="weight 16")
axis.grid(False)
plt.show()

# %% [markdown]
# Does it find the nearest point? Here are 100 random cases in 2 to 20 dimensions, against SciPy's general solver SLSQP (started from the radial projection, and from our answer, slightly moved), and against the search among 40 random $\tau$.


# %% tags=["hide-input"]
def size_of(delta, sigma):
    return math.sqrt((sigma * delta**2).sum())


def by_slsqp(delta, sigma, radius, gamma, starts):
    """Distance to the nearest point of the shell that the solver finds, inf if none."""
    bounds = [
        {"type": "ineq", "fun": lambda x: size_of(x, sigma) ** 2 - radius**2},
        {"type": "ineq", "fun": lambda x: (gamma * radius) ** 2 - size_of(x, sigma) ** 2},
    ]
    best = np.inf
    for start in starts:
        found = minimize(
            lambda x: ((x - delta) ** 2).sum(), start, method="SLSQP",
            jac=lambda x: 2 * (x - delta), constraints=bounds, options={"maxiter": 300, "ftol": 1e-12},
        )  # fmt: skip
        if radius - 1e-6 <= size_of(found.x, sigma) <= gamma * radius + 1e-6:
            best = min(best, math.sqrt(found.fun))
    return best


def by_draws(delta, sigma, radius, gamma, random, draws=40):
    """Distance to the nearest of the candidates for random tau that lie in the shell, inf if none does."""
    ratio = gamma * radius / size_of(delta, sigma)
    if ratio < 1:
        nu = random.uniform(0, ratio / (1 - ratio) * sigma.max(), draws)
        found = delta * nu[:, None] / (nu[:, None] + sigma)
    else:
        found = delta / (1 + random.uniform(-1 / sigma.max(), 0, draws)[:, None] * sigma)
    sizes = np.sqrt((sigma * found**2).sum(1))
    inside = (sizes >= radius) & (sizes <= gamma * radius)
    return np.linalg.norm(found - delta, axis=1)[inside].min(initial=np.inf)


# %%
random = np.random.default_rng(0)
found = []
while len(found) < 100:
    d = random.integers(2, 21)
    delta = random.normal(size=d) * random.choice([0.2, 1, 5])
    sigma, radius, gamma = random.exponential(size=d), random.choice([0.3, 1, 3]), random.choice([1, 2])
    if radius <= size_of(delta, sigma) <= gamma * radius:
        continue  # already in the shell
    tensors = torch.from_numpy(delta)[None], torch.from_numpy(sigma)[None]
    ours = project_to_mahalanobis_shell(*tensors, radius, gamma)[0].numpy()
    radial = delta * np.clip(size_of(delta, sigma), radius, gamma * radius) / size_of(delta, sigma)
    starts = [radial, ours + random.normal(0, 0.01, d)]
    found.append(
        {
            "γ": gamma,
            "ours": np.linalg.norm(ours - delta),
            "SLSQP": by_slsqp(delta, sigma, radius, gamma, starts),
            "40 draws": by_draws(delta, sigma, radius, gamma, random),
        }
    )
found = pd.DataFrame(found)

# %% tags=["hide-input"]
def compare(some, name):
    excess = 100 * (some[name] / some["ours"] - 1).replace(np.inf, np.nan).clip(lower=0)
    return {
        "search": name,
        "cases": len(some),
        "no point found": int(np.isinf(some[name]).sum()),
        "nearer than ours by over 0.0001": int((some[name] < some["ours"] - 1e-4).sum()),
        "median of the excess": "" if excess.isna().all() else f"{excess.median():.2f} %",
        "largest excess": "" if excess.isna().all() else f"{excess.max():.1f} %",
    }


display(Markdown("Distance moved by the other two, compared with ours:"))
summary = [
    {"γ": gamma} | compare(some, name)
    for gamma, some in found.groupby("γ")
    for name in ("SLSQP", "40 draws")
]
plots.table(pd.DataFrame(summary))

# %% [markdown]
# With $\gamma = 1$, which the paper recommends for images, the shell has no thickness, and a random candidate never lies in it.
#
# ## A sine wave in ten dimensions
#
# In the paper, the first two of ten coordinates lie on the sine wave of [chapter 4](04-drocc-sine.ipynb), and the other eight are standard normal noise; here all are scaled to mean 0 and standard deviation 1. DROCC is "forced", it says, to take $r = \sqrt d$. The paper shows pictures (Figure 1 c and d) and gives no number; it does not say which anomalies DROCC-LF was told, how many, or where. Here they lie above and below the curve, all at one distance, with noise like that of the data.
# That is a generous choice: they name the two coordinates that count.

# %%
D = 2 + P.noise_columns
R = P.radius or math.sqrt(D)
TEST = [0.2, 0.4, 0.6, 0.8, 1.0, 2.0]  # displacements of the anomalies in the test


class Noisy:
    """Points of one repetition, all scaled by the training points."""

    def __init__(self, seed):
        train = noisy_sine(P.n, [seed, 1], d=D)
        self.scaler = StandardScaler().fit(train)
        self.train = self.scaler.transform(train)
        self.known = self.points(P.n_known, [seed, 2], P.displaced)
        self.on = self.points(1000, [seed, 3])
        self.off = {v: self.points(1000, [seed, 4], v) for v in TEST}

    def points(self, n, seed, displaced=0.0):
        return self.scaler.transform(noisy_sine(n, seed, displaced, d=D))

    def auroc(self, detector, v):
        both = np.concatenate([self.on, self.off[v]])
        return auroc(np.repeat([0, 1], [len(self.on), len(self.off[v])]), detector.anomaly_score(both))


class TwoColumns:
    """Nearest neighbour that is told which two coordinates count: the best one could hope for."""

    def fit(self, x):
        self.knn = KNN(n_neighbors=1).fit(x[:, :2])
        return self

    def anomaly_score(self, x):
        return self.knn.anomaly_score(x[:, :2])


common = {"net": nets.mlp_128_128, "epochs": P.epochs, "lr": 3e-3, "device": P.device}
search = common | {
    "radius": R,
    "ascent_steps": P.ascent_steps,
    "ascent_step": 0.6 * R / max(1, P.ascent_steps),
    "project_every": 1,
}
at_random = search | {"ascent_steps": 0}
UNTOLD = {
    "OC-SVM": lambda seed: OCSVM(),
    "nearest neighbour": lambda seed: KNN(n_neighbors=1),
    "nearest neighbour, two columns": lambda seed: TwoColumns(),
    "DROCC": lambda seed: DROCC(random_state=seed, **search),
}
TOLD = {
    "classifier": lambda seed: DROCCOE(random_state=seed, mu=0, **common),
    "DROCC-OE": lambda seed: DROCCOE(random_state=seed, **search),
    "DROCC-LF": lambda seed: DROCCLF(random_state=seed, **search),
    "DROCC-OE, random negatives": lambda seed: DROCCOE(random_state=seed, **at_random),
    "DROCC-LF, random negatives": lambda seed: DROCCLF(random_state=seed, **at_random),
}
waves = [Noisy(seed) for seed in range(P.seeds)]
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "The ascent moves")
    fitted = [
        {name: make(seed).fit(wave.train) for name, make in UNTOLD.items()}
        | {name: make(seed).fit(wave.train, outliers=wave.known) for name, make in TOLD.items()}
        for seed, wave in enumerate(waves)
    ]
runs = pd.DataFrame(
    {"method": name, "seed": seed, "v": v, "AUROC": wave.auroc(detector, v)}
    for seed, wave in enumerate(waves)
    for name, detector in fitted[seed].items()
    for v in TEST
)

# %% [markdown]
# AUROC in percent of points that are displaced by $v$; mean over the seeds of this page and, in brackets, the lowest and the highest. The first four methods are not told any anomalies.


# %% tags=["hide-input"]
def spread(values, factor=100):
    values = factor * np.asarray(values)
    text = f"{values.mean():.1f}"
    return text + f" ({values.min():.1f} to {values.max():.1f})" * bool(np.ptp(values) > 0.05)


def wave_values(name, v):
    return runs[(runs["method"] == name) & (runs["v"] == v)]["AUROC"].tolist()


table = [
    {"method": name} | {f"v = {v:g}": spread(wave_values(name, v)) for v in TEST}
    for name in fitted[0]
]
plots.table(pd.DataFrame(table))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of 20 draws of the noise for which a method says normal, over the first two coordinates (seed 0; 5 % of the training points are outside). Blue: always, red: never. The dots are the data.", "name": "fig-lf-plane"}, "image": {"alt": "Six panels with the same sine curve, one for each method, coloured from red to blue by the share of noise draws for which the place is called normal."}}
SHOWN = ["DROCC", "DROCC-OE", "DROCC-LF", "OC-SVM", "classifier", "DROCC-LF, random negatives"]
ticks = np.linspace(-3, 3, 61)
plane = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 1, 2)
noise = np.random.default_rng(0).standard_normal((1, 20, P.noise_columns))
places = np.concatenate(
    [np.broadcast_to(plane, (len(plane), 20, 2)), np.broadcast_to(noise, (len(plane), 20, P.noise_columns))], 2
).reshape(-1, D)
figure, axes = plt.subplots(2, 3, figsize=(10, 6.4), sharex=True, sharey=True)
for axis, name in zip(axes.flat, SHOWN, strict=True):
    share = (fitted[0][name].predict(places) == 1).reshape(61, 61, 20).mean(2)
    axis.pcolormesh(ticks, ticks, share, cmap=sns.blend_palette(["#f4c7c3", "#ffffff", "#a9c9e8"], as_cmap=True), vmin=0, vmax=1, rasterized=True)
    axis.plot(*waves[0].train[:300, :2].T, ".", color="C1", markersize=2)
    axis.set_title(name, fontsize=10)
    axis.grid(False)
    axis.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
plt.show()

# %% [markdown]
# ```{claims} drocc-lf-noisy-drocc drocc-lf-noisy-like-ocsvm drocc-lf-noisy-optimal
# ```
#
# Which part does it? From DROCC to DROCC-OE the known anomalies are added, and nothing else; from DROCC-OE to DROCC-LF the weights; from the classifier to DROCC-OE the made-up negatives.

# %% tags=["hide-input"]
at = {name: np.array(wave_values(name, 0.4)) for name in fitted[0]}
STEPS = {
    "the known anomalies (DROCC to DROCC-OE)": at["DROCC-OE"] - at["DROCC"],
    "the made-up negatives (classifier to DROCC-OE)": at["DROCC-OE"] - at["classifier"],
    "the weights (DROCC-OE to DROCC-LF)": at["DROCC-LF"] - at["DROCC-OE"],
    "the weights, with random negatives": at["DROCC-LF, random negatives"]
    - at["DROCC-OE, random negatives"],
    "the search (DROCC-LF with random negatives to DROCC-LF)": at["DROCC-LF"]
    - at["DROCC-LF, random negatives"],
}
steps = [{"what is added": what, "points of AUROC at v = 0.4": spread(gain)} for what, gain in STEPS.items()]
plots.table(pd.DataFrame(steps))

# %% [markdown]
# And does DROCC-LF learn which coordinates count? {numref}`fig-lf-influence` shows the weights $\sigma_j$ of the trained networks. If the method works as described, they are far smaller for all but the first two. DROCC-OE stands beside it: it makes no use of the weights, so what its network has learned comes from the known anomalies and the negatives alone.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Mean weight of each coordinate over the training points, at the end of the training; dots are seeds. Without any preference all weights would be 1, the dashed line.", "name": "fig-lf-influence"}, "image": {"alt": "Dot plot of the mean weight over the number of the coordinate, for DROCC-OE and DROCC-LF, with a dashed line at 1."}}
influences = []
for seed, wave in enumerate(waves):
    for name in ("DROCC-OE", "DROCC-LF"):
        detector = fitted[seed][name]
        x = torch.from_numpy(wave.train).float().to(detector.device_)
        mean = influence(detector.logit, x).mean(0).tolist()
        influences += [{"method": name, "coordinate": j + 1, "weight": w, "seed": seed} for j, w in enumerate(mean)]
influences = pd.DataFrame(influences)
figure, axis = plt.subplots(figsize=(7, 3))
sns.stripplot(influences, x="coordinate", y="weight", hue="method", dodge=True, jitter=False, size=6, alpha=0.8, ax=axis)
axis.axhline(1, color="#666666", linestyle="--", linewidth=1)
axis.set_ylim(0)
axis.legend(fontsize=9)
plt.show()

# %% tags=["hide-input"]
of_noise = influences[influences["coordinate"] > 2].groupby(["method", "seed"])["weight"].mean()
of_curve = influences[influences["coordinate"] <= 2].groupby(["method", "seed"])["weight"].mean()
display(
    Markdown(
        "\n".join(
            f"- {name}: mean weight {of_curve[name].mean():.2f} for the two coordinates of the curve"
            + (f", {of_noise[name].mean():.2f} for those of the noise." if P.noise_columns else ".")
            for name in ("DROCC-OE", "DROCC-LF")
        )
        + f"\n- The first number differs by {abs(of_curve['DROCC-LF'].mean() - of_curve['DROCC-OE'].mean()):.2f} between "
        f"the two methods; from seed to seed it ranges over {np.ptp(of_curve['DROCC-LF']):.2f}."
    )
)

# %% [markdown]
# ## Zeros, ones, and half zeros
#
# The paper's test on images: zeros of MNIST are normal, ones are the known anomalies. The test has zeros, ones, and *half zeros* made from the test zeros by setting half of the pixels to black, which nobody was told of. A method may let 3 % (or 5 %) of the anomalies pass, ones and half zeros together; what counts is the share of the zeros that it then accepts, the recall.
# All methods have the convolutions of the authors' code, a LeNet with 8 and 4 channels and batch norm. Batch norm scales an image by the mean and the deviation of the images that pass with it, and in training the made-up negatives pass by themselves, in the code as in {py:class}`adlib.DROCC <adlib.drocc.DROCC>`. So there are three networks: *apart*, as the code has it; *together*, where rows, known anomalies and negatives pass in one batch (`one_batch=True`); and *none*, without batch norm. {numref}`fig-lf-images` shows the images and, for the networks without batch norm, what DROCC-OE and DROCC-LF take as negatives at the end of the training. The claims about the sine wave do not depend on which images are at hand.

# %%
images = datasets.choose(P.dataset, "mnist")
display(Markdown(datasets.banner(images, "mnist") or f"Images: {images.label}."))


def half(zeros, seed):
    """The images with each pixel set to black at even odds."""
    return zeros * (np.random.default_rng([seed, 5]).random(zeros.shape) < 0.5).astype(np.uint8)


class ZerosAndOnes:
    """Images of one repetition: for the training, held out from it, and for the test."""

    def __init__(self, seed):
        (self.zeros, held_zeros), (self.ones, self.held_ones) = (self.parts(digit, seed) for digit in (0, 1))
        self.held_halves = half(held_zeros, seed)  # these two for a threshold
        both = images.y_test < 2
        self.test, self.test_y = images.x_test[both], images.y_test[both]  # zeros and ones, in their order
        self.test_half = half(self.test[self.test_y == 0], seed + 1000)

    def parts(self, digit, seed):
        rows = np.random.default_rng([seed, digit]).permutation(np.flatnonzero(images.y_train == digit))
        n = min(P.n_images, 2 * len(rows) // 3)  # the rest is held out, at most 1,000 of each kind
        return images.x_train[rows[:n]], images.x_train[rows[n : n + 1000]]


def lenet_without_norm(shape):
    net = nets.lenet(shape)
    net.norms = torch.nn.ModuleList(torch.nn.Identity() for _ in net.norms)
    return net


class Scaled(torch.nn.Module):
    """Images in [0, 1] as the networks of the DROCC methods see them."""

    def forward(self, x):
        return to_network(x)


def deep_sad(net, **settings):
    """Deep SAD on the same scale as the others."""
    return DeepSAD(net=lambda shape: torch.nn.Sequential(Scaled(), net(shape)), **settings)


image_radius = math.sqrt(images.x_train[0].size) / 2
made = {
    "gamma": 1,
    "radius": image_radius,
    "ascent_steps": P.ascent_steps,
    "ascent_step": 0.5 * image_radius / max(1, P.ascent_steps),
    "project_every": 1,
}
IMAGE_METHODS = {
    "classifier": lambda **k: DROCCOE(mu=0, **k),
    "Deep SAD": deep_sad,
    "DROCC-OE": lambda **k: DROCCOE(**made, **k),
    "DROCC-LF": lambda **k: DROCCLF(**made, **k),
}
NETWORKS = {"apart": nets.lenet, "together": nets.lenet, "none": lenet_without_norm}
draws = [ZerosAndOnes(seed) for seed in range(P.image_seeds)]


def fit_images(network, name, seed):
    settings = {"net": NETWORKS[network], "epochs": P.image_epochs, "batch_size": 64, "lr": 3e-3}
    if network == "together":
        settings["one_batch"] = True
    detector = IMAGE_METHODS[name](random_state=seed, device=P.device, **settings)
    return detector.fit(draws[seed].zeros, outliers=draws[seed].ones)


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "The ascent moves")
    trained = {
        (network, name, seed): fit_images(network, name, seed)
        for seed in range(P.image_seeds)
        for network in NETWORKS
        for name in IMAGE_METHODS
        if network != "together" or name.startswith("DROCC")  # the others make no negatives
    }

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Zeros, half zeros and ones; negatives that DROCC-OE and DROCC-LF make from these zeros for their trained networks without batch norm (brightness cut to that of images); and the square roots of the weights of the pixels for DROCC-LF, the darker the larger.", "name": "fig-lf-images"}, "image": {"alt": "Six rows of small images: zeros, the same with half of the pixels missing, ones, noisy negatives of the two methods, and maps of the weights of the pixels."}}
shown = draws[0].zeros[:6]
rows = {"zeros": shown / 255, "half zeros": half(shown, 0) / 255, "ones": draws[0].ones[:6] / 255}
for name in ("DROCC-OE", "DROCC-LF"):
    detector = trained["none", name, 0]
    x = to_network(torch.from_numpy(shown).float().to(detector.device_) / 255)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    sigma = influence(detector.logit, x) if name == "DROCC-LF" else None
    delta = ascend(detector.logit, x, noise, P.ascent_steps, made["ascent_step"], image_radius, 1, 1, sigma)
    rows[f"negatives, {name}"] = (0.5 + 0.25 * (x + delta)).clamp(0, 1).cpu().numpy()
rows["weights, DROCC-LF"] = (sigma / sigma.amax(1, keepdim=True)).sqrt().view_as(x).cpu().numpy()
plots.image_grid(np.stack([r[:, 0] for r in rows.values()]), list(rows), [""] * 6)
plt.show()

# %% [markdown]
# The threshold can be set in three ways. *Held out, ones*: from ones of the training set that no network has seen; it is all that somebody could do who does not expect half zeros. *Held out, both*: from those ones and from half zeros made of held-out zeros: no test image is used, but the kind of anomaly is. *Oracle*: from the test anomalies themselves, as the authors' code does.
#
# And the test images can be given to the network in several ways. *Alone*: each by itself, as in every other chapter; batch norm uses the means and deviations that it has kept from the training. The authors' code never switches its network from training to testing, so that batch norm takes the mean and the deviation of whatever images it is given together. It gives it zeros and ones in their mixed order, and then the half zeros, in batches of their own: *half zeros apart*.
# Two controls show what that measures. *Mixed batches*: all test images, shuffled. *Zeros apart*: as in the code, but with the *intact* zeros in the place of the half zeros, zeros with ones on one side and the same zeros among themselves on the other. There is nothing to find there; a recall far above 3 % can only come from the batches.


# %%
@torch.no_grad()
def normality_in_batches(detector, x):
    """Scores, larger is normal, where batch norm takes the mean and the deviation of the batch it is given."""
    detector = copy.deepcopy(detector)  # since batch norm remembers what it is given
    detector.model_.train()
    scores = []
    for batch in torch.from_numpy(x).to(detector.device_).float().div(255).split(128):
        if isinstance(detector, DeepSAD):
            features = detector.model_.net(batch)
            scores.append(-squared_distance(features, detector.model_.center))
        else:
            scores.append(detector.logit(to_network(batch)))
    return torch.cat(scores).cpu().double().numpy()


def all_scores(detector, draw):
    """{way: scores of (test zeros, test ones, half zeros or what stands for them)}, larger is normal."""
    is_zero, test, halves = draw.test_y == 0, draw.test, draw.test_half
    together = normality_in_batches(detector, test)
    order = np.random.default_rng(0).permutation(len(test) + len(halves))
    mixed = np.empty(len(order))
    mixed[order] = normality_in_batches(detector, np.concatenate([test, halves])[order])
    pairs = {
        "alone": (-detector.anomaly_score(test), -detector.anomaly_score(halves)),
        "half zeros apart": (together, normality_in_batches(detector, halves)),
        "mixed batches": (mixed[: len(test)], mixed[len(test) :]),
        "zeros apart": (together, normality_in_batches(detector, test[is_zero])),
    }
    return {way: (s[is_zero], s[~is_zero], third) for way, (s, third) in pairs.items()}


scores = {key: all_scores(detector, draws[key[2]]) for key, detector in trained.items()}


# %% tags=["hide-input"]
def evaluate(network, name, seed, way):
    """Recall at 3 and 5 % by each threshold, in percent; held-out thresholds for images alone."""
    zeros, ones, halves = scores[network, name, seed][way]
    anomalies = np.concatenate([ones, halves])
    y = np.repeat([1, 0], [len(zeros), len(anomalies)])  # 1 for the class whose recall counts
    row = {"network": network, "method": name, "seed": seed, "way": way}
    row["loss"] = trained[network, name, seed].history_[-1]
    row["AUROC"] = auroc(np.repeat([0, 1], [len(zeros), len(halves)]), -np.concatenate([zeros, halves]))
    for percent in (3, 5):
        row[f"test {percent}"] = recall_at_fpr(y, np.concatenate([zeros, anomalies]), percent / 100)
    if way == "alone":
        detector, draw = trained[network, name, seed], draws[seed]
        held_ones, held_halves = (-detector.anomaly_score(x) for x in (draw.held_ones, draw.held_halves))
        for kind, held_out in {"ones": held_ones, "both": np.concatenate([held_ones, held_halves])}.items():
            for percent in (3, 5):
                threshold = threshold_at(held_out, percent / 100)
                row[f"{kind} {percent}"] = np.mean(zeros > threshold)
                row[f"{kind} passed {percent}"] = np.mean((halves if kind == "ones" else anomalies) > threshold)
    return row


results = pd.DataFrame(evaluate(*key, way) for key in scores for way in scores[key])
PAPER = {"classifier": 54, "Deep SAD": 90.91, "DROCC-OE": 98.16, "DROCC-LF": 99.4}
NAMES = {"apart": "batch norm, negatives apart", "together": "batch norm, all together", "none": "no batch norm"}


def of(network, name, way, column):
    some = results[(results["network"] == network) & (results["method"] == name)]
    return some[some["way"] == way][column].tolist()


ALONE = {
    "held out, ones": "ones 3",
    "half zeros that then pass": "ones passed 3",
    "held out, both": "both 3",
    "anomalies that then pass": "both passed 3",
    "held out, both, 5 %": "both 5",
    "oracle": "test 3",
    "oracle, 5 %": "test 5",
    "AUROC, half zeros": "AUROC",
}
display(
    Markdown(
        f"Each image **alone**. Recall in percent at 3 % where nothing else is said, mean over {P.image_seeds} seed(s) and, in "
        "brackets, the lowest and the highest. *Oracle*: the threshold is set on the test anomalies. The last loss of a DROCC method near 1.39, twice log 2, "
        "says that rows and made-up negatives are not told apart yet."
    )
)
table = [
    {"network": NAMES[network], "method": name}
    | {title: spread(of(network, name, "alone", column)) for title, column in ALONE.items()}
    | {"last loss": np.mean(of(network, name, "alone", "loss")), "paper": PAPER[name]}
    for network, name in dict.fromkeys(key[:2] for key in trained)
]
plots.table(pd.DataFrame(table), 2)

# %% tags=["hide-input"]
WAYS = ["alone", "half zeros apart", "mixed batches", "zeros apart"]
display(
    Markdown(
        "The same networks, images **alone or in batches**. Recall in percent at 3 %, oracle threshold. "
        "*Half zeros apart* is how the authors' code tests, *zeros apart* the control with nothing to find:"
    )
)
table = [
    {"network": NAMES[network], "method": name}
    | {way: spread(of(network, name, way, "test 3")) for way in WAYS}
    | {"paper": PAPER[name]}
    for network, name in dict.fromkeys(key[:2] for key in trained)
    if network != "none"
]
plots.table(pd.DataFrame(table), 2)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Scores of DROCC-OE for the test (seed 0), with batch norm and negatives apart, in four ways; and alone, with all together and without batch norm. The larger, the more normal. The third kind is half zeros, but for the fourth panel, where it is zeros among themselves. Dashed: the threshold that lets 3 % of the anomalies pass. Scores beyond the picture stand at its edges.", "name": "fig-lf-scores"}, "image": {"alt": "Six panels with three histograms each, of the scores of zeros, ones and half zeros."}}
PANELS = [("apart", way) for way in WAYS] + [("together", "alone"), ("none", "alone")]
figure, axes = plt.subplots(2, 3, figsize=(10, 5), layout="constrained")
for axis, (network, way) in zip(axes.flat, PANELS, strict=True):
    parts = scores[network, "DROCC-OE", 0][way]
    threshold = threshold_at(np.concatenate(parts[1:]), 0.03)
    low, high = np.quantile(np.concatenate([parts[0], parts[2]]), [0.02, 0.99])
    for part, label in zip(parts, ("zeros", "ones", "half zeros"), strict=True):
        axis.hist(part.clip(low, high), bins=np.linspace(low, high, 41), alpha=0.6, density=True, label=label)
    axis.axvline(threshold, color="#333333", linestyle="--", linewidth=1)
    axis.set(yticks=[], xlabel="score")
    axis.set_title(f"{NAMES[network]}: {way}", fontsize=9)
axes.flat[0].legend(fontsize=8)
plt.show()

# %% tags=["hide-input"]
def in_order(network, way):
    means = {
        name: 100 * np.mean(of(network, name, way, "test 3"))
        for name in IMAGE_METHODS
        if (network, name, 0) in trained
    }
    return ", ".join(f"{name} {means[name]:.0f} %" for name in sorted(means, key=means.get))


words = [
    f"Negatives apart, images alone, worst first: {in_order('apart', 'alone')}.",
    f"The same networks, half zeros in batches of their own: {in_order('apart', 'half zeros apart')}.",
    f"The same networks, mixed batches: {in_order('apart', 'mixed batches')}.",
    f"The same networks, intact zeros in the place of the half zeros: {in_order('apart', 'zeros apart')}.",
    f"All together in training, images alone: {in_order('together', 'alone')}.",
    f"No batch norm: {in_order('none', 'alone')}.",
]
display(Markdown("At 3 %, oracle threshold:\n\n" + "\n".join(f"- {w}" for w in words)))

# %% [markdown]
# ```{claims} drocc-lf-mnist-bce drocc-lf-mnist-sad drocc-lf-mnist-oe drocc-lf-mnist-lf drocc-lf-mnist-lf-alone drocc-lf-mnist-oe-over-sad drocc-lf-mnist-lf-over-oe
# ```
#
# A network that is shown its negatives in batches of their own can learn to tell *batches*: what is normal comes with ones beside it, what is made up comes without. Batch norm carries that to each image of the batch. In the test, too, the zeros come with ones and the half zeros without. An image by itself is scored with kept statistics that fit neither case.
# If in the table above the control has a recall as high as the half zeros, then the number does not say that missing pixels are seen. Train with all kinds in one batch, or without batch norm, and the scores of single images show what the methods can do.
#
# ## What the authors' code does
#
# - **Testing in training mode**, as above; the kept means and deviations even go on changing with the test images. And in training they follow each pass of the negatives (`batchnorm_tracks_negatives=True`), which this page leaves off.
# - **The threshold** is the score of a test anomaly, ones and half zeros pooled, and one version of the trainer keeps the epoch with the best recall on the test. Here it is the last epoch.
# - **The network** has the same convolutions, then two linear layers without a bias or anything in between; here, 32 features, a leaky ReLU, and one unit.
# - **Half zeros** lose 40 % of their pixels there, 50 % in the paper.
# - **50 epochs** without negatives come first, then 50 with. Each negative starts as standard normal noise and is projected after every fifth step in one version of the code, every tenth in another; Algorithm 1 projects after each.
# - **The projection** is the nearest of 40 random candidates, and where none lies in the shell, the negative stays where it is.
# - **Weights** are those of the loss, scaled to a mean of 1; that is the same as $\sigma_j$ in {eq}`drocc-lf-shell`, scaled, unless the loss vanishes.
# - For MNIST the code's documentation has $r = 16$ and $\gamma = 2$. Standard normal noise in 784 dimensions has a length of about 28, which lies between $r$ and $\gamma r$: hardly anything is ever projected. This page takes $r = \sqrt d / 2$ and $\gamma = 1$, as Section 5.1 has it for images.
# - There is no script for the noisy sine wave, and none for Deep SAD or DROCC-OE.
#
# ## What could go wrong
#
# - **The wrong known anomalies.** They decide what the classifier looks at, and so the weights. Anomalies that differ in other coordinates than those of the test teach the method to ignore what counts.
# - **Weights of an untrained network** say nothing, and negatives made with them shape the network that makes the next weights.
# - **Where the weight is small, noise stays.** A negative that may be anywhere along a coordinate without weight is easily told by that coordinate, once the network looks there.
#
# ## Check yourself
#
# ```{quiz}
# - question: DROCC-LF gives a coordinate a weight near zero. Where may a negative be in that coordinate?
#   answers:
#     - text: Close to the data, since a small weight means a small move.
#       why: It is the other way round. A move along this coordinate hardly counts, so nothing holds it back.
#     - text: Anywhere.
#       right: true
#       why: The weighted length hardly notices it. All of the distance that is asked for has to come from coordinates with weight.
#     - text: At a distance of $r$.
#       why: That distance is asked of the weighted length of the whole vector, not of each coordinate.
# - question: Which comparison shows what the learned *weights* add?
#   answers:
#     - text: DROCC against DROCC-LF.
#       why: Two things differ there, the known anomalies and the weights. You cannot tell which one helped.
#     - text: The classifier against DROCC-LF.
#       why: There the made-up negatives are added as well.
#     - text: DROCC-OE against DROCC-LF.
#       right: true
#       why: Both know the same anomalies and make up negatives. Only the weights differ.
# - question: A test puts half zeros into batches of their own and finds them. Intact zeros in batches of their own are "found" just as well. What was measured?
#   answers:
#     - text: That the network sees missing pixels.
#       why: Intact zeros miss nothing, and are flagged all the same.
#     - text: That zeros and half zeros look alike.
#       why: They may or may not. The two kinds of *batch* look different, and batch norm lets the network see that.
#     - text: How the batches were put together.
#       right: true
#       why: That is the only thing in which the intact zeros differ from the zeros on the other side of the test.
# ```
#
# ## Exercises
#
# ```{exercise} A lopsided shell
# :label: ex-lf-shell
#
# Take $r = 1$ and $\gamma = 2$. Where does $\delta = (3, 3)$ go if both weights are 1, and where, roughly, if they are 16 and 1? And where does $\delta = (0, 5)$ go if the weights are 2 and 0? Answer from {eq}`drocc-lf-projection`, then check with {py:func}`project_to_mahalanobis_shell <adlib.drocc.project_to_mahalanobis_shell>`.
# ```
#
# ````{solution} ex-lf-shell
# :label: sol-lf-shell
# :class: dropdown
#
# With equal weights, $\delta$ is shortened to length 2 without turning: $(\sqrt 2, \sqrt 2)$. With weights 16 and 1 its weighted length is $\sqrt{16 \cdot 9 + 9} \approx 12.4$, far too long. Each coordinate is divided by $1 + \tau \sigma_j$: the heavy one shrinks much more than the light one. It costs the length most and is cheapest to cut.
#
# $(0, 5)$ with weights 2 and 0 has weighted length 0, which is too short. Moving along the second coordinate cannot change that. So the second stays at 5, and the first takes on what is missing: $2 \delta_1^2 = 1$, $\delta_1 = \sqrt{1/2}$. This is the special case that the text puts in brackets.
#
# ```python
# for delta, weights in (([3, 3], [1, 1]), ([3, 3], [16, 1]), ([0, 5], [2, 0])):
#     delta, weights = torch.tensor([delta]).float(), torch.tensor([weights]).float()
#     print(project_to_mahalanobis_shell(delta, weights, radius=1.0, gamma=2.0))
# ```
# ````
#
# ```{exercise} Who sits in the same batch?
# :label: ex-lf-batch
#
# Why is a network without batch norm indifferent to how its test images are put into batches? Which of these would not be: layer norm, group norm, dropout left on, attention among the pixels of an image, scaling by the minimum and maximum of the batch? And why is a network *with* batch norm indifferent to it as well, if used as intended?
# ```
#
# ```{solution} ex-lf-batch
# :label: sol-lf-batch
# :class: dropdown
#
# Convolutions, linear layers and activations treat each image by itself: the batch is only a way to do many at once. The question for every other layer is over what it takes its mean. Layer norm and group norm take it within one image, and attention among the pixels of an image looks at that image alone: all indifferent. Dropout makes a score random, but what lies beside an image plays no part. Scaling by the batch does depend on the neighbours, as the scores of [chapter 3](03-ns-ablation.ipynb) would.
#
# Batch norm takes mean and deviation over the batch in *training*. For testing it switches to the values that it has kept, and then each image is by itself again. The authors' code never makes that switch.
# ```
#
# ```{exercise} Which part does it?
# :label: ex-lf-parts
#
# Run the sine wave alone, with as little of the images as possible: `-p seeds 2 -p n_images 40 -p image_epochs 1 -p image_seeds 1`. At $v = 0.4$, rank what is added by the known anomalies, the made-up negatives and the weights. Would you rank them in the same way if the negatives were random? What would you need before you call the last gain real?
# ```
#
# ```{solution} ex-lf-parts
# :label: sol-lf-parts
# :class: dropdown
#
# In our run the known anomalies added most, then the negatives, and the weights least: a few points, for both seeds. With *random* negatives the gain by the weights was smaller still, and for one of the seeds there was none. The random negatives also made DROCC-OE better than the searched ones did, so that little was left for the weights to add. Read row by row, the table gives the weights two different values, and which one you quote decides what the method seems to be worth.
#
# Two seeds are too few for a gain that is smaller than the distance between the seeds of one row. More seeds, compared pairwise as in the table, would settle it for this curve; other noise and other known anomalies would have to settle it for the idea. And DROCC-OE already leans on the right two coordinates without using any weights ({numref}`fig-lf-influence`).
# ```
#
# Run it yourself, with fewer images and random negatives:
#
# ```bash
# papermill notebooks/05-drocc-lf.ipynb out.ipynb -p n_images 300 -p ascent_steps 0
# ```

# %% tags=["remove-cell"]
names = {
    "OC-SVM": "ocsvm",
    "nearest neighbour": "nn",
    "nearest neighbour, two columns": "nn_two_columns",
    "DROCC": "drocc",
    "classifier": "classifier",
    "Deep SAD": "sad",
    "DROCC-OE": "oe",
    "DROCC-LF": "lf",
    "DROCC-OE, random negatives": "oe_random",
    "DROCC-LF, random negatives": "lf_random",
}
values = {
    f"auroc_{names[name]}_{f'{v:g}'.replace('.', '_')}": wave_values(name, v)
    for name in fitted[0]
    for v in TEST
}
gap = np.abs(at["DROCC"] - at["OC-SVM"])
values |= {"auroc_gap_drocc_ocsvm_0_4": gap.tolist()}
values |= {
    f"recall_{names[name]}_{network}_{way.replace(' ', '_')}": of(network, name, way, "test 3")
    for network, name in dict.fromkeys(key[:2] for key in trained)
    for way in WAYS
}
rows = np.concatenate([wave.train for wave in waves])
sine = datasets.generated("noisy sine wave (generated)", rows)
receipt.record("05-drocc-lf", P, datasets.together([sine, images]), values)
