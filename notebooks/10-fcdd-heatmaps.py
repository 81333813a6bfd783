# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A score that is a picture
#
# Most detectors give an image one number. FCDD {cite:p}`liznerski2021` gives it a small map of numbers, and the number is the mean of the map. So one can ask *where* the score comes from, and no second method has to explain the first. This chapter takes such a map apart, step by step, and then measures what it depends on: the outliers shown in training, how many of them, the size of the patch that one number sees, and the blur that is put on at the end. The pictures come from short trainings on this page, the tables below them from longer ones that were recorded.
#
# ```{claims} 10-fcdd-heatmaps
# ```

# %% tags=["parameters"]
dataset: str = "auto"  # auto for the paper's sets and the tiles where they are at hand, or digits
normal: int = 1  # normal class of Fashion-MNIST, trousers
choices: list = ["letters", "natural", "textures", "noise", "confetti"]  # outliers to train with
images: int = 800  # training images of that class, and as many outliers
color_normal: int = 0  # normal class of CIFAR-10, airplanes
amounts: list = [2, 8, 128, 2048, 0]  # numbers of outliers for CIFAR-10, 0 for all
kernels: list = [3, 9, 17]  # sides of the first kernel, for the receptive field
color_images: int = 400  # training images of the class of CIFAR-10
test_images: int = 500  # test images of the normal class, and as many anomalies
tile_size: int = 96  # pixels a side that tiles are resized to
tile_images: int = 100  # training tiles without defects
tile_test: int = 60  # test tiles without and with a defect, each
sigmas: list = [4, 8, 12, 16, 24]  # widths of the Gaussian for tiles, in pixels of 224
epochs: int = 8  # passes over the images
batch_size: int = 64  # images a step, a quarter of it for tiles
lr: float = 0.001  # learning rate
milestones: list = []  # epochs after which the rate is divided by ten
paper_width: bool = False  # networks as wide as the paper's, otherwise a quarter of it
seeds: int = 1  # number of repetitions, seeds 0, 1, 2 and so on
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
from functools import partial
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import Markdown, display
from matplotlib.patches import Rectangle
from pydantic import Field

from adlib import FCDD, HSC, Autoencoder, DeepSAD, data, nets
from adlib.companion import datasets, heatmaps, papers, plots, receipt, recorded, tiles
from adlib.companion.params import ChapterParams
from adlib.fcdd import confetti, contrast, pseudo_huber, receptive_field, upsample_heatmap
from adlib.metrics import auroc, pixel_auroc

Whole = Annotated[int, Field(ge=0, le=100000, strict=True)]
Width = Annotated[float, Field(gt=0, le=200)]


class Params(ChapterParams):
    dataset: Literal["auto", "digits"]
    normal: Annotated[int, Field(ge=0, le=9, strict=True)]
    choices: Annotated[
        list[Literal["letters", "natural", "textures", "noise", "confetti"]],
        Field(min_length=1, max_length=5),
    ]
    images: Annotated[int, Field(ge=20, le=50000, strict=True)]
    color_normal: Annotated[int, Field(ge=0, le=9, strict=True)]
    amounts: Annotated[list[Whole], Field(min_length=1, max_length=12)]
    kernels: Annotated[list[Literal[3, 5, 7, 9, 11, 13, 15, 17]], Field(min_length=1, max_length=8)]
    color_images: Annotated[int, Field(ge=20, le=50000, strict=True)]
    test_images: Annotated[int, Field(ge=20, le=10000, strict=True)]
    tile_size: Annotated[int, Field(ge=32, le=256, strict=True)]
    tile_images: Annotated[int, Field(ge=10, le=1000, strict=True)]
    tile_test: Annotated[int, Field(ge=5, le=1000, strict=True)]
    sigmas: Annotated[list[Width], Field(min_length=1, max_length=12)]
    epochs: Annotated[int, Field(ge=1, le=1000, strict=True)]
    batch_size: Annotated[int, Field(ge=8, le=1024, strict=True)]
    lr: Annotated[float, Field(gt=0, le=1)]
    milestones: Annotated[
        list[Annotated[int, Field(ge=1, le=1000, strict=True)]], Field(max_length=9)
    ]
    paper_width: bool
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]


P = Params.from_notebook(globals())
plots.set_style()


def at_hand(name):
    """The data set, or None where it is not at hand or the run is one on digits."""
    try:
        return data.load(name) if P.dataset == "auto" else None
    except data.DataNotFound:
        return None


grey = at_hand("fashion_mnist") or data.load("digits")
letters, natural = (at_hand(name) for name in ("emnist_letters", "natural_oe32"))
name = grey.classes[P.normal]
display(Markdown(datasets.banner(grey, "fashion_mnist") or f"Data: {grey.label}."))


def stand_in(normal):
    """For digits: (split, outliers, words). Five of the other digits are outliers, four are tested."""
    ds = data.load("digits")
    known, rest = (
        [(normal + k) % 10 for k in range(1, 6)],
        [(normal + k) % 10 for k in range(6, 10)],
    )
    words = f"the digits {known} (anomalies in the test: {rest} only)"
    return (
        data.one_vs_rest(ds, normal, rest), ds.x_train[np.isin(ds.y_train, known)], words,
    )  # fmt: skip


def some(x, n, seed):
    return x[datasets.draw(len(x), n, seed)]


def tested(split):
    """As many anomalies as normal images of the test part: (images, labels)."""
    parts = [some(split.x_test[split.y_test == label], P.test_images, 0) for label in (0, 1)]
    n = min(map(len, parts))
    parts = [some(x, n, 0) for x in parts]
    return np.concatenate(parts), np.repeat([0, 1], n)


if grey.name == "digits":
    grey_split, similar, similar_words = stand_in(P.normal)
    display(Markdown(f"In place of letters, the outliers are {similar_words}."))
else:
    grey_split = data.one_vs_rest(grey, P.normal)
    similar, similar_words = letters and letters.x_train, "letters (EMNIST)"
x_test, y_test = tested(grey_split)
long_runs = recorded.values("10-fcdd-heatmaps")


def long_run(*keys):
    """Recorded values, mean and lowest to highest of the seeds; of several keys their mean, by seed."""
    found = long_runs[long_runs["key"].isin(keys)].groupby("seed")["value"]
    return plots.spread(found.mean()[found.count() == len(keys)], 3) or "not yet"


def printed(number, method="FCDD (OE)"):
    """{class or size: AUROC} of a method, as the paper prints it in that table."""
    cells = papers.table("liznerski2021", number)
    return cells[cells["method"] == method].set_index("cls")["value"].to_dict()


# %% [markdown]
# ## Outliers to be pushed away
#
# FCDD learns from normal images and from *outliers*, images of something else. It makes the scores of the first small and those of the second large; [the chapter before](09-fcdd-clever-hans.ipynb) has the loss. The outliers need not look like the anomalies that will come. The paper takes another collection of images, and where that would be of no use, images of the normal class with coloured squares on them, which it calls *confetti*.

# %% tags=["hide-input"]
SIDE = grey.x_train.shape[-1]


def outliers_of(choice, n, seed):
    """n images to train with as outliers; None for confetti, which FCDD makes by itself."""
    if choice == "letters":
        return some(similar, n, seed)
    if choice in ("natural", "textures"):
        x = natural.x_train
        if choice == "textures":
            x = x[natural.y_train == natural.classes.index("dtd")]
        return heatmaps.alike(some(x, n, seed), (1, SIDE, SIDE))
    if choice == "noise":
        return np.random.default_rng(seed).integers(0, 256, (n, 1, SIDE, SIDE), dtype=np.uint8)
    return None


