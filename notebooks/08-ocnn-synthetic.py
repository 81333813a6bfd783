# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An objective without a minimum
#
# The first experiment of OC-NN {cite:p}`chalapathy2018` is on made-up points in 512 dimensions, and its result "a near certainty": all ten anomalies get negative scores. This chapter repeats it with points that the network has not seen. With the linear layer that the paper recommends the objective has no minimum on these points, and the scores cannot find the anomalies; a small change mends both.
#
# ```{claims} ocnn-synthetic-all-ten ocnn-synthetic-like-ocsvm ocnn-mnist-ocnn ocnn-mnist-rcae ocnn-mnist-svdd ocnn-mnist-rcae-over-svdd ocnn-cifar-rcae ocnn-cifar-three-over-svdd ocnn-signs-rcae ocnn-signs-rcae-over-svdd ocnn-cifar-three-classes ocnn-cifar-two-of-ten
# ```

# %% tags=["parameters"]
n: int = 190  # normal training points, 190 in the paper
n_anomalies: int = 10  # anomalies, 10 in the paper
d: int = 512  # dimensions, 512 in the paper
nu: float = 0.05  # share of training points below the threshold
hidden: int = 32  # units of the hidden layer, 32 in the authors' script
cosines: int = 512  # units of the layer of random cosines
epochs: int = 300  # passes over the points
lr: float = 0.01  # learning rate
dimensions: list = [2, 32, 128, 256, 512]  # dimensions for the map of endings
shifts: list = [0.0, 2.0, 4.0, 6.0, 8.0]  # distances from the origin for the map of endings
bandwidths: list = [0.02, 1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1024.0]  # bandwidths of the cosines
seeds: int = 10  # number of repetitions, seeds 0, 1, 2 and so on
dataset: str = "auto"  # images, mnist, cifar10, digits, or auto for the paper's two
normal: int = 8  # class of images that is normal
images: int = 600  # training images of that class
image_epochs: int = 10  # passes over them
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
from sklearn.svm import OneClassSVM

from adlib import OCNN, RCAE, Autoencoder, data, nets
from adlib.companion import datasets, papers, plots, receipt, recorded
from adlib.companion.params import ChapterParams
from adlib.data import ocnn_synthetic
from adlib.metrics import auroc
from adlib.ocnn import nu_quantile, ocnn_objective

Count = Annotated[int, Field(ge=1, le=100000, strict=True)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


class Params(ChapterParams):
    n: Annotated[int, Field(ge=20, le=10000, strict=True)]
    n_anomalies: Annotated[int, Field(ge=2, le=10000, strict=True)]
    d: Annotated[int, Field(ge=2, le=10000, strict=True)]
    nu: Annotated[float, Field(ge=0.05, le=0.5)]  # at least one of 20 points
    hidden: Count
    cosines: Count
    epochs: Annotated[int, Field(ge=11, le=100000, strict=True)]
    lr: Annotated[float, Field(gt=0, le=1)]
    dimensions: Annotated[
        list[Annotated[int, Field(ge=2, le=4096, strict=True)]], Field(min_length=1, max_length=8)
    ]
    shifts: Annotated[
        list[Annotated[float, Field(ge=0, le=1000)]], Field(min_length=1, max_length=8)
    ]
    bandwidths: Annotated[list[Positive], Field(min_length=1, max_length=12)]
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]
    dataset: Literal["auto", "mnist", "cifar10", "digits"]
    normal: Annotated[int, Field(ge=0, le=9, strict=True)]
    images: Annotated[int, Field(ge=50, le=6000, strict=True)]
    image_epochs: Annotated[int, Field(ge=1, le=1000, strict=True)]


P = Params.from_notebook(globals())
plots.set_style()
N_FRESH = 1000


