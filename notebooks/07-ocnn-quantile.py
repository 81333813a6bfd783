# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The best threshold is a quantile
#
# OC-NN {cite:p}`chalapathy2018` puts the objective of a one-class SVM on top of a neural network. Training goes back and forth between the network and one number, the threshold $r$, and for $r$ the paper proves a pretty fact: the best one is a quantile of the scores. This chapter takes the fact apart. It holds; but "the" quantile is sometimes a whole interval, and the quantile that NumPy computes by default is usually not it.
#
# ```{claims} ocnn-theorem-1 ocnn-example-minimum ocnn-share-below
# ```

# %% tags=["parameters"]
sample: list = [1, 2, 3, 4, 5, 6, 7, 8, 9]  # the scores y, those of the paper's example
nu: float = 0.33  # share of the scores that shall lie below r, 0.33 in the example
shares: list = [0.05, 0.1, 0.2, 0.3333333333, 0.5, 0.7, 0.9]  # values of nu for the slider
n_cases: int = 2000  # random cases in which the theorem is checked
n: int = 200  # points of the training at the end
epochs: int = 60  # passes over these points
seeds: int = 3  # number of repetitions, seeds 0, 1, 2 and so on
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from pydantic import Field

from adlib import OCNN
from adlib.companion import datasets, plots, receipt
from adlib.companion.params import ChapterParams
from adlib.ocnn import nu_quantile, ocnn_objective

Share = Annotated[float, Field(gt=0, lt=1)]
Score = Annotated[float, Field(ge=-1000, le=1000)]


class Params(ChapterParams):
    sample: Annotated[list[Score], Field(min_length=2, max_length=50)]
    nu: Share
    shares: Annotated[list[Share], Field(min_length=1, max_length=12)]
    n_cases: Annotated[int, Field(ge=10, le=100000, strict=True)]
    n: Annotated[int, Field(ge=20, le=10000, strict=True)]
    epochs: Annotated[int, Field(ge=2, le=10000, strict=True)]
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]


P = Params.from_notebook(globals())
plots.set_style()
y = torch.tensor(sorted(P.sample), dtype=torch.float64)

# %% [markdown]
# ## The idea
#
# A one-class SVM looks for a direction $w$ along which the data lie far from the origin, $\langle w, x\rangle \ge r$, but for a share $\nu$ of them. OC-NN replaces $x$ by the output of a hidden layer, $\hat y(x) = \langle w, g(Vx)\rangle$, and learns $V$ along with $w$:
#
# $$
# \min_{w, V, r} \; \tfrac12 \|w\|^2 + \tfrac12 \|V\|_F^2 + \frac1\nu \cdot \frac1N \sum_{n=1}^N \max(0,\; r - \hat y_n) - r.
# $$ (ocnn-objective)
#
# A score above $r$ is normal, one below is anomalous. For fixed $w$ and $V$, what is left is a function of one number:
#
# $$
# f(r) = \frac{1}{N\nu} \sum_{n=1}^N \max(0,\; r - \hat y_n) - r.
# $$ (ocnn-f)
#
# Move $r$ up by a little. Each score below $r$ costs $\frac{1}{N\nu}$ more, and the last term gives 1 back. So it pays as long as fewer than $N\nu$ scores are below, and the best $r$ is the place where their share passes $\nu$. That is Theorem 1: a $\nu$-quantile. {py:func}`adlib.ocnn.ocnn_objective` is {eq}`ocnn-f`, and {py:func}`adlib.ocnn.nu_quantile` its smallest minimiser, the $\lceil N\nu\rceil$-th smallest score.

# %%
f = ocnn_objective(y, y, P.nu)  # at r = each of the scores
{
    "r": nu_quantile(y, P.nu).item(),
    "f(r)": round(ocnn_objective(nu_quantile(y, P.nu), y, P.nu).item(), 4),
    "smallest f at a score": round(f.min().item(), 4),
}