usable = {
    "letters": similar is not None,
    "natural": natural is not None,
    "textures": natural is not None,
    "noise": True,
    "confetti": True,
}
CHOICES = [choice for choice in P.choices if usable[choice]] or ["noise"]
if missing := [choice for choice in P.choices if not usable[choice]]:
    display(
        Markdown(f"Not used in this run, since the images are not at hand: {', '.join(missing)}.")
    )


def grown(x, choice):
    """Confetti needs 32 pixels: smaller images get a border."""
    return data.pad(x, max(SIDE, 32)) if choice == "confetti" else x


# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the detectors are trained on: normal images, and one row for each choice of outliers.", "name": "fig-heat-outliers"}, "image": {"alt": "Rows of small grey images: the normal class, and below it one row for each kind of outliers, such as letters, natural images, noise and confetti."}}
SHOWN = 8
normals = some(grey_split.x_train, SHOWN, 0)
examples = {"normal": normals}
for choice in CHOICES:
    examples[choice] = outliers_of(choice, SHOWN, 0)
    if choice == "confetti":
        padded = torch.from_numpy(grown(normals, choice)) / 255
        examples[choice] = 255 * confetti(padded, torch.Generator().manual_seed(0)).numpy()
plots.image_grid(
    [x[:, 0] / 255 for x in examples.values()], list(examples), [""] * SHOWN, size=0.85
)
plt.show()


# %% [markdown]
# One network for all of them, that of the paper for small grey images or one with fewer channels: three convolutions and two poolings.


# %%
def grey_net(shape):
    return nets.FCN28(shape[0], 128 if P.paper_width else 32)


COMMON = {"epochs": P.epochs, "lr": P.lr, "device": P.device}
DECAY = {"milestones": tuple(P.milestones)}
GREY = {}
for choice in CHOICES:
    for seed in range(P.seeds):
        detector = FCDD(
            net=grey_net, batch_size=P.batch_size, crop=2, random_state=seed, **COMMON, **DECAY
        )
        detector.fit(
            grown(some(grey_split.x_train, P.images, seed), choice),
            outliers=outliers_of(choice, P.images, seed),
        )
        GREY[choice, seed] = detector

# %% [markdown]
# ## From an image to a heatmap
#
# Take the first of these detectors and one test image that is not of the normal class. The network $\phi$ makes a small map of it, and from each of its values the pseudo-Huber distance is taken: $A = \sqrt{\phi(x)^2 + 1} - 1$. The mean of $A$ is the score.

# %%
main = GREY[CHOICES[0], 0]
model = main.model_
scores = main.anomaly_score(grown(x_test, CHOICES[0]))
odd = np.flatnonzero(y_test == 1)
example = odd[np.argsort(scores[odd])[len(odd) // 2]]  # neither the easiest nor the hardest
picture = grown(x_test[example : example + 1], CHOICES[0])


@torch.no_grad()
def small_map(x):
    """A of Eq. 2 for images x uint8, (n, u, v)."""
    rows = torch.from_numpy(x).to(main.device_) / 255
    return pseudo_huber(model.net((rows - model.mean) / model.spread))[:, 0]


A = small_map(picture)
field, stride, start = receptive_field(model.net)
plots.table(
    pd.DataFrame(
        [
            ("pixels of the image", f"{picture.shape[2]} x {picture.shape[3]}"),
            ("values of the map A", f"{A.shape[1]} x {A.shape[2]}"),
            ("pixels that each value sees (receptive field)", f"{field} x {field}"),
            ("pixels from one value to the next (stride)", f"{stride}"),
            ("centre of the first value, in pixels (start)", f"{start:g}"),
            ("mean of A", f"{A.mean():.4f}"),
            ("score of the detector", f"{main.anomaly_score(picture)[0]:.4f}"),
        ],
        columns=["of the image below", ""],
    )
)

# %% [markdown]
# Each value of $A$ sees a square of the image and nothing else. That is not a matter of training: the layers are convolutions and poolings, and {py:func}`receptive_field <adlib.fcdd.receptive_field>` counts from their sizes how far they reach. It can be put to the test. Replace everything *outside* the square of the hottest value by noise, and the value stays; empty the *inside*, and it does not.

# %%
u, v = (int(i) for i in np.unravel_index(int(A[0].argmax()), A.shape[1:]))


def box(i):
    """The pixels that row or column i of the map sees, from and up to, not cut at the border."""
    center = start + stride * i
    return center - (field - 1) / 2, center + (field - 1) / 2


inside = np.zeros(picture.shape[2:], bool)
(top, bottom), (left, right) = box(u), box(v)
inside[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = True
noise = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
probes = {
    "outside, noise": np.where(inside, picture, noise),
    "inside, empty": np.where(inside, np.uint8(0), picture),
}
plots.table(
    pd.DataFrame(
        {
            "what is replaced": place,
            "value before": float(A[0, u, v]),
            "value after": float(small_map(probe)[0, u, v]),
        }
        for place, probe in probes.items()
    ),
    decimals=4,
)

# %% [markdown]
# So each value can be put back to where it came from. Algorithm 1 of the paper puts a Gaussian at the centre $c_{ij}$ of each square, as wide as $\sigma$ says and cut off at the border of the square, and adds them up:
#
# $$
# A'(p) = \sum_{ij} A_{ij} \, \frac{1}{2 \pi \sigma^2} \exp\Bigl(-\frac{\lVert p - c_{ij} \rVert^2}{2 \sigma^2}\Bigr), \qquad p \text{ in the square of } c_{ij}.
# $$ (fcdd-upsample)
#
# {py:func}`upsample_heatmap <adlib.fcdd.upsample_heatmap>` is this sum. A Gaussian is a product of one over rows and one over columns, so the sum is two products of small matrices. At the end, for the eye only, the contrast is raised ({py:func}`contrast <adlib.fcdd.contrast>`, Appendix C): the least value becomes black, and the 85 % quantile already the brightest colour.


# %%
def spread_back(values):
    size, sigma = picture.shape[2:], 1.2  # the paper's for images of this size
    return upsample_heatmap(values, size, field, stride, start, sigma, normalize=True).cpu().numpy()


edge = int(A[0, :, -1].argmax())
shown = [(u, v), (0, 0), (edge, A.shape[2] - 1)]  # the hottest, a corner, the hottest of an edge
alone = torch.zeros_like(A)
alone[0, u, v] = A[0, u, v]
few = torch.zeros_like(A)
for i, j in shown:
    few[0, i, j] = A[0, i, j]
steps = [spread_back(values)[0] for values in (alone, few, A)]
assert np.allclose(steps[-1], main.heatmap(picture)[0], atol=1e-6)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How a heatmap comes about. Squares are the receptive fields of three values of the map, dots their centres; a square reaches past the image at its border. The three values have equal colours in the image and in the map. The heat is on one scale but for the last picture.", "name": "fig-heat-steps"}, "image": {"alt": "Six pictures in a row: an image with three outlined squares, a coarse map with three outlined cells, one blurred dot, three blurred dots, a smooth heatmap, and the same heatmap with more contrast."}}
EDGES = sns.color_palette("colorblind", 3)
figure, axes = plt.subplots(1, 6, figsize=(12, 2.6), layout="constrained")
titles = ["image", "map A", "one value", "three values", "all values", "with contrast"]
top_heat = steps[-1].max()
heats = [*steps, contrast(steps[-1][None], 0.85)[0]]
axes[0].imshow(picture[0, 0], cmap="gray_r")
axes[1].imshow(A[0].cpu(), cmap="inferno", vmin=0)
for axis, heat in zip(axes[2:], heats, strict=True):
    axis.imshow(heat, cmap="inferno", vmin=0, vmax=1 if axis is axes[-1] else top_heat)
for (i, j), color in zip(shown, EDGES, strict=True):
    (y0, y1), (x0, x1) = box(i), box(j)
    square = {"fill": False, "edgecolor": color, "linewidth": 2, "clip_on": False}
    axes[0].add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0 + 1, y1 - y0 + 1, **square))
    axes[0].plot((x0 + x1) / 2, (y0 + y1) / 2, "o", color=color, markersize=4)
    axes[1].add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, **square))