class Points:
    """Training points, and two kinds of anomalies and normal points that the network has not seen."""

    def __init__(self, seed):
        self.train, self.anomalies = ocnn_synthetic(P.n, P.n_anomalies, seed, P.d)
        self.fresh, self.fresh_anomalies = ocnn_synthetic(N_FRESH, N_FRESH // 10, seed + 10**6, P.d)


draws = [Points(seed) for seed in range(P.seeds)]

# %% [markdown]
# ## The points
#
# Normal points have 512 independent coordinates with mean 0 and standard deviation 2, anomalies the same with standard deviation 10. The paper trains on the normal points and tests on the anomalies. There is nothing hard about this: in 512 dimensions the length of such a point hardly varies, and one number tells the two apart.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Lengths of the points of seed 0, on a logarithmic axis.", "name": "fig-ocnn-lengths"}, "image": {"alt": "Histogram of the lengths of normal points and of anomalies, in two colours."}}
lengths = {
    "normal": np.linalg.norm(draws[0].train, axis=1),
    "anomalous": np.linalg.norm(draws[0].anomalies, axis=1),
}
figure, axis = plt.subplots(figsize=(7, 2.4))
bins = np.geomspace(
    0.9 * min(map(min, lengths.values())), 1.1 * max(map(max, lengths.values())), 50
)
for name, some in lengths.items():
    axis.hist(some, bins=bins, alpha=0.7, label=name)
axis.set(xscale="log", xlabel="length", ylabel="points")
axis.legend(fontsize=9)
plt.show()

# %% [markdown]
# ## Four layers
#
# {numref}`fig-ocnn-histograms` is the paper's Figure 2, for four hidden layers $g$: linear, which the paper says "produced the best results", sigmoid, ReLU, and a layer of random cosines, of which more below. New here are the green scores: normal points that were *not* trained on. A score below 0 says "anomalous".

# %%
LAYERS = {
    "linear": {"activation": "linear", "hidden": P.hidden},
    "sigmoid": {"activation": "sigmoid", "hidden": P.hidden},
    "ReLU": {"activation": "relu", "hidden": P.hidden},
    "cosine": {"activation": "cosine", "hidden": P.cosines},
}
common = {"nu": P.nu, "epochs": P.epochs, "lr": P.lr, "device": P.device}


def trained(x, seed, **settings):
    with warnings.catch_warnings(action="ignore"):  # it says how it ended; so does the table below
        return OCNN(random_state=seed, **common | settings).fit(x)


networks = {
    (name, seed): trained(points.train, seed, **layer)
    for seed, points in enumerate(draws)
    for name, layer in LAYERS.items()
}
machines = {
    (f"OC-SVM, {kernel}", seed): OneClassSVM(kernel=kernel, nu=P.nu).fit(points.train)
    for seed, points in enumerate(draws)
    for kernel in ("linear", "rbf")
}

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Decision scores (normal is positive) of seed 0, divided by their standard deviation over the training points; the bars of each kind add up to one. The dashed line is the threshold.", "name": "fig-ocnn-histograms"}, "image": {"alt": "Four panels, one for each hidden layer, with histograms of the scores of training points, fresh normal points and anomalies, and a dashed line at 0."}}
figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
for axis, name in zip(axes, LAYERS, strict=True):
    network, points = networks[name, 0], draws[0]
    kinds = {"training": points.train, "anomalous": points.anomalies, "fresh normal": points.fresh}
    scores = {kind: -network.anomaly_score(x) for kind, x in kinds.items()}
    scale = scores["training"].std() or 1.0
    everything = np.concatenate(list(scores.values())) / scale
    bins = np.linspace(*np.quantile(everything, [0.002, 0.998]), 41)
    for kind, some in scores.items():
        parts = np.full(len(some), 1 / len(some))
        axis.hist(
            (some / scale).clip(bins[0], bins[-1]), bins=bins, alpha=0.6, weights=parts, label=kind
        )
    axis.axvline(0, color="#333333", linestyle="--", linewidth=1)
    axis.set(title=name, xlabel="score", yticks=[])
axes[0].legend(fontsize=8)
plt.show()


# %%
def judge(name, seed, score, ended=""):
    """One row of the table, from a function that gives anomaly scores with the threshold at 0."""
    points = draws[seed]
    train, fresh = score(points.train), score(points.fresh)
    ten, more = score(points.anomalies), score(points.fresh_anomalies)
    return {
        "method": name,
        "seed": seed,
        "AUROC, training points": auroc(
            np.repeat([0, 1], [P.n, P.n_anomalies]), np.concatenate([train, ten])
        ),
        "AUROC, fresh points": auroc(
            np.repeat([0, 1], [len(fresh), len(more)]), np.concatenate([fresh, more])
        ),
        "anomalies below 0": np.mean(ten > 0),  # the paper's sign: normal is above
        "fresh normals below 0": np.mean(fresh > 0),
        "ended": ended,
    }


runs = [
    judge(name, seed, network.anomaly_score, network.outcome_)
    for (name, seed), network in networks.items()
]
runs += [
    judge(name, seed, lambda x, machine=machine: -machine.decision_function(x))
    for (name, seed), machine in machines.items()
]
runs = pd.DataFrame(runs)

# %% tags=["hide-input"]
MEASURES = [
    "AUROC, training points",
    "AUROC, fresh points",
    "anomalies below 0",
    "fresh normals below 0",
]


def endings(values):
    counts = values[values != ""].value_counts()
    return ", ".join(f"{name} {count}" for name, count in counts.items())


display(
    Markdown(
        "Mean over the seeds and, in brackets, the lowest and the highest. Last column: in how many seeds the training ended how."
    )
)
plots.table(
    pd.DataFrame(
        {"method": name}
        | {measure: plots.spread(some[measure], 2) for measure in MEASURES}
        | {"ended": endings(some["ended"])}
        for name, some in runs.groupby("method", sort=False)
    )
)

# %% [markdown]
# *AUROC, training points* compares the anomalies with points that the network was trained on, as the paper does. *AUROC, fresh points* compares 100 new anomalies with 1,000 new normal points, which is what a detector is for. *On par with the OC-SVM* depends on the kernel: the paper's is Gaussian; the linear one stands beside it.
#
# ```{claims} ocnn-synthetic-all-ten ocnn-synthetic-like-ocsvm
# ```
#
# Could the linear layer do any better? Its scores are $\langle u, x\rangle$ with $u = V^\top w$: a projection to one direction. A fresh point of either kind, projected to a direction that was chosen before it was drawn, is normally distributed around 0. Whatever $u$ is, about half of the anomalies lie on either side of 0. A threshold that more than half of them fall below lies above 0, and then more than half of the fresh normal points fall below it, too. Nothing that learns a direction can find such anomalies; their length can. ReLU is worse still: without biases the score of $5x$ is five times that of $x$, and an anomaly is five times a normal point, so above 0 it is the anomalies that lie farther out.
#
# ## Why there is no minimum
#
# Let $g$ be linear or ReLU, and multiply $w$ and $V$ by a number $c > 0$ and $r$ by $c^2$. All scores become $c^2$ times as large, and so does each term of the objective:
#
# $$
# J(cw, cV, c^2 r) = c^2 J(w, V, r).
# $$ (ocnn-homogeneous)
#
# So if $J$ is negative anywhere, it has no lower bound: take a larger $c$. And if it is nowhere negative, the best is $w = V = 0$, where all scores are equal. There is nothing in between. {numref}`fig-ocnn-homogeneous` multiplies the weights of the trained networks.


# %%
@torch.no_grad()
def objective_times(network, c, x):
    """J after w and V (w alone for cosines, where V is fixed) were multiplied by c, with the best r."""
    network = copy.deepcopy(network)
    for weight in network.model_.head.parameters():
        weight.mul_(c)
    scores = network.normality(torch.from_numpy(x).float().to(network.device_))
    r = nu_quantile(scores, P.nu)
    return (network.model_.head.penalty() + ocnn_objective(r, scores, P.nu)).item()


factors = np.geomspace(0.1, 10, 21)
curves = pd.DataFrame(
    {"layer": name, "seed": seed, "c": c, "J": objective_times(network, c, draws[seed].train)}
    for (name, seed), network in networks.items()
    if seed < 3
    for c in factors
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "J over c, divided by c² and by the size of J at c = 1; one line for each of up to three seeds. A flat line is homogeneity of degree two; at 1 the objective is positive and the best c is 0, at -1 it is negative and the best c is infinite.", "name": "fig-ocnn-homogeneous"}, "image": {"alt": "Four panels of the scaled objective over the factor c. For the linear layer and ReLU the lines are flat, for sigmoid and cosine they are curved."}}
figure, axes = plt.subplots(1, 4, figsize=(11, 2.7), layout="constrained", sharex=True)
for axis, name in zip(axes, LAYERS, strict=True):
    for seed, some in curves[curves["layer"] == name].groupby("seed"):
        at_one = abs(some.loc[np.isclose(some["c"], 1), "J"].iloc[0]) or 1.0
        axis.plot(some["c"], some["J"] / some["c"] ** 2 / at_one, label=f"seed {seed}")
    axis.set(title=name, xscale="log", xlabel="c")
    axis.set_ylim(*(np.array([-1.5, 1.5]) if name in ("linear", "ReLU") else axis.get_ylim()))