# %% [markdown]
# ## The example of the paper, whole
#
# The paper works through $y = 1, \dots, 9$ and $\nu = 0.33$ in a table. In the text that we have the table lost the bar of its fraction ($\frac{1}{9 \cdot 0.33}$ became "9∗.33") and the column of values, and its last row leaves out a 5 ("8+7+6+4+…"). Here is the table again, all of it; with the default parameters it is the paper's.

# %% tags=["hide-input"]
def terms(r):
    below = [r - v for v in reversed(y.tolist()) if v < r]
    return " + ".join(f"{t:g}" for t in sorted(below, reverse=True)) or "0"


table = [
    {
        "r": f"{r:g}",
        "the sum": terms(r) if len(y) <= 12 else "",
        "is": f"{sum(r - v for v in y.tolist() if v < r):g}",
        "f(r)": f"{value:.4f}",
        "": "smallest" if value <= f.min() + 1e-12 else "",
    }
    for r, value in zip(y.tolist(), f.tolist(), strict=True)
]
plots.table(pd.DataFrame(table))

# %% tags=["hide-input"]
paper = torch.arange(1.0, 10, dtype=torch.float64)
as_printed = 9 * 0.33 * (paper[:, None] - paper).clamp_min(0).sum(1) - paper
example = 1 + int(ocnn_objective(paper, paper, 0.33).argmin())
display(
    Markdown(
        f"For the paper's own numbers the minimum is at r = {example}. Read with the factor as it is printed, without "
        f"the bar, it would be at r = {1 + int(as_printed.argmin())}."
    )
)

# %% [markdown]
# ```{claims} ocnn-example-minimum
# ```
#
# ## A minimum, or a flat piece
#
# {eq}`ocnn-f` is made of straight pieces that meet at the scores. Its slope between two scores is (share of the scores below) $/ \nu - 1$. If $N\nu$ is a whole number, one slope is exactly 0, and every $r$ of that piece is a minimiser: for $\nu = 1/3$ and the nine scores above, all of $[3, 4]$. Move $\nu$:


# %% tags=["hide-input"]
def minimisers(scores, share):
    """The interval of all r that minimise f, from the order statistics."""
    low = nu_quantile(scores, share).item()
    k = len(scores) * share
    higher = scores[scores > low]
    is_whole = abs(k - round(k)) < 1e-6 and (scores <= low).sum().item() == round(k)
    return low, (higher.min().item() if is_whole and len(higher) else low)


def objective_at(r, scores, share):
    return ocnn_objective(torch.as_tensor(r, dtype=torch.float64), scores, share).item()


def draw_f(scores, share, title):
    figure, axis = plt.subplots(figsize=(5.6, 3.4))
    margin = 0.15 * (scores.max() - scores.min() + 1).item()
    r = torch.linspace(scores.min().item() - margin, scores.max().item() + margin, 601).double()
    axis.plot(r, ocnn_objective(r, scores, share), color="C0")
    axis.plot(scores, ocnn_objective(scores, scores, share), "o", color="C0", markersize=5)
    low, high = minimisers(scores, share)
    numpys = np.quantile(scores.numpy(), share)
    best, value = (objective_at(r, scores, share) for r in (low, numpys))
    axis.plot([low, high], [best, best], "o-", color="C1", linewidth=5, markersize=9, label="minimum")
    axis.plot(numpys, value, "x", color="black", markersize=9, markeredgewidth=2, label="NumPy's default quantile")
    top = max(objective_at(scores[0], scores, share), best + 2 * abs(best) + 1)
    axis.set(xlabel="r", ylabel="f(r)", title=title, ylim=(best - 0.1 * (top - best), top))
    axis.legend(fontsize=8, loc="upper center")
    return figure


by_label = {f"{share:.4g}": share for share in P.shares}
figures = {label: draw_f(y, share, f"ν = {label}") for label, share in by_label.items()}
plots.stepper(
    figures,
    "ν",
    "The piecewise linear function f over r for nu = {}, with the scores as dots, its minimum as a thick line, and a cross at NumPy's default quantile.",
    first=len(figures) // 2,
)

# %% [markdown]
# And the sample, at the $\nu$ of the parameters:

# %% tags=["hide-input"]
SAMPLES = {
    "as given": y,
    "one score far off": torch.cat([y[:-1], y[-1:] + 2 * (y[-1] - y[0])]),
    "ties": y.div(3).ceil() * 3,
    "two groups": torch.cat([y[: len(y) // 2], y[len(y) // 2 :] + (y[-1] - y[0])]),
}
figures = {name: draw_f(scores, P.nu, f"{name}, ν = {P.nu:g}") for name, scores in SAMPLES.items()}
plots.stepper(
    figures,
    "Sample",
    "The piecewise linear function f over r for the sample {}, with the scores as dots, its minimum as a thick line, and a cross at NumPy's default quantile.",
)

# %% [markdown]
# A score may move as far as it likes on its own side of the minimum: a quantile only counts.
#
# ## Which quantile?
#
# A quantile of a finite sample can be computed in more than one way. The authors' scripts set `r` to `np.percentile(scores, 100 * nu)`, which interpolates between two scores. Here is how often each way gives a minimiser of {eq}`ocnn-f`, over random samples of 2 to 40 scores, a third of them with ties, and random $\nu$:

# %%
WAYS = ["linear", "lower", "higher", "nearest", "midpoint", "inverted_cdf", "hazen"]
random = np.random.default_rng(0)
misses = {name: [] for name in ["nu_quantile", *WAYS]}
sizes = []
for case in range(P.n_cases):
    scores = random.standard_normal(random.integers(2, 41))
    if case % 3 == 0:
        scores = scores.round()
    share = float(random.choice([random.uniform(0.01, 0.99), random.integers(1, 20) / 20]))
    as_tensor = torch.from_numpy(scores)
    found = {way: np.quantile(scores, share, method=way) for way in WAYS}
    found["nu_quantile"] = nu_quantile(as_tensor, share).item()
    best = ocnn_objective(as_tensor, as_tensor, share).min()  # a minimum lies at one of the scores
    for name, r in found.items():
        misses[name].append(objective_at(r, as_tensor, share) - best.item())
    sizes.append(len(scores))

# %% tags=["hide-input"]
is_small = np.array(sizes) <= 10
table = [
    {
        "way": name,
        "gives a minimiser": f"{100 * np.mean(np.array(excess) < 1e-9):.1f} %",
        "mean excess of f, up to 10 scores": f"{abs(np.mean(np.array(excess)[is_small])):.3f}",
        "more than 10": f"{abs(np.mean(np.array(excess)[~is_small])):.3f}",
        "largest": f"{max(0, max(excess)):.3f}",
    }
    for name, excess in misses.items()
]
plots.table(pd.DataFrame(table))

# %% [markdown]
# `inverted_cdf` is the one that NumPy documents as the inverse of the sample's distribution function, and the one that {eq}`ocnn-f` asks for. The interpolated default misses more often than not, by less where there are more scores; with thousands of training rows nobody will notice. In the paper's example it is 3.64 instead of 3.
#
# ```{claims} ocnn-theorem-1
# ```
#
# ## A threshold that follows
#
# In training, the scores move with $w$ and $V$, and $r$ has to follow. {py:class}`adlib.OCNN <adlib.ocnn.OCNN>` trains the network for one pass with $r$ fixed and then sets $r$ anew. {numref}`fig-ocnn-track` shows this on points in the plane, with a layer of random cosines: the scores of the training points as they rise, and $r$, which keeps a share $\nu$ below.

# %%
traces = []
for seed in range(P.seeds):
    points = np.random.default_rng(seed).normal([2.0, 1.0], 0.7, (P.n, 2))
    detector = OCNN(
        nu=max(P.nu, 1 / P.n),
        activation="cosine",
        hidden=128,
        epochs=P.epochs,
        lr=1e-2,
        tol=0,
        random_state=seed,
        device=P.device,
    )

    def note(epoch, loss, seed=seed, points=points, detector=detector):
        r = detector.model_.r.item()
        scores = r - detector.anomaly_score(points)
        quantiles = np.quantile(scores, [0.05, 0.5, 0.95], method="inverted_cdf")
        below = np.mean(scores < r - 1e-6)  # float32
        up_to = np.mean(scores < r + 1e-6)
        objective = detector.objectives_[-1]
        traces.append([seed, epoch + 1, r, below, up_to, *quantiles, objective])

    detector.fit(points, on_epoch=note)
columns = ["seed", "epoch", "r", "below", "up to", "5 %", "median", "95 %", "objective"]
traces = pd.DataFrame(traces, columns=columns)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Left: scores of the training points by epoch (seed 0; median, and the band from the 5 % to the 95 % quantile), and the threshold r. Middle: the share of the scores below r, and, dotted, with r itself, which is a score; dashed: ν. Right: the objective after each pass. In the last two, one line a seed.", "name": "fig-ocnn-track"}, "image": {"alt": "Three panels over the epoch. A band of scores that moves upwards with a threshold line near its lower part; the share below the threshold, which stays at nu; and the falling objective."}}
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
one = traces[traces["seed"] == 0]
axes[0].fill_between(one["epoch"], one["5 %"], one["95 %"], alpha=0.25, color="C0")
axes[0].plot(one["epoch"], one["median"], color="C0", label="median score")
axes[0].plot(one["epoch"], one["r"], color="C1", label="r")
axes[0].legend(fontsize=8)
for _, some in traces.groupby("seed"):
    (line,) = axes[1].plot(some["epoch"], some["below"], alpha=0.8)
    axes[1].plot(some["epoch"], some["up to"], ":", alpha=0.8, color=line.get_color())
    axes[2].plot(some["epoch"], some["objective"], alpha=0.8)
axes[1].axhline(detector.nu, color="#666666", linestyle="--", linewidth=1)
axes[1].set_ylim(0, min(1, 2.5 * detector.nu))
for axis, name in zip(axes, ("score", "share below r", "objective"), strict=True):
    axis.set(xlabel="epoch", ylabel=name)
plt.show()

# %% tags=["hide-input"]
over = (traces["below"] - detector.nu).clip(lower=0)
under = (detector.nu - traces["up to"]).clip(lower=0)
off = np.maximum(over, under)
display(
    Markdown(
        f"After each of {len(traces)} passes, between {traces['below'].min():.4f} and {traces['below'].max():.4f} of the scores "
        f"were below r, and between {traces['up to'].min():.4f} and {traces['up to'].max():.4f} with those equal to r; ν is {detector.nu:g}."
    )
)

# %% [markdown]
# ```{claims} ocnn-share-below
# ```
#
# The threshold is a training quantile, whatever the network does. That the share $\nu$ of the *training* points is called anomalous says nothing about new points; [the next chapter](08-ocnn-synthetic.ipynb) looks at those.
#
# ## What the authors' code does
#
# - **The quantile** is `np.percentile`, interpolated, in the scripts for the synthetic data; a script for images takes the same of squared distances, at the wrong end ($\nu$ where the objective wants $1 - \nu$), and does not use it.
# - **One script leaves the hinge out**: its loss is $\frac1\nu$ times the mean of $r - \hat y_n$, without the $\max$. Then the best $r$ is no quantile at all: $f$ is a straight line, and for $\nu < 1$ it falls as $r$ does.
# - **When $r$ is set** differs, too: after each step, once while the graph is built (so that the loss keeps its first value), or by gradient together with the weights.
#
# ## What could go wrong
#
# - **Less than one point.** If $N\nu < 1$, the best $r$ is the smallest score and no training point is below it. `OCNN` refuses such a $\nu$.
# - **Ties.** With many equal scores the share below $r$ can be far less than $\nu$, and no $r$ mends that. A network whose scores have all become equal is the extreme case.
#
# ## Check yourself
#
# ```{quiz}
# - question: A sample has ten scores, and $\nu = 0.25$. Which $r$ minimise $f$?
#   answers:
#     - text: Any $r$ between the second and the third smallest score
#       why: 'That would need a flat piece, which there is only where $N\nu$ is a whole number. Here it is 2.5, and between these two scores $f$ still falls: its slope is $2/2.5 - 1$.'
#     - text: A point between the second and the third smallest score, as an interpolated quantile has it
#       why: The slope of $f$ is constant between two scores, so its minimum is at a score, unless a whole piece is flat.
#     - text: The third smallest score alone
#       right: true
#       why: Below it two scores are under $r$, fewer than 2.5, and raising $r$ pays. Above it there are three, and raising $r$ costs.
#     - text: The point a quarter of the way from the smallest score to the largest
#       why: A quantile counts scores. It does not measure along the axis.
# - question: One of the highest training scores moves up to ten times its value. What happens to the best $r$ and to the smallest $f$?
#   answers:
#     - text: Both stay as they are
#       right: true
#       why: A score above $r$ has a hinge of 0 and goes on having it. Neither the count below $r$ nor the sum changes.
#     - text: Both rise, since the scores rise on average
#       why: That would be so if $r$ were a mean. The hinge does not see how far above $r$ a score is.
#     - text: '$r$ stays, and the smallest $f$ falls'
#       why: It is true that $r$ stays, but the moved score is no part of the sum, so $f$ has nothing to fall by.
# - question: After the training with $\nu = 0.05$, 5 % of the training points lie below $r$. How many false alarms are to be expected among new normal points?
#   answers:
#     - text: About 5 %, since $r$ is the 5 % quantile
#       why: It is the quantile of the training scores. The network was fitted to these points and need not give new ones scores as high.
#     - text: At most 5 %, since the theorem says so
#       why: The theorem is about the sample that $r$ was set on. It says nothing about points outside it.
#     - text: That cannot be told from the training scores; it takes points that were not trained on
#       right: true
#       why: A flexible network can lift every training point and leave the rest where it was. Held-out normal points show it.
# ```
#
# ## Exercises
#
# ```{exercise} When is it flat?
# :label: ex-ocnn-flat
# For which $\nu$ is the minimiser of the nine scores $1, \dots, 9$ not unique? Decide first for $\nu = 1/9$, $0.2$ and $0.25$, then look at the pictures of a run with these three.
# ```
#
# ````{solution} ex-ocnn-flat
# :label: sol-ocnn-flat
# :class: dropdown
# Between two neighbouring scores the slope of $f$ is (number of scores below) $/(9\nu) - 1$. It is 0 exactly if $9\nu$ is that number, so for $\nu = k/9$ with $k = 1, \dots, 8$, and then every $r$ from the $k$-th to the next smallest score is a minimiser. Here $1/9$ has the flat piece $[1, 2]$. For $0.2$ and $0.25$ the products are $1.8$ and $2.25$, no whole numbers; the slope changes its sign at the second and at the third score, and the minimum is there alone.
#
# ```bash
# papermill notebooks/07-ocnn-quantile.ipynb out.ipynb -y 'shares: [0.1111111111, 0.2, 0.25]'
# ```
#
# In the pictures of {eq}`ocnn-f` the thick line has a length in the first of the three only. NumPy's default quantile misses the minimum for $0.2$. For $1/9$ it lies on the flat piece, and for $0.25$ it happens to fall on a score, since $0.25 \cdot (9 - 1)$ is whole.
# ````
#
# ```{exercise} Ties
# :label: ex-ocnn-ties
# Take the scores $1, 1, 1, 1, 5$ and $\nu = 0.5$. What is the best $r$, is it unique, and which share of the scores is below it? Which statement about "a share $\nu$ below $r$" is still true?
# ```
#
# ````{solution} ex-ocnn-ties
# :label: sol-ocnn-ties
# :class: dropdown
# Just below 1 no score is under $r$, and the slope of $f$ is $-1$. Just above 1 four of five are, and the slope is $0.8 / 0.5 - 1 > 0$. So $r = 1$ is the only minimiser. *No* score is below it, though half of them should be; and with $r$ itself it is four of five. No $r$ does better, since a threshold cannot divide what is equal.
#
# What always holds is (share below $r$) $\le \nu \le$ (share up to and with $r$). That is also why the figure on the training has two lines for each seed. Run it with `-y 'sample: [1, 1, 1, 1, 5]' -p nu 0.5`: the table has its smallest $f$ in the rows for $r = 1$.
# ````
#
# ```{exercise} The mean of the lowest
# :label: ex-ocnn-lowest
# Let $N\nu$ be a whole number. Show that $f$ at its minimum is minus the mean of the $N\nu$ lowest scores. What does OC-NN maximise, then, when it trains $w$ and $V$?
# ```
#
# ```{solution} ex-ocnn-lowest
# :label: sol-ocnn-lowest
# :class: dropdown
# Write $k = N\nu$ and take for $r$ the $k$-th smallest score. The hinge is positive for scores below $r$ only, and it is 0 for a score equal to $r$, so the sum may as well go over the $k$ lowest:
#
# $$
# f(r) = \frac1k \sum_{\text{lowest } k} (r - \hat y_n) - r = r - \frac1k \sum_{\text{lowest } k} \hat y_n - r = -\frac1k \sum_{\text{lowest } k} \hat y_n.
# $$
#
# $r$ has dropped out. So OC-NN maximises the mean of its $N\nu$ lowest scores, minus $\frac12(\|w\|^2 + \|V\|_F^2)$: it lifts the worst treated share of the training points, and whatever lies above does not count. (In finance such a mean of the worst cases is called *expected shortfall*.) [The next chapter](08-ocnn-synthetic.ipynb) needs this.
# ```
#
# ```{exercise} A quantile of whom?
# :label: ex-ocnn-fresh
# Train `OCNN(nu=0.1, activation="cosine", hidden=128, epochs=60, lr=1e-2)` on 20, 100 and 1,000 points from the distribution that the last section uses. Which share of the training points is below $r$, which of 10,000 fresh points? Then give it `bandwidth=0.1`, far below the distances between the points. What do you expect?
# ```
#
# ````{solution} ex-ocnn-fresh
# :label: sol-ocnn-fresh
# :class: dropdown
# The share of the training points cannot exceed $\nu$, whatever the network is: $r$ is *set* so. For fresh points nothing is set. A narrow bandwidth lets the network lift each training point alone, so fresh points should fall below $r$, and the more so the fewer there are to train on.
#
# ```python
# import numpy as np
# from adlib import OCNN
#
# def points(n, seed):
#     return np.random.default_rng(seed).normal([2.0, 1.0], 0.7, (n, 2))
#
# for n in (20, 100, 1000):
#     for bandwidth in (None, 0.1):
#         d = OCNN(nu=0.1, activation="cosine", hidden=128, epochs=60, lr=1e-2, bandwidth=bandwidth)
#         x = points(n, 0)
#         d.fit(x)
#         shares = [np.mean(d.anomaly_score(some) > 1e-6) for some in (x, points(10_000, 100))]
#         print(n, bandwidth, shares)
# ```
#
# With 1,000 points the two shares agree well, and nearly as well for the narrow bandwidth, since 128 cosines cannot single out a thousand points. With 100 points the default is still about right, and the narrow one calls several times as many fresh points anomalous as it should. With 20 points the default is wrong as well (the share differs much between seeds), and the narrow one calls most of the fresh points anomalous. In each case the training points say that all is well.
# ````
#
# Run it yourself, with another sample:
#
# ```bash
# papermill notebooks/07-ocnn-quantile.ipynb out.ipynb -y 'sample: [1, 1, 2, 3, 5, 8, 13]' -p nu 0.5
# ```

# %% tags=["remove-cell"]
values = {
    "example_minimum_at": [float(example)],
    "excess_nu_quantile": [max(0.0, max(misses["nu_quantile"]))],
    "share_of_misses_numpy_default": [float(np.mean(np.array(misses["linear"]) > 1e-9))],
    "share_below_off": [float(off[traces["seed"] == seed].max()) for seed in range(P.seeds)],
}
ds = datasets.generated("scores (generated)", y.numpy()[:, None])
receipt.record("07-ocnn-quantile", P, ds, values)