side = picture.shape[2]
axes[0].set(
    xlim=(-field / 2, side + field / 2), ylim=(side + field / 2, -field / 2), facecolor="#eeeeee"
)
for axis, title in zip(axes, titles, strict=True):
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=9)
    axis.grid(False)
plt.show()

# %% [markdown]
# Two things to keep in mind. The heatmap has no more detail than the map: it is the map with its values spread, and where the Gaussian is narrow beside the stride, as the paper's is for small images, the centres still show as a grid of dots. And a square at the border reaches past the image, where there is nothing but the zeros of the padding, so a map may have a rim of its own.
#
# ## Which are the anomalies, and where
#
# The same detector on test images of all classes, in the order of their scores. The paper's Figure 4 shows such rows for trousers, with the remark that horizontal parts are found anomalous "since trousers are vertically aligned".


# %% tags=["hide-input"]
def coloured(maps, reference, quantile=0.85):
    """Heatmaps as colours, on one scale."""
    return plt.get_cmap("inferno")(contrast(maps, quantile, reference))[..., :3]


maps = main.heatmap(grown(x_test, CHOICES[0]))


def in_order(label, n):
    """n test images of the label from the lowest to the highest score, evenly spaced in rank."""
    ranked = np.flatnonzero(y_test == label)
    ranked = ranked[np.argsort(scores[ranked])]
    return ranked[np.linspace(0, len(ranked) - 1, n).astype(int)]


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test images of the normal class and of the others, from the most normal to the most anomalous by their scores, and their heatmaps. One colour scale for all, from as many normal as anomalous test images.", "name": "fig-heat-ranked"}, "image": {"alt": "Two rows of normal test images and their heatmaps and two rows of anomalous ones. The heat grows from left to right and is stronger in the lower rows."}}
COLUMNS = 10
rows = [in_order(label, COLUMNS) for label in (0, 1)]
plots.image_grid(
    [
        picture
        for row in rows
        for picture in (grown(x_test, CHOICES[0])[row, 0] / 255, coloured(maps[row], maps))
    ],
    [f"normal: {name}", "heatmap", "other classes", "heatmap"],
    ["most normal", *[""] * (COLUMNS - 2), "most anomalous"],
    size=0.85,
)
plt.show()

# %% [markdown]
# Is it really the direction? Turn each normal test image by a right angle: nothing else about it changes. A detector of directions ranks the turned ones above the upright ones.

# %% tags=["hide-input"]
outcome = {}
for choice in CHOICES:
    x, detectors = grown(x_test, choice), [GREY[choice, seed] for seed in range(P.seeds)]
    outcome[choice] = {
        "auroc": [auroc(y_test, detector.anomaly_score(x)) for detector in detectors],
        "turned": [heatmaps.turned(detector, x, y_test) for detector in detectors],
    }
display(
    Markdown(
        f"Turned images of the class {name} against the same ones upright, outliers: {CHOICES[0]}, {P.seeds} seed(s): AUROC {plots.spread(outcome[CHOICES[0]]['turned'], 3)}."
    )
)

# %% [markdown]
# ## The choice of outliers
#
# The same normal images, the same test, other outliers. The paper reports "grayscaled CIFAR-100" as better than letters by about 3 points on average over the ten classes. We have other natural images in its place.