axes[0].set_ylabel("J(c) / (c² |J(1)|)")
plt.show()

# %% tags=["hide-input"]
flat = {}
for name, some in curves.groupby("layer", sort=False):
    scaled = (some["J"] / some["c"] ** 2).groupby(some["seed"])
    flat[name] = float(
        ((scaled.max() - scaled.min()) / scaled.apply(lambda v: v.abs().max())).max()
    )
display(
    Markdown(
        "Largest relative change of J(c) / c² over the factors: "
        + ", ".join(f"{name} {value:.1g}" for name, value in flat.items())
        + "."
    )
)

# %% [markdown]
# ## Collapse, or no end
#
# Which of the two ends does the linear layer take? For a fixed direction $u$, the smallest $\frac12(\|w\|^2 + \|V\|^2)$ with $V^\top w = u$ is $\|u\|$, and the other terms are, with the best $r$, minus the mean of the lowest scores ($N\nu$ of them; an {ref}`exercise of the last chapter <ex-ocnn-lowest>`). Both grow in proportion to $\|u\|$. So $J$ can be negative exactly if there is a direction along which the mean of the lowest $N\nu$ projections,
#
# $$
# m = \max_{\|u\| = 1} \; \frac{1}{N\nu} \sum_{\text{lowest}} \langle u, x_n\rangle,
# $$ (ocnn-margin)
#
# is more than 1. A linear one-class SVM finds that direction, and the length of its weight vector is $m$, or 0 where every direction has a negative mean. (If $N\nu$ is no whole number, the last score counts in part.) {numref}`fig-ocnn-phase` shows what training does, for normal points with standard deviation 2 around a centre at some distance from the origin, in few and in many dimensions.


# %%
def margin(x):
    """m: the length of the weight vector of a linear one-class SVM, in the units of the objective."""
    svm = OneClassSVM(kernel="linear", nu=P.nu).fit(x)  # its weights are nu n times as large
    return np.linalg.norm(svm.coef_) / (P.nu * len(x))


phases = []
for dimension in P.dimensions:
    for shift in P.shifts:
        for seed in range(min(3, P.seeds)):
            x, _ = ocnn_synthetic(P.n, 2, seed, dimension)
            x += shift / math.sqrt(dimension)
            ended = trained(x, seed, activation="linear", hidden=P.hidden).outcome_
            about = {"dimensions": dimension, "distance": shift, "seed": seed}
            phases.append(about | {"ended": ended, "m": margin(x)})
phases = pd.DataFrame(phases)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of the seeds whose training runs off, by dimension and by distance of the centre from the origin; the others collapsed, or had not ended. The number in a cell is the mean of m: above 1 the objective has no lower bound.", "name": "fig-ocnn-phase"}, "image": {"alt": "Heat map with the dimension downwards and the distance to the right. Each cell is coloured by the share of seeds that run off and holds the number m."}}
share = (
    (phases["ended"] == "runs off")
    .groupby([phases["dimensions"], phases["distance"]])
    .mean()
    .unstack()
)
numbers = phases.groupby(["dimensions", "distance"])["m"].mean().unstack()
figure, axis = plt.subplots(figsize=(7, 0.5 * len(P.dimensions) + 1.2))
sns.heatmap(share, annot=numbers, fmt=".1f", cmap="Blues", vmin=0, vmax=1, linewidths=1, ax=axis,
            cbar_kws={"label": "share that runs off"})  # fmt: skip
axis.set(xlabel="distance of the centre from the origin", ylabel="dimensions")
plt.show()

# %% tags=["hide-input"]
cells = phases.assign(off=phases["ended"] == "runs off", can=phases["m"] > 1)
kinds = cells.groupby("can")["off"].agg(["sum", "count"])
words = [
    f"With m {'above' if can else 'below'} 1, {int(row['sum'])} of {int(row['count'])} trainings ran off."
    for can, row in kinds.iterrows()
]
display(Markdown(" ".join(words)))

# %% [markdown]
# Below 1 no training can run off. Above, it depends on the direction in which a network starts, not on its size: a random one costs more than it buys, and the weights may shrink to nothing before they have turned. With many dimensions and few points there is always a direction along which all *training* points lie far from the origin, wherever the origin is; it is a property of the sample and not of new points.
#
# ## A layer that works
#
# Replace the trained layer by a fixed one of random cosines, $g_j(x) = \sqrt{2/h} \cos(\langle v_j, x\rangle / s + b_j)$, with normal $v_j$ and uniform $b_j$, and train $w$ alone, with the objective as it is. The features are bounded, so $J$ has a minimum; it is convex in $w$ and $r$; and $\langle g(x), g(y)\rangle$ approximates the Gaussian kernel with bandwidth $s$ {cite:p}`rahimi2007`: it is a one-class SVM with that kernel, in other words.
# The bandwidth must not be too small. {py:class}`adlib.OCNN <adlib.ocnn.OCNN>` takes the median distance between training points. One of the authors' scripts has a fixed cosine layer, too, with $s = 0.02$.

# %%
by_bandwidth = []
for bandwidth in P.bandwidths:
    for seed in range(min(3, P.seeds)):
        network = trained(
            draws[seed].train, seed, activation="cosine", hidden=P.cosines, bandwidth=bandwidth
        )
        row = judge("cosine", seed, network.anomaly_score)
        by_bandwidth.append(row | {"bandwidth": bandwidth})