# %% tags=["hide-input"]
WORDS = {
    "letters": similar_words,
    "natural": "natural images, in grey",
    "textures": "pictures of textures alone, in grey",
    "noise": "uniform noise",
    "confetti": "confetti on normal images" + (", with a border to 32 pixels" if SIDE < 32 else ""),
}
display(
    Markdown(
        f"Normal class {name}, {P.seeds} seed(s), mean and, in brackets, lowest to highest. AUROC of the other classes, and of normal images turned by a right angle."
    )
)
plots.table(
    pd.DataFrame(
        {
            "outliers": WORDS[choice],
            "other classes": plots.spread(found["auroc"], 3),
            "turned": plots.spread(found["turned"], 3),
        }
        for choice, found in outcome.items()
    )
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The same anomalous test images, evenly spaced in rank as above, and their heatmaps by the detectors of seed 0 for each choice of outliers. One colour scale a row.", "name": "fig-heat-choices"}, "image": {"alt": "A row of grey images of other classes, and a row of heatmaps for each choice of outliers."}}
row = rows[1]
plots.image_grid(
    [
        x_test[row, 0] / 255,
        *(
            coloured(GREY[choice, 0].heatmap(grown(x_test[row], choice)), GREY[choice, 0].heatmap(grown(x_test, choice)))
            for choice in CHOICES
        ),
    ],
    ["image", *CHOICES], [""] * COLUMNS, size=0.85,
)  # fmt: skip
plt.show()

# %% [markdown]
# One class and a short training are no mean over ten classes. The recorded runs have all ten, all 6,000 training images of each, ten passes over them, and the same narrow network; for confetti, on images padded to 32 pixels, it is the one for these. The paper's numbers are those of CIFAR-100 in grey, its full network and 400 passes.

# %% tags=["hide-input"]
RECORDED = {"letters": "letters", "natural": "natural images, in grey", "confetti": "confetti"}
classes = [cls for cls in printed(6) if cls != "avg"]
by_class = [
    {
        "normal class": cls,
        **{f"{title}": long_run(f"grey_{k}_{choice}") for choice, title in RECORDED.items()},
        "paper (Table 6)": printed(6)[cls],
    }
    for k, cls in enumerate(classes)
]
means = {
    title: long_run(*(f"grey_{k}_{choice}" for k in range(len(classes))))
    for choice, title in RECORDED.items()
}
by_class.append({"normal class": "mean", **means, "paper (Table 6)": printed(6)["avg"]})
turned = {title: long_run(f"grey_1_{choice}_turned") for choice, title in RECORDED.items()}
by_class.append({"normal class": "trousers against the same, turned", **turned})
display(
    Markdown("Recorded, Fashion-MNIST, AUROC by outliers, mean and lowest to highest of the seeds.")
)
display(plots.table(pd.DataFrame(by_class), decimals=2))
grey_runs = long_runs[long_runs["key"].str.fullmatch(r"grey_\d_(letters|natural)")]
if len(grey_runs):
    mean = grey_runs.groupby("key")["value"].mean()
    gain = pd.Series(
        [mean[f"grey_{k}_natural"] - mean[f"grey_{k}_letters"] for k in range(len(classes))],
        classes,
    )
    display(
        Markdown(
            f"Natural images against letters: {100 * gain.mean():+.1f} points in the mean over the classes, better in {(gain > 0).sum()} of {len(gain)}; most for {gain.idxmax()} ({100 * gain.max():+.1f}), least for {gain.idxmin()} ({100 * gain.min():+.1f})."
        )
    )

# %% [markdown]
# So which outliers are the better ones depends on the class, and by more than the mean over the classes differs. Letters are thin strokes on an empty ground, as clothes are not; sandals are nearly that.
#
# Whatever the outliers are, the detector learns what tells them from the normal images, not what normal images are. Where a row of heatmaps marks another part of the image than the row above it, that is the reason. A good number in the table says that this difference happens to be of use for the test classes as well.
#
# ## How many outliers
#
# Figure 6 of the paper takes airplanes as normal and shows detectors more and more outliers: 2, 8, 128, 2048, then all. It says that with more of them, the heat gathers on the object. The paper has pictures for this and no number. We add three: the AUROC, the share of an anomaly's heat in the middle quarter of the image, where the object is as a rule, and the share in the hottest tenth of its pixels, wherever they are.

# %% tags=["hide-input"]
color = at_hand("cifar10") if natural is not None else None
if color is not None:
    display(Markdown(datasets.banner(color, "cifar10") or f"Data: {color.label}."))
    display(Markdown(f"Outliers: {natural.label}."))
    color_split, exposed = data.one_vs_rest(color, P.color_normal), natural.x_train
else:
    color = data.load("digits")
    color_split, exposed, words = stand_in(P.color_normal)
    display(Markdown(datasets.banner(color, "cifar10")))
    display(Markdown(f"Outliers: {words}."))
color_x, color_y = tested(color_split)
color_odd = color_x[color_y == 1]


COLOR = {}


def color_trained(key, seed, outliers=None, method=FCDD, **settings):
    """What a detector makes of the test images, trained with those outliers if it takes any; once for each key."""
    if (key, seed) not in COLOR:
        detector = method(batch_size=P.batch_size, random_state=seed, **COMMON, **settings)
        known = {} if outliers is None else {"outliers": outliers}
        detector.fit(some(color_split.x_train, P.color_images, seed), **known)
        COLOR[key, seed] = {
            "auroc": auroc(color_y, detector.anomaly_score(color_x)),
            "hottest": heatmaps.hottest(detector, color_x, color_y),
            "middle": heatmaps.middle(detector, color_x, color_y),
            "maps": detector.heatmap(pictures),
        }
    return COLOR[key, seed]


color_net = nets.fcn_32 if P.paper_width else nets.fcn_narrow
pictures = some(color_odd, 3, 0)

# %%
AMOUNTS = sorted({amount for amount in P.amounts if 0 < amount < len(exposed)})
AMOUNTS += [0] * (len(AMOUNTS) < len(set(P.amounts)))  # 0 or more than there are: all
by_amount = pd.DataFrame(
    {
        "outliers": amount or len(exposed),
        "key": f"n{amount or 'all'}",
        "seed": seed,
        **color_trained(f"n{amount}", seed, some(exposed, amount, seed), net=color_net, **DECAY),
    }
    for amount in AMOUNTS
    for seed in range(P.seeds)
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Three anomalous test images and their heatmaps by detectors that were trained with more and more outliers, seed 0. Each map has a scale of its own, as in the paper.", "name": "fig-heat-amounts"}, "image": {"alt": "Three images in a column, and to the right of each its heatmaps for growing numbers of outliers."}}


def beside(keys):
    """For each picture the image and its maps by the detectors of seed 0."""
    columns = [coloured(COLOR[key, 0]["maps"], None) for key in keys]
    return [np.stack(row) for row in zip(plots.drawable(pictures), *columns, strict=True)]


plots.image_grid(
    beside([f"n{amount}" for amount in AMOUNTS]),
    [""] * len(pictures), ["image", *(f"{amount or 'all'}" for amount in AMOUNTS)],
)  # fmt: skip
plt.show()

# %% tags=["hide-input"]
display(
    Markdown(
        f"Normal class {color.classes[P.color_normal]}, {P.color_images} images at most, {P.seeds} seed(s): mean and lowest to highest."
    )
)
plots.table(
    pd.DataFrame(
        {
            "outliers": f"{amount}",
            "AUROC": plots.spread(found["auroc"], 3),
            "heat in the middle quarter": plots.spread(found["middle"], 3),
            "heat in the hottest tenth": plots.spread(found["hottest"], 3),
        }
        for amount, found in by_amount.groupby("outliers")
    )
)

# %% [markdown]
# The last column tells a blob from a haze, but an object is larger than a tenth of its picture, so a small share there is not a bad map; evenly spread heat has a share of one tenth there and of one quarter in the middle. With two outliers it matters much *which* two, so here are three classes with three draws each, recorded: 2,500 training images, twelve passes.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Recorded: AUROC and two shares of the heat of anomalies, by the number of outliers, for three normal classes of CIFAR-10. Dots are seeds, lines their means. The dotted line is what evenly spread heat has.", "name": "fig-heat-many"}, "image": {"alt": "Three panels over the number of outliers on a logarithmic axis: AUROC, share of heat in the middle quarter, share of heat in the hottest tenth, each with a line for airplane, automobile and horse."}}
SHOWN_AMOUNTS = {"n2": 2, "n8": 8, "n128": 128, "n2048": 2048, "nall": 9753}  # all of natural_oe32
MEASURED = {
    "": "AUROC",
    "_middle": "heat in the middle quarter",
    "_hottest": "heat in the hottest tenth",
}
named = [cls for cls in printed(7) if cls != "avg"]
many = pd.DataFrame(
    [
        (named[k], amount, measure, value)
        for k in (0, 1, 7)
        for key, amount in SHOWN_AMOUNTS.items()
        for measure, title in MEASURED.items()
        for value in long_runs.loc[long_runs["key"] == f"color_{k}_{key}{measure}", "value"]
    ],
    columns=["normal class", "outliers", "measure", "value"],
)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
for axis, (measure, title), even in zip(axes, MEASURED.items(), (0.5, 0.25, 0.1), strict=True):
    part = {
        "data": many[many["measure"] == measure],
        "x": "outliers",
        "y": "value",
        "hue": "normal class",
    }
    sns.lineplot(**part, errorbar=None, ax=axis, legend=axis is axes[0])
    sns.scatterplot(**part, ax=axis, legend=False)
    axis.axhline(even, color="#666666", linestyle=":")
    axis.set(xscale="log", xlim=(1, 20000), title=title, ylabel="", xlabel="outliers")
    if many.empty:
        axis.text(0.5, 0.5, "not recorded yet", transform=axis.transAxes, ha="center", va="bottom")
plt.show()

# %% [markdown]
# The paper sets two other kinds of maps beside these. *HSC* ({py:class}`HSC <adlib.fcdd.HSC>`) is the same idea with an ordinary network at the end; its map is the gradient of the score by the pixels, blurred, a second method that explains the first. An *autoencoder* takes no outliers, and its map is the error of its reconstruction, pixel by pixel.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The three images again, with maps of FCDD, gradients of HSC, and errors of an autoencoder, seed 0. Each map has a scale of its own.", "name": "fig-heat-neighbours"}, "image": {"alt": "Three images in a column, and to the right of each two heatmaps of FCDD, two gradient maps of HSC and one error map of an autoencoder."}}
ENDS = {AMOUNTS[0]: "fewest", AMOUNTS[-1]: "most"}
for amount in ENDS:
    color_trained(f"hsc{amount}", 0, some(exposed, amount, 0), HSC, **DECAY)
color_trained("ae", 0, None, Autoencoder, net=nets.dcae)
plots.image_grid(
    beside([*(f"n{amount}" for amount in ENDS), *(f"hsc{amount}" for amount in ENDS), "ae"]),
    [""] * len(pictures),
    ["image", *(f"{method}, {amount or 'all'}" for method in ("FCDD", "HSC") for amount in ENDS), "autoencoder"],
)  # fmt: skip
plt.show()

# %% tags=["hide-input"]
NEIGHBOURS = {
    "FCDD, 2 outliers": "n2",
    "FCDD, all outliers": "nall",
    "HSC, 2 outliers": "hsc_n2",
    "HSC, all outliers": "hsc_nall",
    "autoencoder": "ae",
}
display(
    Markdown(
        "Recorded, CIFAR-10 (JPEG-75), mean over airplane, automobile and horse, and lowest to highest of the seeds."
    )
)
plots.table(
    pd.DataFrame(
        {
            "detector": title,
            **{
                column: long_run(*(f"color_{k}_{key}{measure}" for k in (0, 1, 7)))
                for measure, column in MEASURED.items()
            },
        }
        for title, key in NEIGHBOURS.items()
    )
)

# %% [markdown]
# An error map has no idea of what is anomalous: it is bright where an image has edges that a small code cannot hold. And all ten classes of FCDD, beside the paper's, which were trained on 5,000 true images for 600 passes, with CIFAR-100 as outliers:

# %% tags=["hide-input"]
by_class = [
    {"normal class": cls, "here": long_run(f"color_{k}_nall"), "paper (Table 7)": printed(7)[cls]}
    for k, cls in enumerate(named)
]
by_class.append(
    {
        "normal class": "mean",
        "here": long_run(*(f"color_{k}_nall" for k in range(len(named)))),
        "paper (Table 7)": printed(7)["avg"],
    }
)
display(Markdown("Recorded, CIFAR-10 (JPEG-75), AUROC with all outliers."))
plots.table(pd.DataFrame(by_class), decimals=2)

# %% [markdown]
# ## How far one value sees
#
# A large receptive field sees whole objects, a small one tells places apart. Appendix A of the paper varies the first kernel of a network with four convolutions and two poolings.


# %%
def field_net(shape, kernel):
    """The network with a first kernel of that side, and a receptive field of kernel + 15."""
    return nets.fcn_field(shape, kernel, 128 if P.paper_width else 32)


fields = {
    receptive_field(field_net((1, 32, 32), kernel))[0]: kernel for kernel in sorted(set(P.kernels))
}
by_field = pd.DataFrame(
    {
        "field": reach,
        "seed": seed,
        **color_trained(
            f"field{reach}",
            seed,
            some(exposed, 0, seed),
            net=partial(field_net, kernel=kernel),
            **DECAY,
        ),
    }
    for reach, kernel in fields.items()
    for seed in range(P.seeds)
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The same three test images, and their heatmaps by networks of growing receptive field, seed 0, trained with all outliers. Each map has a scale of its own.", "name": "fig-heat-fields"}, "image": {"alt": "Three images in a column, and to the right of each its heatmaps for growing receptive fields."}}
plots.image_grid(
    beside([f"field{reach}" for reach in fields]),
    [""] * len(pictures), ["image", *(f"{reach} pixels" for reach in fields)],
)  # fmt: skip
plt.show()

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "receptive field": f"{reach} x {reach}",
            "share of the image": f"{100 * min(1, (reach / color_x.shape[-1]) ** 2):.0f} %",
            "AUROC": plots.spread(found["auroc"], 3),
            "heat in the hottest tenth": plots.spread(found["hottest"], 3),
        }
        for reach, found in by_field.groupby("field")
    )
)

# %% [markdown]
# Recorded, with 2,500 images and all outliers, beside the paper's means over ten classes:

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "receptive field": f"{reach} x {reach}",
            "AUROC, airplanes": long_run(f"color_0_field{reach}"),
            "heat in the hottest tenth": long_run(f"color_0_field{reach}_hottest"),
            "paper, ten classes (Table 3)": printed(3)[f"{reach}"],
        }
        for reach in (18, 24, 32)
    ),
    decimals=4,
)

# %% [markdown]
# The paper finds the AUROC nearly the same for all sizes (0.9349 at best, 0.9235 at worst, Table 3), and the heat "less concentrated and more blobby" for the large ones. (Its smallest field is said to hold "approximately one quarter of the image"; the column above does the sum.)
#
# ## Defects, with the truth at hand
#
# So far nobody could say whether a heatmap is *right*. On pictures of defects one can: somebody has marked the pixels. The paper's set, MVTec-AD, and its pre-trained network cannot be had everywhere; we take magnetic tiles instead, small, with a narrow network that starts at random. Three ways of training, in the paper's words and ours:
#
# - *confetti only*: no defect is known;
# - *a few defects*: one of each kind is known, as an image (Eq. 2);
# - *a few defects with masks*: and somebody has marked their pixels. The loss then compares pixels (Eq. 3, {py:func}`pixel_loss <adlib.fcdd.pixel_loss>`), with $Y_j = 1$ where pixel $j$ of $m$ is a defect's:
#
# $$
# \frac1m \sum_j (1 - Y_j) A'_j - \log\Bigl(1 - \exp\bigl(-\tfrac1m \textstyle\sum_j Y_j A'_j\bigr)\Bigr).
# $$ (fcdd-pixels)

# %% tags=["hide-input"]
try:
    if P.dataset == "digits":
        raise data.DataNotFound("digits were asked for")
    pieces = tiles.resized(data.load("magnetic_tile"), P.tile_size)
    display(Markdown(f"Data: {pieces.label}. Not the paper's set."))
except data.DataNotFound:
    pieces = tiles.drawn(P.tile_size, seed=0)
    display(
        Markdown(
            f"> **Stand-in data.** The magnetic tiles are not used in this run. It has {pieces.label} in their place, which are easier and speak for no claim."
        )
    )
per_kind = {
    kind: ((pieces.y == k) & pieces.masks.any((1, 2))) for k, kind in enumerate(pieces.classes) if k
}
plots.table(
    pd.DataFrame(
        [{"kind": pieces.classes[0], "tiles": int((pieces.y == 0).sum()), "pieces": len(np.unique(pieces.group[pieces.y == 0]))}]
        + [
            {"kind": kind, "tiles": int(rows.sum()), "pieces": len(np.unique(pieces.group[rows])), "marked pixels, %": 100 * pieces.masks[rows].mean()}
            for kind, rows in per_kind.items()
        ]
    ),
    decimals=1,
)  # fmt: skip

# %% [markdown]
# There are several pictures of one piece, under other light. If one were in the training part and its twin in the test, the test would be too easy, so {py:func}`split <adlib.companion.tiles.split>` divides the *pieces*, never the pictures.