by_bandwidth = pd.DataFrame(by_bandwidth)
typical = float(
    np.mean([networks["cosine", s].model_.head.bandwidth.item() for s in range(P.seeds)])
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Random cosines by bandwidth, dots are seeds: AUROC on fresh points, and the shares called anomalous. The dashed line is the median distance between training points.", "name": "fig-ocnn-bandwidth"}, "image": {"alt": "Three panels over the bandwidth on a logarithmic axis: the AUROC on fresh points, the share of anomalies and the share of fresh normal points below the threshold, with a dashed line at the median distance."}}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharex=True, sharey=True, layout="constrained")
for axis, measure in zip(axes, MEASURES[1:], strict=True):
    axis.plot(by_bandwidth["bandwidth"], by_bandwidth[measure], "o", alpha=0.7)
    axis.axvline(typical, color="#666666", linestyle="--", linewidth=1)
    axis.set(xscale="log", xlabel="bandwidth", title=measure, ylim=(-0.05, 1.05))
plt.show()

# %% tags=["hide-input"]
cosine = runs[runs["method"] == "cosine"]
found = cosine["anomalies below 0"] * P.n_anomalies
display(
    Markdown(
        f"With the median distance as bandwidth, the cosines give at least {found.min():.0f} of {P.n_anomalies} anomalies a "
        f"negative score in each of {P.seeds} seeds, and at most {100 * cosine['fresh normals below 0'].max():.0f} % of the fresh normal points."
    )
)

# %% [markdown]
# With a bandwidth far below the distances, all points are strangers to each other, the training points included. Otherwise length matters: the kernel of a point with *all* training points is smaller if it is farther from them, in whatever direction, and so is its score.
#
# ## Images
#
# The paper's main experiment takes one class of MNIST or of CIFAR-10 as normal and hides images of the other classes among the training images: one for every hundred normal ones on MNIST, ten on CIFAR-10. The networks are not told which ones they are. The test images are apart. Each image is brought to the same contrast ({py:func}`normalize_contrast <adlib.data.normalize_contrast>`). Four kinds of networks compete:
#
# - an autoencoder (DCAE), scored by its error;
# - the same with a robust loss (RCAE, {py:class}`adlib.RCAE <adlib.rcae.RCAE>`), which takes out of the training images what it cannot reproduce, so that hidden anomalies teach it less;
# - OC-NN on the autoencoder's encoder, which is trained further, with the linear layer;
# - Deep SVDD, with one centre and with a soft boundary.
#
# We add the random cosines, on an encoder whose weights stay as they are. For OC-NN $\nu$ is the share of hidden anomalies, as in the paper, and so it is for the cosines; on this page it is at least one image.
#
# ### What they find odd
#
# {numref}`fig-ocnn-pictures` follows the paper's Figures 3 to 6 on a small scale: a short training on few images. It shows images of the normal class that no network has seen.

# %% tags=["hide-input"]
image_sets = [datasets.choose(P.dataset, "mnist")]
if P.dataset == "auto":
    try:
        image_sets.append(data.load("cifar10"))
    except data.DataNotFound:
        pass
for ds in image_sets:
    meant = ds.name if ds.name in ("mnist", "cifar10") else "mnist"
    exact = ds.name == meant and ds.exact
    display(
        Markdown(
            f"Images: {ds.label}, normal class {P.normal}"
            + "." * exact
            + ", in place of the paper's." * (not exact)
        )
    )


# %%
def of_one_class(ds, hidden_share):
    """(training images with hidden anomalies, unseen ones of the class, both of equal contrast; these as they are)."""
    split = data.one_vs_rest(ds, P.normal)
    train = split.x_train[datasets.draw(len(split.x_train), P.images, 0)]
    train = data.contaminate(train, ds, P.normal, hidden_share, 0)
    unseen = split.x_test[split.y_test == 0]
    return *data.normalize_contrast(train, unseen), unseen


def networks_for(train, nu):
    """{name: detector}, trained."""
    brief = {"epochs": P.image_epochs, "batch_size": 64, "device": P.device}
    dcae = Autoencoder(net=nets.dcae, **brief).fit(train)
    on_top = brief | {"encoder": dcae.model_.encoder, "nu": max(nu, 1 / len(train))}
    with warnings.catch_warnings(action="ignore"):  # how it ended is said below
        return {
            "RCAE": RCAE(update_every=max(1, P.image_epochs // 3), **brief).fit(train),
            "OC-NN": OCNN(**on_top).fit(train),
            "cosines": OCNN(activation="cosine", hidden=P.cosines, **on_top).fit(train),
        }


HIDDEN = {"cifar10": 0.1}  # anomalies for each normal training image; 0.01 elsewhere
SHOWN, LIST = 5, 50
pictures, names, words = [], [], []
for ds in image_sets:
    title = {"mnist": "MNIST", "cifar10": "CIFAR-10"}.get(ds.name, ds.name)
    share = HIDDEN.get(ds.name, 0.01)
    train, unseen, pixels = of_one_class(ds, share)
    pixels = plots.drawable(pixels)
    found = networks_for(train, share)
    odd, most = {}, min(LIST, len(unseen) // 10)
    for name, network in found.items():
        order = np.argsort(network.anomaly_score(unseen), kind="stable")
        pictures.append(pixels[np.r_[order[:SHOWN], order[-SHOWN:]]])
        names.append(f"{title}\n{name}")
        odd[name] = set(order[-most:].tolist())
    n_normal = round(len(train) / (1 + share))  # the hidden anomalies stand behind
    words.append(
        f"**{title}.** {len(train) - n_normal} of {len(train)} training images are hidden anomalies."
    )
    if n_normal < len(train):
        rest, hidden = (np.median(part) for part in np.split(found["RCAE"].removed_, [n_normal]))
        words.append(
            f"RCAE took {hidden:.2f} of each of them away and {rest:.2f} of each normal one (medians of the root mean square over its pixels)."
        )
    shared = [len(odd["RCAE"] & odd[name]) for name in ("OC-NN", "cosines")]
    words.append(
        f"Of the {most} that RCAE finds most anomalous among {len(unseen)} unseen images, {shared[0]} are among OC-NN's "
        f"{most} and {shared[1]} among those of the cosines; chance would give {most**2 / len(unseen):.1f}."
    )
    ended = (
        f"{name} {found[name].outcome_} (J = {found[name].objectives_[-1]:.3g})"
        for name in ("OC-NN", "cosines")
    )
    words.append("How it ended: " + ", ".join(ended) + ".\n\n")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Unseen images of the normal class, as the networks rank them: the five most normal on the left, the five most anomalous on the right. One training of each.", "name": "fig-ocnn-pictures"}, "image": {"alt": "Rows of ten small images, one row for each data set and method: five that get the lowest anomaly scores and five that get the highest."}}
titles = [""] * 2 * SHOWN
titles[SHOWN // 2], titles[SHOWN + SHOWN // 2] = "most normal", "most anomalous"
plots.image_grid(pictures, names, titles, size=0.75)
plt.show()

# %% tags=["hide-input"]
display(Markdown(" ".join(words)))

# %% [markdown]
# An autoencoder calls normal what is easy to draw, and anomalous what it cannot draw. Each list, shown alone, looks as if it made sense; the paper shows them one by one. Seen together, and with the counts above, they say more: two methods that find the same oddities have many of them in common, two that rank by different things hardly more than chance gives.
#
# Where it says "runs off" above, $J$ is below 0. From there, multiplying $w$ and $V$ by a number above 1 always makes $J$ smaller, so the training has no end, only a place where it was stopped. An encoder that is trained, too, makes this easier: equation 3 of the paper has no penalty on its weights, and larger features cost nothing.
#
# ### The long runs
#
# Recorded once, from committed code, and only read here; AUROC in percent, mean over ten classes. The protocol is *reduced*: 30 epochs at one learning rate, where the paper has 350 epochs for its autoencoder, and for Deep SVDD a slower rate and pre-training; fewer seeds than its ten; on CIFAR-10 1,000 training images, 20 epochs, 2,000 test images, and pixels that went through JPEG compression. An empty cell has not been recorded, and the paper has no random cosines.

# %% tags=["hide-input"]
long_runs = recorded.values("08-ocnn-synthetic")
printed = papers.table("chalapathy2018", 3)
RIVALS = {  # key: (method in Table 3, name here)
    "dcae": ("DCAE", "DCAE"),
    "rcae": ("RCAE", "RCAE"),
    "soft": ("Soft-bound Deep SVDD", "Deep SVDD, soft"),
    "svdd": ("One-class Deep SVDD", "Deep SVDD, one-class"),
    "ocnn": ("OC-NN", "OC-NN, linear"),
    "cosine": (None, "random cosines"),
}
PRINTED_SETS = {"mnist": "MNIST", "cifar10": "CIFAR-10"}


def paper_cells(name, method):
    """The ten printed numbers of a method, by class; none for our own variant."""
    some = printed[(printed["dataset"] == PRINTED_SETS[name]) & (printed["method"] == method)]
    return some["value"].reset_index(drop=True)


def by_seed(keys):
    """Our AUROC in percent, mean over the keys, for each seed that has all of them."""
    some = long_runs[long_runs["key"].isin(keys)].groupby("seed")["value"]
    return 100 * some.mean()[some.count() == len(keys)]


def classes_of(name, rival):
    return [f"auroc_{name}_{c}_{rival}" for c in range(10)]


rows, n_seeds = [], {}
for rival, (method, name) in RIVALS.items():
    row = {"method": name}
    for key, title in PRINTED_SETS.items():
        theirs, ours = paper_cells(key, method), by_seed(classes_of(key, rival))
        row[f"{title}, paper"] = theirs.mean() if len(theirs) else np.nan
        row[f"{title}, ours"] = plots.spread(ours, 1)
        n_seeds[title] = min(len(ours), n_seeds.get(title, len(ours)))
    rows.append(row)
display(
    Markdown(
        "Seeds: "
        + ", ".join(f"{title} {n}" for title, n in n_seeds.items())
        + ". In brackets, of several seeds, the lowest and the highest."
    )
)
plots.table(pd.DataFrame(rows), 1)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "AUROC in percent by class, as recorded, mean over the seeds. The number is ours, the colour is the distance to the paper's number: red is below it. The random cosines have no number in the paper.", "name": "fig-ocnn-cells"}, "image": {"alt": "Two tables of ten classes by six methods, MNIST and CIFAR-10, with our AUROC in each cell, coloured by the difference to the printed one."}}
cells = {}
figure, axes = plt.subplots(2, 1, figsize=(8, 7.2), layout="constrained", sharex=True)
for axis, (key, title) in zip(axes, PRINTED_SETS.items(), strict=True):
    ours = long_runs.groupby("key")["value"].mean()
    cells[title] = pd.DataFrame(
        {
            name: 100 * ours.reindex(classes_of(key, rival)).to_numpy()
            for rival, (_, name) in RIVALS.items()
        }
    )
    theirs = pd.DataFrame(
        {name: paper_cells(key, method) for method, name in RIVALS.values()}, index=range(10)
    )
    labels = (
        [str(c) for c in range(10)]
        if key == "mnist"
        else printed.loc[printed["dataset"] == title, "cls"].str.lower().unique()
    )
    sns.heatmap(
        (cells[title] - theirs).fillna(0), annot=cells[title].fillna(0), mask=cells[title].isna(), fmt=".0f", cmap="RdBu",
        center=0, vmin=-40, vmax=40, linewidths=1, ax=axis, yticklabels=labels, cbar_kws={"label": "ours minus paper"},
    )  # fmt: skip
    axis.set(title=title, ylabel="normal class")
    axis.tick_params(axis="y", rotation=0)
axes[1].set_xticks(np.arange(len(RIVALS)) + 0.5, [name for _, name in RIVALS.values()], rotation=20)
plt.show()

# %% tags=["hide-input"]
words = []
for title, numbers in cells.items():
    words += [
        f"{title}: {name} is below 50, that is worse than chance, on {int((numbers[name] < 50).sum())} of 10 classes and comes to {numbers[name].mean():.1f} on average"
        for name in numbers.columns
        if numbers[name].notna().all() and numbers[name].min() < 50
    ]
    for rival in ("DCAE", "Deep SVDD, soft", "Deep SVDD, one-class"):
        lead = (numbers["RCAE"] - numbers[rival]).dropna()
        if len(lead) == 10:
            words.append(
                f"{title}: RCAE minus {rival}: {lead.mean():+.1f} points on average; it leads on {int((lead > 0).sum())} of 10 classes"
            )
display(Markdown("\n".join(f"- {w}." for w in words) or "Not all is recorded yet."))

# %% [markdown]
# A score $\langle w, g(Vz)\rangle$ with a linear $g$ is a single direction in the space of the features $z$, and nothing in the objective says that anomalies lie on its low side. The printed numbers of OC-NN may come from another objective; see "What the authors' code does" below. What would lift an autoencoder to the printed numbers the paper does not say; [chapter 03](03-ns-ablation.ipynb) has the same question about another paper's.
#
# ```{claims} ocnn-mnist-dcae ocnn-mnist-rcae ocnn-mnist-ocnn ocnn-mnist-svdd ocnn-mnist-soft ocnn-mnist-rcae-over-dcae ocnn-mnist-rcae-over-svdd ocnn-mnist-par ocnn-mnist-one-class-over-soft
# ```
#
# ```{claims} ocnn-cifar-dcae ocnn-cifar-rcae ocnn-cifar-ocnn ocnn-cifar-svdd ocnn-cifar-soft ocnn-cifar-three-over-svdd ocnn-cifar-one-class-over-soft ocnn-cifar-rcae-over-dcae
# ```
#
# ### Stop signs under attack
#
# The last experiment looks for *adversarial examples*: images that were changed until a classifier errs. 100 stop signs of the German benchmark are attacked and join 1,050 that are as they were. The attack (the boundary attack of Brendel et al. {cite:p}`brendel2018`) sees nothing of the classifier but its answers. It starts from a stop sign under so much noise that the classifier takes it for another sign, and walks back towards the original for as long as the answer stays wrong. The longer it walks, the less there is to see of it.
#
# The authors' examples were never published, and the paper does not say how long the attack ran. So ours are made by {py:mod}`adlib.companion.attacked`, with a classifier of our own, and for three lengths. A tenth is cut off on each side, from images that are 32 pixels already and are enlarged to that again; network and decay are the paper's. All of this is recorded, since the attack takes minutes; pictures of the signs cannot be shown here.

# %% tags=["hide-input"]
SIGNS = {  # key: (method in Table 4, name here)
    "ocsvm": ("OC-SVM/SVDD", "OC-SVM"),
    "if": ("IF", "isolation forest"),
    **RIVALS,
}
STEPS = [100, 1000, 10000]
signs = papers.table("chalapathy2018", 4).set_index("method")["value"]
rows = []
for rival, (method, name) in SIGNS.items():
    row = {"method": name, "paper": signs.get(method, np.nan)}
    row["together"] = plots.spread(
        by_seed([f"signs_together_{rival}_s{STEPS[-1]}"]), 1
    )
    for steps in STEPS:
        row[f"apart, {steps:,}"] = plots.spread(by_seed([f"signs_apart_{rival}_s{steps}"]), 1)
    rows.append(row)
attack = {steps: by_seed([f"signs_apart_if_rms_s{steps}"]) / 100 for steps in STEPS}
right = by_seed(["signs_apart_if_accuracy"])
if len(right):
    display(
        Markdown(
            f"The classifier is right on {right.mean():.0f} % of the signs (mean over 43 kinds). After "
            + ", ".join(f"{steps:,}" for steps in STEPS)
            + " steps an attacked image differs from its original by "
            + ", ".join(f"{size.mean():.0f}" for size in attack.values())
            + f" of 255 steps of a pixel (root mean square, median over the images, mean of {len(right)} seeds)."
        )
    )
display(
    Markdown(
        f"AUROC in percent. *Together*: as in the paper, all 1,150 images are trained on and scored, after {STEPS[-1]:,} steps. *Apart*: trained on the 780 signs of the training part, scored on the test part and the attacked images. In brackets the lowest and the highest seed."
    )
)
plots.table(pd.DataFrame(rows), 1)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "AUROC over the size of the attack, trained apart; mean over the seeds, with bars from the lowest to the highest. The dashed line is a coin.", "name": "fig-ocnn-signs"}, "image": {"alt": "Lines of AUROC over the mean change of a pixel for eight methods, and a dashed line at 50."}}
curves = pd.DataFrame(
    [
        {"method": name, "change of a pixel (of 255)": attack[steps].mean(), "AUROC in %": value}
        for rival, (_, name) in SIGNS.items()
        for steps in STEPS
        for value in by_seed([f"signs_apart_{rival}_s{steps}"])
    ],
    columns=["method", "change of a pixel (of 255)", "AUROC in %"],
)
figure, axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
if len(curves):
    x, y = curves.columns[1:]
    sns.lineplot(curves, x=x, y=y, hue="method", marker="o", errorbar=("pi", 100), err_style="bars")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
axis.axhline(50, color="#333333", linestyle="--", linewidth=1)
plt.show()

# %% tags=["hide-input"]
together = {
    name: by_seed([f"signs_together_{rival}_s{STEPS[-1]}"]).mean()
    for rival, (_, name) in SIGNS.items()
}
together = pd.Series(together).dropna()
words = []
if {"RCAE", "DCAE"} <= set(together.index):
    words.append(
        f"Together, {together.idxmax()} comes first with {together.max():.1f}; RCAE minus the others: "
        + ", ".join(f"{name} {together['RCAE'] - value:+.1f}" for name, value in together.items() if name != "RCAE")
    )  # fmt: skip
if len(curves):
    by_size = curves.groupby("change of a pixel (of 255)")["AUROC in %"].mean()
    words.append(
        f"Apart, the mean over the methods goes from {by_size.iloc[-1]:.1f} for the shortest attack to {by_size.iloc[0]:.1f} for the longest"
    )
worse = [name for name, value in together.items() if value < 50]
if worse:
    words.append("Together, worse than chance: " + ", ".join(worse))
display(Markdown("\n".join(f"- {w}." for w in words) or "Not recorded yet."))

# %% [markdown]
# What stays of a short attack is noise over the whole sign, and whatever compares pixels can see it; a longer one leaves less. So one number for each method, as in the paper's Table 4, says as much about the attack as about the methods. Where ours differ from it, the length of the attack may be the reason; the order of the methods is the safer comparison.
#
# ```{claims} ocnn-signs-ocsvm ocnn-signs-dcae ocnn-signs-rcae ocnn-signs-ocnn ocnn-signs-svdd ocnn-signs-soft ocnn-signs-if ocnn-signs-rcae-over-svdd ocnn-signs-rcae-over-ocnn ocnn-signs-rcae-over-dcae
# ```
#
# ## The printed numbers among themselves
#
# The paper's tables compare OC-NN with eight other methods on MNIST, CIFAR-10 and traffic signs (Tables 3 and 4). What its sentences say of these tables can be computed. In the text that we have, the tables have lost most of the names; methods and classes are read here by the order of the same table in Ruff et al. {cite:p}`ruff2018`, whose shallow baselines it follows. Mean of the printed AUROC, in percent:

# %%
means = printed.groupby(["method", "dataset"], sort=False)["value"].mean().unstack()
plots.table(means.reset_index(), 1)

# %%
mnist, cifar = (
    printed[printed["dataset"] == name].pivot(index="cls", columns="method", values="value")
    for name in ("MNIST", "CIFAR-10")
)
KERNEL = ["OC-SVM/SVDD", "KDE"]
SHALLOW = [*KERNEL, "IF"]
SVDD = ["Soft-bound Deep SVDD", "One-class Deep SVDD"]
DEEP = [name for name in cifar.columns if name not in SHALLOW]
three = cifar.loc[["AUTOMOBILE", "BIRD", "DEER"]]
RCAES = [name for name in signs.index if name.startswith("RCAE")]
arithmetic = {
    "three_classes_led": (three["OC-NN"] > three[SHALLOW + SVDD].max(axis=1)).sum(),
    "three_classes_led_over_svdd": (three["OC-NN"] > three[SVDD].max(axis=1)).sum(),
    "shallow_led": (cifar[KERNEL].max(axis=1) > cifar[DEEP].max(axis=1)).sum(),
    "one_class_over_soft": (means.loc[SVDD[1]] > means.loc[SVDD[0]]).sum(),
    "rcae_led_mnist": (mnist["RCAE"] > mnist.drop(columns="RCAE").max(axis=1)).sum(),
    "gtsrb_rcae": signs[RCAES].min(),
    "gtsrb_best_other": signs.drop([*SHALLOW, *RCAES]).max(),
}

# %% tags=["hide-input"]
words = [
    f"Automobile, bird and deer: OC-NN is above both variants of Deep SVDD on {arithmetic['three_classes_led_over_svdd']} of the 3, "
    f"and above the shallow methods, too, on {arithmetic['three_classes_led']}.",
    "OC-SVM or KDE is above all deep methods on: "
    + ", ".join(cifar.index[cifar[KERNEL].max(axis=1) > cifar[DEEP].max(axis=1)])
    + "; both of them are on: "
    + ", ".join(cifar.index[cifar[KERNEL].min(axis=1) > cifar[DEEP].max(axis=1)])
    + ".",
    "On average OC-NN comes "
    + " and ".join(
        f"{int(means[name].rank(ascending=False)['OC-NN'])}. of {len(means)} on {name}"
        for name in means
    )
    + ".",
    "Traffic signs: "
    + ", ".join(f"{name} {signs[name]:g}" for name in [*RCAES, "DCAE", *SVDD, "OC-NN"])
    + ".",
]
display(Markdown("\n".join(f"- {w}" for w in words)))

# %% [markdown]
# ```{claims} ocnn-cifar-three-classes ocnn-cifar-two-of-ten ocnn-one-class-over-soft ocnn-rcae-mnist ocnn-gtsrb-rcae
# ```
#
# ## What the authors' code does
#
# - **The script for these points leaves out the hinge**, starts with weights of $10^{-5}$ and takes 100 steps of gradient descent at a rate of $10^{-4}$.
# - **Elsewhere** the code has at least four other objectives under the same name; one trains $r$ alone, on top of frozen random cosines with $s = 0.02$; one, which seems to have made the paper's numbers for images, is a form of Deep SVDD.
# - **AUROC** is computed, in one of them, from training points as the normal class, and, as the author says, from the signs of the scores.
#
# ## What could go wrong
#
# - **Judging on the training points.** In 512 dimensions one direction can put 190 training points at any scores one likes; new normal points do not follow.
# - **Looking at the loss.** A loss that falls and falls looks like success; here it may mean that there is no end. `OCNN` says how its training ended, and warns.
#
# ## Check yourself
#
# ```{quiz}
# - question: Somewhere in a training with the linear layer $J$ becomes negative. What is the smallest value that it can reach?
#   answers:
#     - text: The one at which the training converges, given enough epochs and a small enough rate
#       why: There is nothing to converge to. Multiply $w$ and $V$ by 10 and $r$ by 100, and $J$ is a hundred times as far below 0.
#     - text: '0, which is the value at $w = V = 0$'
#       why: It is negative already. 0 is the smallest value only if $J$ is negative nowhere.
#     - text: There is none
#       right: true
#       why: '$J$ is homogeneous of degree two. Once it is negative, larger weights make it as small as one likes, and a training ends where it is stopped.'
# - question: Normal points and anomalies lie around the same centre, anomalies five times as far out, in no special direction. What can a score $\langle u, x\rangle$ do on new points?
#   answers:
#     - text: It ranks them no better than a coin, whatever $u$ is
#       right: true
#       why: Both kinds are spread symmetrically around 0 along every direction, so an anomaly lies above a normal point as often as below it.
#     - text: It finds all anomalies, as the paper's histogram shows
#       why: That histogram compares them with the training points, to which $u$ was fitted. New normal points do not follow.
#     - text: It gets better with more training points
#       why: More points make the direction more certain. They do not make any direction useful.
#     - text: It ranks them the wrong way round, with an AUROC near 0
#       why: That is what ReLU does, whose scores grow with the length of a point. A linear score does not see the length.
# - question: Which of these changes give the objective a minimum? (More than one.)
#   answers:
#     - text: A smaller learning rate and more epochs
#       why: They change the way, not the landscape.
#     - text: A sigmoid in place of the linear layer
#       right: true
#       why: With features between 0 and 1 the scores grow at most in proportion to $\|w\|$, while the penalty grows with its square.
#     - text: A layer of fixed random cosines
#       right: true
#       why: The features are bounded for the same reason, and the objective is even convex in $w$ and $r$.
#     - text: A deep encoder before the linear layer, trained along
#       why: The penalty does not count the encoder's weights, so larger features are free, and the objective has even less to hold it.
# ```
#
# ## Exercises
#
# ```{exercise} In the plane
# :label: ex-ocnn-plane
# Make the points two-dimensional. What do you expect of each of the four layers? And how well can *any* method do: which share of the anomalies lies within the radius that holds 95 % of the normal points, and what is the best possible AUROC? (The squared length of a point in the plane, divided by its variance $\sigma^2$, exceeds $t$ with probability $e^{-t/2}$.) Then run it, with bandwidths that fit.
# ```
#
# ````{solution} ex-ocnn-plane
# :label: sol-ocnn-plane
# :class: dropdown
# The linear layer has no use for length, and in the plane there is no direction along which the lowest 5 % of 190 points around 0 are on the far side of 0: $m$ is 0, $J$ is nowhere negative, and it must collapse. Scores of ReLU grow with the length of a point, so it should rank anomalies *above* normal points if it has scores left at all. The cosines should work.
#
# The best score is the length. The radius $R$ with $e^{-R^2 / (2 \cdot 2^2)} = 0.05$ holds 95 % of the normal points; the share of the anomalies inside is $1 - e^{-R^2 / (2 \cdot 10^2)} = 1 - 0.05^{\,4/100} \approx 0.11$. So one anomaly in nine is hidden for everybody. The chance that an anomaly is longer than a normal point, which is the AUROC, is $10^2 / (10^2 + 2^2) \approx 0.96$.
#
# ```bash
# papermill notebooks/08-ocnn-synthetic.ipynb out.ipynb -p d 2 -y 'bandwidths: [0.5, 1, 2, 4, 8]' -y 'dimensions: [2]' \
#     -p seeds 3 -p dataset digits -p images 60 -p image_epochs 1
# ```
#
# In this run linear and ReLU collapse in each of the three seeds; what is left of ReLU's scores has an AUROC near 0. Sigmoid ends properly, with an AUROC around one half. The cosines come close to the bound, and with them, as expected, an anomaly or two of ten is not below 0 in some of the seeds. The high dimension made the task look easier than it is, and hid that one layer of the four works.
# ````
#
# ```{exercise} A minimum is not enough
# :label: ex-ocnn-odd
# With the sigmoid $J$ has a lower bound. Why does it still not find the anomalies? Hint: $\sigma(t) + \sigma(-t) = 1$, and the layer has no biases. What does that say about the scores of $x$ and $-x$?
# ```
#
# ```{solution} ex-ocnn-odd
# :label: sol-ocnn-odd
# :class: dropdown
# Add the scores of a point and of its mirror image:
#
# $$
# \hat y(x) + \hat y(-x) = \sum_j w_j \bigl(\sigma(\langle v_j, x\rangle) + \sigma(-\langle v_j, x\rangle)\bigr) = \sum_j w_j .
# $$
#
# So what is above $\frac12 \sum_j w_j$ for $x$ is below it for $-x$, by the same amount. Both kinds of points are as likely to be at $x$ as at $-x$, hence the scores of both are spread symmetrically around the same middle. A threshold that most anomalies fall below lies above that middle, and then most new normal points fall below it, too; the AUROC is one half, up to chance. The argument is the one about the linear layer again, and $\tanh$ would share its fate. Adding the scores of a trained network at $x$ and $-x$ gives the same number for all points, up to rounding.
#
# An objective with a minimum is a precondition. What the network *can express* is another question, and so is whether the minimum has to do with anomalies.
# ```
#
# ```{exercise} Give it the length
# :label: ex-ocnn-length
# Give the linear layer a chance: a further column $q$, the mean of the squared coordinates of each point. Try three columns: $q$, $-q$ and $10 - q$. For normal points $q$ is about 4, for anomalies about 100. What do you expect of the AUROC on new points, and which of the three differ?
# ```
#
# ````{solution} ex-ocnn-length
# :label: sol-ocnn-length
# :class: dropdown
# The objective wants *high* scores for the training points. With $q$ it gives the column a positive weight, and anomalies, with more of it, count as even more normal. With $-q$ it turns the weight around and is the same function. With $10 - q$ normal points have about 6 and anomalies about $-90$: now the direction that lifts the training points is the one that sinks the anomalies.
#
# ```python
# import warnings
# import numpy as np
# from adlib import OCNN
# from adlib.data import ocnn_synthetic
# from adlib.metrics import auroc
#
# def q(x):
#     return (x**2).mean(1, keepdims=True)
#
# columns = {"none": lambda x: x[:, :0], "q": q, "-q": lambda x: -q(x), "10 - q": lambda x: 10 - q(x)}
# train, _ = ocnn_synthetic(190, 10, 0, d=64)
# fresh, odd = ocnn_synthetic(1000, 100, 1000, d=64)
# y = np.repeat([0, 1], [1000, 100])
# warnings.simplefilter("ignore")
# for name, column in columns.items():
#     d = OCNN(nu=0.05, epochs=300, lr=0.01).fit(np.hstack([train, column(train)]))
#     both = np.concatenate([fresh, odd])
#     print(name, d.outcome_, auroc(y, d.anomaly_score(np.hstack([both, column(both)]))))
# ```
#
# Without the column it is a coin's AUROC. With $q$ and with $-q$ it is 0, each anomaly above each normal point; with $10 - q$ it is 1. In the last three the training runs off, by the way. Whether the weight has the right sign is decided by where the origin lies between the two kinds of points, and the normal points alone cannot tell. The 10 is knowledge about anomalies that somebody put in by hand. A kernel puts it in, too: it says that far from all training points is anomalous.
# ````
#
# ```{exercise} Free features
# :label: ex-ocnn-encoder
# Let an encoder be trained along with the linear layer, and let its last layer be one that can multiply all features by a number $c$. Equation 3 has no penalty on it. Under which condition has $J$ no lower bound? Compare with the condition for fixed features.
# ```
#
# ```{solution} ex-ocnn-encoder
# :label: sol-ocnn-encoder
# :class: dropdown
# Keep $w$ and $V$ and multiply the features by $c$. All scores are multiplied by $c$, the penalty stays. With the best $r$ ({ref}`exercise of the last chapter <ex-ocnn-lowest>`) and with $\mu$ for the mean of the $N\nu$ lowest scores,
#
# $$
# J(c) = \tfrac12 \|w\|^2 + \tfrac12 \|V\|_F^2 - c\,\mu .
# $$
#
# As soon as $\mu > 0$ for any weights, this falls without end. For fixed features the mean has to *exceed the penalty*, which is $m > 1$. Here it has only to be positive, and a network that gives the training images some direction in common, by a bias for example, has that at once. Weight decay on the encoder, which the paper has for images, holds back this way of growing. It does not help once $J$ is negative, the decay of $w$ and $V$ included: from there growing $w$ and $V$ is enough, with the encoder as it is.
# ```
#
# Run it yourself, in fewer dimensions:
#
# ```bash
# papermill notebooks/08-ocnn-synthetic.ipynb out.ipynb -p d 32 -p epochs 100
# ```

# %% tags=["remove-cell"]
names = {"OC-SVM, linear": "ocsvm_linear", "OC-SVM, rbf": "ocsvm_rbf"}
keys = {
    "AUROC, training points": "auroc_training",
    "AUROC, fresh points": "auroc_fresh",
    "anomalies below 0": "found",
    "fresh normals below 0": "false_alarms",
}
values = {
    f"{key}_{names.get(name, name.lower())}": some[measure].tolist()
    for name, some in runs.groupby("method", sort=False)
    for measure, key in keys.items()
}
values |= {f"table_{key}": [float(value)] for key, value in arithmetic.items()}
ds = datasets.generated(
    "synthetic points (generated)", np.concatenate([points.train for points in draws])
)
receipt.record("08-ocnn-synthetic", P, ds, values)