# %%
SMALL_BATCH = max(2, P.batch_size // 4)
TILE_NET = nets.fcn_vgg if P.paper_width else nets.fcn_narrow
WAYS = {"confetti": "none", "defects": "defects", "masks": "masks"}  # what is known of defects
TITLES = ("confetti only", "a few defects", "a few defects with masks")
SPLITS = [tiles.split(pieces, P.tile_images, P.tile_test, seed) for seed in range(P.seeds)]


def tile_detector(way, seed):
    part = SPLITS[seed]
    detector = FCDD(
        net=TILE_NET,
        batch_size=SMALL_BATCH,
        sigma=12 * P.tile_size / 224,  # the paper's 12 pixels of 224
        random_state=seed,
        **COMMON,
        **DECAY,
    )
    return detector.fit(part.x_train, **tiles.known(part, WAYS[way]))


TILE = {(way, seed): tile_detector(way, seed) for way in WAYS for seed in range(P.seeds)}


# %% tags=["hide-input"]
by_way = pd.DataFrame(
    {"way": way, "seed": seed, **tiles.measure(TILE[way, seed], SPLITS[seed])}
    for way in WAYS
    for seed in range(P.seeds)
)
display(
    Markdown(
        f"{len(SPLITS[0].x_train)} tiles without defects, {len(SPLITS[0].known)} known defects in the last two rows; tested on {int((SPLITS[0].y_test == 0).sum())} tiles without and {int((SPLITS[0].y_test > 0).sum())} with a defect. {P.seeds} seed(s), each with its own split: mean and lowest to highest."
    )
)
plots.table(
    pd.DataFrame(
        {
            "trained with": title,
            "AUROC, images": plots.spread(found["image"], 3),
            "AUROC, pixels of each image": plots.spread(found["each"], 3),
            "AUROC, all pixels pooled": plots.spread(found["pooled"], 3),
        }
        for title, (_, found) in zip(TITLES, by_way.groupby("way", sort=False), strict=True)
    )
)

# %% [markdown]
# The neighbour that uses known anomalies, too, is Deep SAD {cite:p}`ruff2020`: it pulls normal images to a centre and pushes the known defects away from it. It has a score and no map.

# %%
deep_sad = []
for seed, part in enumerate(SPLITS):
    detector = DeepSAD(
        epochs=P.epochs, batch_size=SMALL_BATCH, lr=P.lr, random_state=seed, device=P.device
    )
    detector.fit(part.x_train, outliers=part.known)
    deep_sad.append(auroc(part.y_test > 0, detector.anomaly_score(part.x_test)))
display(
    Markdown(
        f"Deep SAD with the same few defects, AUROC of images: {plots.spread(deep_sad, 3)}, {P.seeds} seed(s)."
    )
)

# %% [markdown]
# The recorded runs have 300 tiles without defects, 30 passes over them, 100 test tiles of each kind, and five splits. They add the two neighbours that have maps: HSC with the same few defects, and an autoencoder that knows none.

# %% tags=["hide-input"]
LONG = dict(zip(TITLES, WAYS, strict=True)) | {
    "Deep SAD, a few defects": "deep_sad",
    "HSC, a few defects": "hsc",
    "autoencoder": "ae",
}
PIXELS = {"each": "AUROC, pixels of each image", "pooled": "AUROC, all pixels pooled"}
TILE_MEASURES = {"image": "AUROC, images"} | PIXELS
display(
    plots.table(
        pd.DataFrame(
            {
                "recorded, magnetic tiles": title,
                **{
                    column: long_run(f"tile_{key}_{measure}")
                    for measure, column in TILE_MEASURES.items()
                    if key != "deep_sad" or measure == "image"  # it has no map
                },
            }
            for title, key in LONG.items()
        )
    )
)
tile_runs = long_runs.groupby("key")["value"].mean()
best = {}
for measure, column in TILE_MEASURES.items():
    means = {title: tile_runs.get(f"tile_{key}_{measure}", np.nan) for title, key in LONG.items()}
    if not all(np.isnan(list(means.values()))):
        best[column] = pd.Series(means).idxmax()
display(
    Markdown("\n".join(f"- Highest mean, {column}: {title}." for column, title in best.items()))
)

# %% [markdown]
# Two numbers for pixels, since the paper says one ("the mean over all samples") and its code computes the other (one curve over all pixels of all images). They answer different questions. *Of each image*: is the defect hotter than the rest of the same tile? *Pooled*: is there one threshold for all tiles? The second is the harder one when tiles differ in their overall heat; and it counts the pixels of tiles without a defect, which have no AUROC of their own.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test tiles, the marked defects, and heatmaps of the three trainings, seed 0. The first two tiles have no defect, the others one of each kind as far as there is room. One colour scale a row.", "name": "fig-heat-tiles"}, "image": {"alt": "Five rows: grey tiles, white masks on black with the defects, and three rows of heatmaps."}}
part = SPLITS[0]
picked = list(np.flatnonzero(part.y_test == 0)[:2])
for turn in range(3):
    for kind in range(1, len(pieces.classes)):
        picked += list(np.flatnonzero(part.y_test == kind)[turn : turn + 1])
picked = picked[:COLUMNS]
kinds = [pieces.classes[part.y_test[i]] for i in picked]
plots.image_grid(
    [
        1 - part.x_test[picked, 0] / 255,
        1.0 - part.test_masks[picked],
        *(coloured(TILE[way, 0].heatmap(part.x_test[picked]), TILE[way, 0].heatmap(part.x_test), 0.97) for way in WAYS),
    ],
    ["tile", "mask", *TITLES], kinds, size=0.95,
)  # fmt: skip
plt.show()

# %% [markdown]
# Defects differ. Of those on magnetic tiles, a crack is a line of a few pixels and darker than its surroundings, as confetti is; a tile that is uneven is pale over half of its area, and nothing like confetti. So here is the AUROC of pixels again, for each kind.

# %% tags=["hide-input"]
by_kind = []
for kind in range(1, len(pieces.classes)):
    row = {"kind": pieces.classes[kind]}
    for way, title in zip(WAYS, TITLES, strict=True):
        found = []
        for part, detector in ((SPLITS[seed], TILE[way, seed]) for seed in range(P.seeds)):
            of_kind = part.y_test == kind
            if of_kind.any():
                maps = detector.heatmap(part.x_test[of_kind])
                found.append(pixel_auroc(part.test_masks[of_kind], maps, per_image=True))
        row[title] = plots.spread(found, 2)
    by_kind.append(row)
display(Markdown(f"AUROC, pixels of each image, {P.seeds} seed(s): mean and lowest to highest."))
plots.table(pd.DataFrame(by_kind))

# %% [markdown]
# Few tiles, a short training and a network that starts at random make a weak detector of defects, and an AUROC of images near one half says that its scores are of little use. The paper's numbers come from a network that had been trained on ImageNet before. A heatmap can be worth something all the same: *within* a tile it may point at the defect, while the level of its heat says nothing. The autoencoder of the recorded table is the plainest case. And known defects take the place of the confetti here, they are not added to it: a handful of pictures, seen again and again, is less to learn from than confetti without end, unless the masks say what to look at.
#
# ## How wide the Gaussian is
#
# Appendix B: the width $\sigma$ of {eq}`fcdd-upsample` is chosen by hand. It is not part of the training with confetti and not of the score, only of the picture. So one trained detector is enough to try all widths.

# %% tags=["hide-input"]
by_sigma = []
moved = []
for seed in range(P.seeds):
    detector, part = TILE["confetti", seed], SPLITS[seed]
    kept, before = detector.sigma, detector.anomaly_score(part.x_test)
    for sigma in sorted(set(P.sigmas)):
        detector.set_params(sigma=sigma * P.tile_size / 224)
        moved.append(np.abs(detector.anomaly_score(part.x_test) - before).max())
        by_sigma.append({"sigma": sigma, "seed": seed, **tiles.measure(detector, part)})
    detector.set_params(sigma=kept)
by_sigma = pd.DataFrame(by_sigma)
display(
    Markdown(
        f"Confetti only, {P.seeds} seed(s): mean and lowest to highest. Largest change of any tile's score by the width: {max(moved):.3g}."
    )
)
plots.table(
    pd.DataFrame(
        {
            "width, pixels of 224": f"{sigma:g}",
            "width here": f"{sigma * P.tile_size / 224:.1f}",
            "AUROC, pixels of each image": plots.spread(found["each"], 3),
            "AUROC, all pixels pooled": plots.spread(found["pooled"], 3),
        }
        for sigma, found in by_sigma.groupby("sigma")
    )
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Heatmaps of test tiles with a defect by the detector that knows confetti only, for Gaussians of growing width. Each map has a scale of its own.", "name": "fig-heat-sigmas"}, "image": {"alt": "A row of tiles, a row of masks, and one row of heatmaps for each width of the Gaussian; the lower the row, the smoother the maps."}}
part, detector = SPLITS[0], TILE["confetti", 0]
faulty = [i for i in picked if part.y_test[i] > 0][:6]
kept, smooth = detector.sigma, []
for sigma in sorted(set(P.sigmas)):
    detector.set_params(sigma=sigma * P.tile_size / 224)
    smooth.append(coloured(detector.heatmap(part.x_test[faulty]), None, 0.97))
detector.set_params(sigma=kept)
plots.image_grid(
    [1 - part.x_test[faulty, 0] / 255, 1.0 - part.test_masks[faulty], *smooth],
    ["tile", "mask", *(f"width {sigma:g}" for sigma in sorted(set(P.sigmas)))],
    [pieces.classes[part.y_test[i]] for i in faulty], size=0.95,
)  # fmt: skip
plt.show()

# %% [markdown]
# The recorded detectors, with the paper's numbers of MVTec-AD beside them:

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "width, pixels of 224": width,
            **{
                column: long_run(f"tile_confetti_sigma{width}_{measure}")
                for measure, column in PIXELS.items()
            },
            "paper, MVTec-AD (Table 5)": printed(5, "FCDD").get(f"{width}"),
        }
        for width in (4, 8, 12, 16, 24)
    ),
    decimals=4,
)

# %% [markdown]
# The paper's Table 5 rises from 0.8567 at a width of 4 to 0.9217 at 14, and the paper goes on with 12. Both were read off the test set, so its 12 is a choice with the answers at hand, if a mild one.
#
# ```{claims} 10-fcdd-heatmaps
# ```
#
# ## What the authors' code does
#
# - **Kernel.** For receptive fields of an even side, as all of the paper's are, it takes the Gaussian of the odd side below and doubles its middle. The kernel has no factor in front, and so its peak is not that of Algorithm 1. That matters for {eq}`fcdd-pixels` alone; a heatmap's contrast is adjusted anyway.
# - **One curve for all pixels.** The pixel AUROC is the pooled one, at the original size of the masks.
# - **Outliers in a frozen order.** They are drawn without end from a list that remembers its first pass, so every pass after it repeats the same order. Ours are drawn afresh.
# - **Contrast.** The quantile differs from figure to figure, as Appendix C says. Ours stands in the code of each figure.
# - **Confetti** is made for 240 pixels and a fixed range of sizes; we take the same shares of the shorter side. It darkens, and brightens where darkening would change nothing.
# - **Normalisation.** Fashion-MNIST is normalised image by image, then by constants of each class. We standardise with the mean and spread of the training images.
#
# ## What could go wrong
#
# - **Reading detail into a smooth picture.** A heatmap has as many independent values as the small map, and no more.
# - **Contrast by image.** It makes something bright in every map, also where nothing is wrong. To compare images, use one scale for all.
# - **Outliers that are too easy.** Noise is told from anything by its roughness. The loss is then zero, nothing more is learned, and what the detector makes of real anomalies is left to chance.
# - **Splitting pictures, not pieces.** Twins on both sides of a split make any number look good.
# - **The AUROC of pixels and large defects.** A large defect has many pixels; pooled, a few such tiles decide the number.
#
# ## Check yourself
#
# ```{quiz}
# - question: The map $A$ has 7 x 7 values, the heatmap 28 x 28 pixels. How much can the heatmap tell about places?
#   answers:
#     - text: As much as 28 x 28 pixels, since upsampling restores the resolution
#       why: Upsampling spreads values. It cannot know what the map does not hold.
#     - text: As much as 49 numbers
#       right: true
#       why: The heatmap is a fixed linear function of the map. What looks smooth is the Gaussian, not knowledge.
#     - text: As much as two places a side, since each value sees 16 of 28 pixels
#       why: Fields overlap, and neighbouring values differ by what one sees and the other does not. So places can be told more finely than by the size of a field.
# - question: A detector was trained with confetti. Afterwards the width $\sigma$ of the Gaussian is doubled. What changes?
#   answers:
#     - text: The score of each image
#       why: The score is the mean of the map, before any upsampling.
#     - text: The AUROC of images, but not that of pixels
#       why: It is the other way round.
#     - text: The heatmaps, and with them the AUROC of pixels
#       right: true
#       why: The width belongs to the picture alone. (With masks it takes part in the training, since the loss compares pixels.)
# - question: Within each tile the heat is highest at the defect, but some tiles are hot all over and others cold, whether they have a defect or not. What do the two AUROCs of pixels say?
#   answers:
#     - text: That of each image is high, the pooled one is not
#       right: true
#       why: One compares within a tile. The other needs one threshold for all tiles, and there the level gets in the way.
#     - text: Both are high, since an AUROC does not depend on the level
#       why: It does not, if *all* scores move together. Pooled, the pixels of different tiles move by different amounts.
#     - text: The pooled one is high, that of each image is not
#       why: Within a tile the level is the same for all of its pixels, so it cannot do harm there.
# - question: Heatmaps are shown with the 85 % quantile of *each map* as the brightest colour. A normal image has bright spots. What do they mean?
#   answers:
#     - text: The detector finds something anomalous there
#       why: More so than elsewhere in this image, but perhaps hardly anything at all. The scale of the map has been lost.
#     - text: The detector has raised a false alarm
#       why: An alarm is a matter of the score, which may be as low as can be.
#     - text: 'Nothing yet: this scaling makes some pixels bright in every map that is not flat'
#       right: true
#       why: At least 15 % of its pixels get the brightest colour, by construction. One scale for all images shows whether it is hot.
# ```
#
# ## Exercises
#
# ```{exercise} One more pooling
# :label: ex-heat-pooling
# Add a third pooling of 2 to the end of the network for small grey images. How large is the receptive field of a value then, how many values has the map of an image with 28 pixels a side, and where does the centre of the last value lie? Work it out, then check it with {py:func}`receptive_field <adlib.fcdd.receptive_field>`. What would the heatmap lose?
# ```
#
# ````{solution} ex-heat-pooling
# :label: sol-heat-pooling
# :class: dropdown
# Before it, a value sees 16 pixels and the next one lies 4 further on. Pooling joins two neighbours, so the field grows by one stride to $16 + 4 = 20$, and the stride doubles to 8. Seven values a side become three: the seventh has no partner and is dropped. The first centre moves from 1.5 to the middle of two, $1.5 + 4/2 = 3.5$, and the last lies at $3.5 + 2 \cdot 8 = 19.5$.
#
# ```python
# from torch import nn
# from adlib import nets
# from adlib.fcdd import receptive_field
#
# net = nets.FCN28(1, 32)
# print(receptive_field(net), receptive_field(nn.Sequential(net, nn.MaxPool2d(2))))
# ```
#
# The field has hardly grown, but 49 values have become 9. And the last centre is 7.5 pixels from the last row and column: with the narrow Gaussian of the paper nothing there can be bright, though the last value does see these pixels. A heatmap is a statement about the centres of fields. What is lost at the edge of the map is lost in the picture.
# ````
#
# ```{exercise} What passes for trousers
# :label: ex-heat-pass
# Train a detector of trousers with letters as outliers, set a threshold at 5 % false alarms on trousers that were not trained on, and count for each class of the test part how many images stay below it. Which class passes most often? Turn its images by a right angle and count again. What has been learned?
# ```
#
# ````{solution} ex-heat-pass
# :label: sol-heat-pass
# :class: dropdown
# ```python
# import numpy as np
# from adlib import FCDD, data, nets
# from adlib.companion import datasets
# from adlib.metrics import threshold_at
#
# fashion, letters = data.load("fashion_mnist"), data.load("emnist_letters")
# trousers = fashion.x_train[fashion.y_train == 1]
# d = FCDD(net=nets.fcn_narrow, epochs=8, batch_size=64, milestones=())
# d.fit(trousers[:800], outliers=letters.x_train[datasets.draw(len(letters.x_train), 800, 0)])
# limit = threshold_at(d.anomaly_score(trousers[800:1800]), 0.05)
# for k, name in enumerate(fashion.classes):
#     x = fashion.x_test[fashion.y_test == k]
#     turned = np.ascontiguousarray(np.rot90(x, axes=(2, 3)))
#     print(name, *(np.mean(d.anomaly_score(some) <= limit) for some in (x, turned)))
# ```
#
# Dresses pass most often, a third to a half of them; shirts and pullovers follow; shoes and bags hardly ever do. Turned by a right angle no dress and no trousers pass any more; a few bags and shoes do, which are long in the other direction. So the detector has learned something like "filled shapes with long vertical edges". That tells trousers from letters, and it tells them from shoes by good luck. A dress has long vertical edges, too. The letters could not teach the difference, and a mean AUROC over the other classes does not show it. The classes one by one do.
# ````
#
# ```{exercise} Wrong masks
# :label: ex-heat-masks
# Give the known defects wrong masks, moved by a quarter of the tile. What do you expect of each of the three AUROCs, beside the right masks and beside no masks? Try it on drawn tiles.
# ```
#
# ````{solution} ex-heat-masks
# :label: sol-heat-masks
# :class: dropdown
# The loss of Eq. 3 presses the heat down wherever the mask is 0. With a moved mask the defect itself is such a place: its pixels are taught to be *normal*, and the heat shall appear where there is nothing to see. So it should be worse than masks that are right, and also worse than saying nothing about places.
#
# ```python
# import numpy as np
# from adlib import FCDD, nets
# from adlib.companion import tiles
#
# pieces = tiles.drawn(96, 0)
# part = tiles.split(pieces, 100, 60, 0)
# moved = part._replace(known_masks=np.roll(part.known_masks, 24, axis=(1, 2)))
# for name, some, way in (("no", part, "defects"), ("right", part, "masks"), ("moved", moved, "masks")):
#     d = FCDD(net=nets.fcn_narrow, batch_size=16, sigma=12 * 96 / 224, epochs=8, milestones=())
#     d.fit(some.x_train, **tiles.known(some, way))
#     print(name, "masks:", tiles.measure(d, part))
# ```
#
# Right masks give better pixels than none. Wrong ones are the worst in all three columns, that of images included: a score is a mean of the map, and the map has been taught to stay cold on the defect. It is not quite at chance, since a field of 62 pixels sees the defect from a quarter of a tile away. The AUROC of pixels, if one has true masks for a test, shows such an error at once. The loss does not: it falls in all three trainings. (On magnetic tiles a training as short as this is too weak to show it: the results differ by about as much between splits as between the three ways.)
# ````
#
# ```{exercise} A field larger than the defect
# :label: ex-heat-field
# The network for tiles has a field of 62 pixels and a stride of 8, the tiles have 96 pixels, and a crack is a few pixels wide. How many of the 12 x 12 values see one given pixel in the middle of the tile? Why can the heatmap be hottest near the crack all the same? Think first; then look at how much of the gradient of one value comes from the middle quarter of its field.
# ```
#
# ````{solution} ex-heat-field
# :label: sol-heat-field
# :class: dropdown
# In each direction $62/8$ centres are near enough, that is 7 or 8, so between 49 and 64 of the 144 values see the pixel. If each made equally much of all that it sees, the heat of a small defect would be a plateau as large as a field, and nothing more could be said.
#
# Two things help. From a pixel in the middle of a field many more paths lead through the layers to the value than from one at its border, so the middle counts more, before any training:
#
# ```python
# import torch
# from adlib import nets
#
# torch.manual_seed(0)
# net = nets.fcn_narrow((1, 96, 96)).eval()
# x = torch.rand(4, 1, 96, 96, requires_grad=True)
# (gradient,) = torch.autograd.grad(net(x)[:, 0, 6, 6].sum(), x)
# gradient = gradient.abs().mean((0, 1))
# middle = (torch.arange(96) - (3.5 + 8 * 6)).abs() < 62 / 4
# print(gradient[middle][:, middle].sum() / gradient.sum())
# ```
#
# The middle quarter has nearly half of the gradient, not a quarter. And a training with masks rewards values that react to their middle alone. Raising the kernels of all layers, as Table 4 of the paper does, makes the fields larger still and leaves the number of values as it is, if the padding grows along: more values see the defect, and each says less about where it is.
# ````
#
# Another normal class, with letters and noise only:
#
# ```bash
# papermill notebooks/10-fcdd-heatmaps.ipynb out.ipynb -p normal 5 -y "choices: [letters, noise]"
# ```

# %% tags=["remove-cell"]
values = {"tile_deep_sad_image": deep_sad}
for choice, found in outcome.items():
    values[f"grey_{P.normal}_{choice}"] = found["auroc"]
    values[f"grey_{P.normal}_{choice}_turned"] = found["turned"]
for amount, found in by_amount.groupby("key"):
    values[f"color_{P.color_normal}_{amount}"] = found["auroc"].tolist()
    for measure in ("hottest", "middle"):
        values[f"color_{P.color_normal}_{amount}_{measure}"] = found[measure].tolist()
for reach, found in by_field.groupby("field"):
    values[f"color_{P.color_normal}_field{reach}"] = found["auroc"].tolist()
    values[f"color_{P.color_normal}_field{reach}_hottest"] = found["hottest"].tolist()
for way, found in by_way.groupby("way"):
    for measure in ("image", "each", "pooled"):
        values[f"tile_{way}_{measure}"] = found[measure].tolist()
for sigma, found in by_sigma.groupby("sigma"):
    width = f"{sigma:g}".replace(".", "p")
    for measure in ("each", "pooled"):
        values[f"tile_confetti_sigma{width}_{measure}"] = found[measure].tolist()
used = [grey, color, pieces]
if "letters" in CHOICES and grey.name != "digits":
    used.append(letters)
if {"natural", "textures"} & {*CHOICES} or color.name != "digits":
    used.append(natural)
receipt.record("10-fcdd-heatmaps", P, datasets.together(used), values)
