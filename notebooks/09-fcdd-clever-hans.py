# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The horse that could not count
#
# A detector that is shown horses as anomalies learns to find horses, one would think. If a fifth of the horse pictures carry a watermark, it may learn to find watermarks. FCDD {cite:p}`liznerski2021` is a detector whose score *is* a heatmap, so one can see it happen. Section 4.3 of the paper shows such pictures; this chapter makes it an experiment with doses, controls and a cure.
#
# ```{claims} 09-fcdd-clever-hans
# ```

# %% tags=["parameters"]
dataset: str = "auto"  # cifar10, imagenette64, digits, or auto for cifar10 where it is at hand
anomalous: int = 7  # the class to be found, horses in CIFAR-10
images: int = 400  # training images of the other classes, and as many anomalies at most
test_images: int = 200  # test images of the other classes, and as many anomalies at most
shares: list = [0.0, 0.05, 0.2, 0.5, 1.0]  # doses, shares of the anomalies that carry the watermark
share: float = 0.2  # the dose for pictures, other methods and cures, one fifth in the paper
epochs: int = 12  # passes over the images
lr: float = 0.001  # learning rate
seeds: int = 2  # number of repetitions, seeds 0, 1, 2 and so on
folder: str = ""  # in place of a dataset, a folder with folders nominal and anomalous
folder_size: int = 64  # pixels a side that its images are resized to
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from pydantic import Field, model_validator

from adlib import FCDD, HSC, Autoencoder, data, nets
from adlib.companion import datasets, plots, receipt, recorded, watermark
from adlib.companion.params import ChapterParams
from adlib.fcdd import contrast

Share = Annotated[float, Field(ge=0, le=1)]


class Params(ChapterParams):
    dataset: Literal["auto", "cifar10", "imagenette64", "digits"]
    anomalous: Annotated[int, Field(ge=0, le=9, strict=True)]
    images: Annotated[int, Field(ge=20, le=50000, strict=True)]
    test_images: Annotated[int, Field(ge=10, le=10000, strict=True)]
    shares: Annotated[list[Share], Field(min_length=1, max_length=12)]
    share: Share
    epochs: Annotated[int, Field(ge=1, le=1000, strict=True)]
    lr: Annotated[float, Field(gt=0, le=1)]
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]
    folder: str
    folder_size: Annotated[int, Field(ge=32, le=256, strict=True)]

    @model_validator(mode="after")
    def _one_source(self):
        if self.folder and self.dataset != "auto":
            raise ValueError(f"folder={self.folder!r} and dataset={self.dataset!r} are both given")
        return self


P = Params.from_notebook(globals())
plots.set_style()
if P.folder:
    ds, odd = datasets.from_folder(P.folder, P.folder_size), 1
    display(Markdown(f"Data: {ds.label}."))
else:
    ds, odd = datasets.choose(P.dataset, "cifar10"), P.anomalous
    display(Markdown(datasets.banner(ds, "cifar10") or f"Data: {ds.label}."))
name = ds.classes[odd]
others = [c for c in range(len(ds.classes)) if c != odd]
split = data.one_vs_rest(ds, others)
known = ds.x_train[ds.y_train == odd]
size = ds.x_train.shape[-1]


def some(x, n, seed):
    return x[datasets.draw(len(x), n, seed)]


test_nominal, test_odd = (
    some(split.x_test[split.y_test == label], P.test_images, 0) for label in (0, 1)
)

# %% [markdown]
# ## Horses, and a watermark
#
# In PASCAL VOC about one fifth of the horse pictures carry a watermark in the lower left corner. Lapuschkin et al. {cite:p}`lapuschkin2019` found a classifier that recognised these horses by the mark, and failed when it was removed. They named the effect after Clever Hans, a horse that seemed to do sums and in truth read its master.
#
# Those pictures cannot be had everywhere, so we put a mark of our own ({py:func}`stamp <adlib.data.stamp>`) on pictures that can: three letters in the same corner. That has an advantage, too. We know which pictures carry it, we can change how many, and at test time we can take it away or put it on something else.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the detector is trained on: images to be found normal, known anomalies, and known anomalies with the watermark.", "name": "fig-hans-images"}, "image": {"alt": "Three rows of small images: other classes, the anomalous class, and the same images of it with three letters in a box in the lower left corner."}}
SHOWN = 7


examples = some(known, SHOWN, 0)
rows = [some(split.x_train, SHOWN, 0), examples, watermark.marked(examples)]
plots.image_grid(
    [plots.drawable(x) for x in rows], ["nominal", "anomalous", "marked"], [""] * SHOWN, size=0.9
)
plt.show()

# %% [markdown]
# ## A score that is a picture
#
# A network $\phi$ of convolutions and poolings, with nothing fully connected, turns an image into a small map of numbers, one for each place. From each the pseudo-Huber distance is taken, and the score of the image is the mean of the map:
#
# $$
# A(x) = \sqrt{\phi(x)^2 + 1} - 1, \qquad a(x) = \tfrac{1}{uv}\textstyle\sum A(x).
# $$ (fcdd-map)
#
# Training makes $a$ small for nominal images and large for known anomalies (Eq. 2 of the paper, {py:func}`hsc_loss <adlib.fcdd.hsc_loss>`):
#
# $$
# \min_\phi \; \frac1n \sum_i (1 - y_i)\, a(x_i) - y_i \log\bigl(1 - e^{-a(x_i)}\bigr).
# $$ (fcdd-loss)
#
# A value of the map can only come from the patch of the image that it sees; here that is a large one, 22 of 32 pixels for small images. So the map, spread back over these patches, says where the score comes from: no explanation is added afterwards, the heatmap is the score.
#
# In this experiment the nominal images are those of the other classes, and the anomalies that the training knows are all of one class, *the one to be found*. One would expect the heatmaps to show it.

# %%
FITTED = {}


def trained(method, share, seed, where="anomalous"):
    """(detector, function to show it images by, what it makes of the test images), trained once."""
    key = (method, share, seed, where)
    if key not in FITTED:
        nominal, anomalies = watermark.training_set(
            some(split.x_train, P.images, seed), some(known, P.images, seed), share, seed, where
        )
        common = {
            "epochs": P.epochs,
            "lr": P.lr,
            "batch_size": 64,
            "random_state": seed,
            "device": P.device,
        }
        if method == "autoencoder":  # knows no anomalies
            detector = Autoencoder(net=nets.dcae, **common).fit(nominal)
        else:
            kind, net = {"FCDD": (FCDD, nets.fcn_narrow), "HSC": (HSC, None)}[method]
            detector = kind(
                net=net, crop=0, flip=False, milestones=(), **common
            )  # a mirror would move the mark
            detector.fit(nominal, outliers=anomalies)
        shown = watermark.masked if where == "masked" else np.asarray
        found = watermark.measure(
            lambda x: detector.anomaly_score(shown(x)),
            lambda x: detector.heatmap(shown(x)),
            test_nominal,
            test_odd,
        )
        FITTED[key] = detector, shown, found
    return FITTED[key]


def heat(method, share, x):
    """Heatmaps of images x by the detector of seed 0, coloured, on one scale."""
    detector, shown, _ = trained(method, share, 0)
    maps = detector.heatmap(shown(x))
    return plt.get_cmap("inferno")(contrast(maps, 0.99, maps))[..., :3]


doses = sorted({*P.shares, 0.0, P.share})
for dose in doses:
    for seed in range(P.seeds):
        trained("FCDD", dose, seed)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test images of the class to be found, the last four with the watermark, and FCDD's heatmaps after trainings with no mark, with some, and with a mark on every known anomaly or on as many as the doses go up to. One colour scale a row.", "name": "fig-hans-heatmaps"}, "image": {"alt": "One row of small images and one row of heatmaps for each of three doses. Bright spots of the heatmaps say where the score comes from."}}
plain = some(test_odd, SHOWN, 1)
pictures = np.concatenate([plain[: SHOWN - 4], watermark.marked(plain[SHOWN - 4 :])])
picked = sorted({0.0, P.share, max(doses)})
plots.image_grid(
    [plots.drawable(pictures), *(heat("FCDD", dose, pictures) for dose in picked)],
    ["image", *(f"{100 * dose:g} % marked" for dose in picked)], [""] * SHOWN, size=0.9,
)  # fmt: skip
plt.show()

# %% [markdown]
# ## Dose and response
#
# Two questions can now be answered with numbers. *Where is the heat?* The mark covers a tenth of the image or less; a detector that rests on it has more of its heat there. It cannot have all of it there, since each place of the map sees far beyond the box. *What is found?* The same test images are ranked three times: with the mark on all anomalies, on none, and on the nominal images instead. A detector of horses would not care.

# %% tags=["hide-input"]
MEASURES = {
    "present": "mark on the anomalies",
    "removed": "no mark",
    "moved": "mark on the nominal images",
}
response = pd.DataFrame(
    {"share": dose, "seed": seed, **trained("FCDD", dose, seed)[2]}
    for dose in doses
    for seed in range(P.seeds)
)
# as many test anomalies marked as in training: AUROC is a mean over the anomalies
response["ordinary"] = (
    response["share"] * response["present"] + (1 - response["share"]) * response["removed"]
)
all_runs = recorded.values("09-fcdd-clever-hans")
long_runs = all_runs[all_runs["label"] == ds.label]


def long_run(key, runs=long_runs):
    """Recorded values of a key, by seed."""
    return runs[runs["key"] == key].set_index("seed")["value"]


def percent(share):
    return f"{100 * share:g}".replace(".", "p")


recorded_doses = pd.DataFrame(
    [
        {"share": dose, "measure": measure, "value": value}
        for dose in (0.0, 0.05, 0.2, 0.5, 1.0)
        for measure in (*MEASURES, "mass")
        for value in long_run(f"fcdd_{percent(dose)}_{measure}")
    ],
    columns=["share", "measure", "value"],
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Left: AUROC of the class to be found against the others, with the watermark in three places. Right: share of the heat of marked anomalies that lies in the mark's box; the dashed line is the box's share of the image. Dots are the seeds of this page. Lines, where there are any, are the recorded longer runs: mean and, shaded, lowest to highest of their seeds.", "name": "fig-hans-dose"}, "image": {"alt": "Two panels over the share of marked anomalies in the training. Left: AUROC with the mark in three places. Right: the share of heat in the box, beside a dashed line at the box's area."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
palette = sns.color_palette("colorblind", 5)
for axis, measures, colors in ((left, list(MEASURES), palette[:3]), (right, ["mass"], palette[4:])):
    for color, measure in zip(colors, measures, strict=True):
        axis.scatter(
            response["share"], response[measure], s=22, color=color, label=MEASURES.get(measure)
        )
        line = recorded_doses[recorded_doses["measure"] == measure]
        if len(line):
            sns.lineplot(line, x="share", y="value", ax=axis, color=color, errorbar=("pi", 100))
left.axhline(0.5, color="#333333", linestyle="--", linewidth=1)
left.set(ylabel="AUROC", ylim=(-0.03, 1.03))
right.axhline(watermark.box_area(size), color="#333333", linestyle="--", linewidth=1)
right.set(ylabel="share of the heat in the box", ylim=(0, None))
for axis in (left, right):
    axis.set(xlabel="share of known anomalies with the mark")
left.legend(fontsize=8)
plt.show()

# %% tags=["hide-input"]
COLUMNS = {
    **MEASURES,
    "mass": "heat in the box, marked",
    "mass_removed": "heat in the box, no mark",
}


def row_of(title, found):
    """A row of a table from the measures of some seeds."""
    return title | {name: plots.spread(found[measure], 2) for measure, name in COLUMNS.items()}


display(
    Markdown(
        f"This page, seeds: {P.seeds}. AUROC by where the watermark is in the test images, first on the share of the anomalies that has it in training; in brackets the lowest and the highest seed. The box is {100 * watermark.box_area(size):.1f} % of the image."
    )
)
plots.table(
    pd.DataFrame(
        row_of(
            {"marked": f"{100 * dose:g} %", "as in training": plots.spread(found["ordinary"], 2)},
            found,
        )
        for dose, found in response.groupby("share")
    )
)

# %% tags=["hide-input"]
at = response.groupby("share")[["moved", "removed", "mass", "ordinary"]].mean()
clean, dosed, full = at.loc[0.0], at.loc[P.share], at.iloc[-1]
words = [
    f"A test set like the training set, with {100 * P.share:g} % of the anomalies marked: AUROC {dosed['ordinary']:.2f}, where no marks anywhere give {clean['ordinary']:.2f}.",
    f"The anomalies without the mark against other images with it: {dosed['moved']:.2f}, where a training without marks gives {clean['moved']:.2f}.",
    f"No mark at all: {dosed['removed']:.2f}, where a training without marks gives {clean['removed']:.2f}. "
    + (
        "The class itself is still found. "
        if dosed["removed"] > clean["removed"] - 0.05
        else "The class itself is found less well. "
    )
    + f"At the highest dose, {100 * at.index[-1]:g} %, it is {full['removed']:.2f}.",
    f"Heat in the box of marked anomalies: {100 * clean['mass']:.0f} %, {100 * dosed['mass']:.0f} %, and {100 * full['mass']:.0f} % at the highest dose.",
]
display(Markdown("\n".join(f"- {w}" for w in words)))

# %% [markdown]
# An ordinary test set has as many marks as the training set, and its AUROC, the first of the table, gives no alarm. To see in numbers that something is wrong one needs test images that somebody has made on purpose. The heatmap needs none.
#
# A detector that has never seen the mark may give it heat all the same, since it is like nothing in its training images; that is why the doses start from zero, and why everything is to be compared with that row.
#
# ## Would other methods have told us?
#
# Two other maps for the same purpose. The *hypersphere classifier* (HSC) has the same loss on an ordinary network that ends in a vector; its map is the gradient of the score by the pixels. An *autoencoder* learns nominal images only; its map is the error of each pixel.

# %%
METHODS = ("FCDD", "HSC", "autoencoder")
compared = pd.DataFrame(
    {"method": method, "share": dose, "seed": seed, **trained(method, dose, seed)[2]}
    for method in METHODS
    for dose in sorted({0.0, P.share})
    if method != "autoencoder" or dose == 0  # it sees no anomalies, so no marks either
    for seed in range(P.seeds)
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The same test images, the last four with the watermark, and three kinds of maps. FCDD and HSC were trained with marks on a share of the known anomalies, the autoencoder knows no anomalies. One colour scale a row.", "name": "fig-hans-methods"}, "image": {"alt": "One row of images and three rows of maps of FCDD, of HSC's gradients and of an autoencoder's errors."}}
plots.image_grid(
    [plots.drawable(pictures), *(heat(method, P.share if method != "autoencoder" else 0.0, pictures) for method in METHODS)],
    ["image", *METHODS], [""] * SHOWN, size=0.9,
)  # fmt: skip
plt.show()

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        row_of({"method": method, "marked": f"{100 * dose:g} %"}, found)
        for (method, dose), found in compared.groupby(["method", "share"], sort=False)
    )
)

# %% [markdown]
# The autoencoder makes much of the mark, too, but for another reason: it has never seen it and cannot draw it. Its map says "this is new", not "this is what I look for", and one cannot tell the two from one map. To see that a detector has *learned* to rest on something, compare a training with it and one without.
#
# ## Control and cure
#
# If the mark stands on the same share of the nominal images, it says nothing, and nothing should happen: that is the control, and at the same time a cure ("extending the training data", says the paper). Another is to make its place black in every image, in training and in use. The plain one is to find clean images, which here is the training without marks.

# %%
CURES = {
    "nothing is done": "anomalous",
    "the same share of both marked": "both",
    "its place is black": "masked",
}
cures = pd.DataFrame(
    {"cure": cure, "seed": seed, **trained("FCDD", P.share, seed, where)[2]}
    for cure, where in CURES.items()
    for seed in range(P.seeds)
)
spotless = response[response["share"] == 0].assign(cure="clean images")
cures = pd.concat([cures, spotless[cures.columns]])

# %% tags=["hide-input"]
display(
    Markdown(
        f"Trained with {100 * P.share:g} % of the known anomalies marked, on this page, seeds: {P.seeds}:"
    )
)
plots.table(
    pd.DataFrame(row_of({"cure": cure}, found) for cure, found in cures.groupby("cure", sort=False))
)

# %% tags=["hide-input"]
LONG = {
    "FCDD, nothing marked": "fcdd_0",
    "FCDD, 20 % marked": "fcdd_20",
    "FCDD, 20 % of both marked": "fcdd_20_both",
    "FCDD, 20 % marked, place black": "fcdd_20_masked",
    "HSC, nothing marked": "hsc_0",
    "HSC, 20 % marked": "hsc_20",
    "autoencoder": "ae_0",
}
rows = [
    row_of({"recorded": title}, {m: long_run(f"{key}_{m}") for m in COLUMNS})
    for title, key in LONG.items()
    if len(long_run(f"{key}_mass"))
]
if rows:
    display(
        Markdown(
            f"The recorded runs on {ds.label}: 1,000 nominal and 1,000 known anomalous training images, 3,000 test images, 20 epochs, {long_runs['seed'].nunique()} seeds. In brackets the lowest and the highest seed."
        )
    )
    display(plots.table(pd.DataFrame(rows)))
else:
    display(Markdown(f"No long runs are recorded on {ds.label}."))

# %% [markdown]
# One class of one data set could be a stroke of luck. So the doses were recorded on other images, too: spaniels of Imagenette at 64 pixels against its nine other classes, 900 nominal and 900 known anomalous training images, with a deeper network whose values see nearly the whole image.

# %% tags=["hide-input"]
rows = [
    row_of(
        {"recorded, Imagenette": f"{dose} % marked"},
        {m: long_run(f"imagenette_{dose}_{m}", all_runs) for m in COLUMNS},
    )
    for dose in (0, 5, 20, 50, 100)
    if len(long_run(f"imagenette_{dose}_mass", all_runs))
]
plots.table(pd.DataFrame(rows))

# %% [markdown]
# In the table of cures, when the place is black, all three AUROC are equal by construction: the detector cannot see where the mark would be. What a cure costs is told by the column "no mark", beside the one of clean images.
#
# ```{claims} 09-fcdd-clever-hans
# ```
#
# ## What the authors' code does
#
# - **Which images.** The pictures with horses are the anomalies; the nominal ones are not VOC's, but ImageNet's without the classes that VOC has. So in training the two come from different collections, which a network can learn to tell apart by much less than a horse. The test compares horses with VOC's other pictures.
# - **Exactly 224 pixels.** Images are squeezed to the size of the network, "because the short edge skips the watermark": the usual crop would cut it off.
# - **No mirror.** By the paper the images are treated as those of CIFAR-10 but for size and crop, and those are mirrored; the code does not mirror them, so the mark stays in its corner. Neither do we.
# - **No number.** The paper has pictures: one row of horses by score, and some that were chosen because they show the effect.
#
# ## What could go wrong
#
# - **Looking at one map.** Heat on the mark says that it raises the score, not that horses do not. The test with the mark moved, beside the same test after a clean training, says that.
# - **Testing where you trained.** A test set from the same source has the same watermarks, and its number gives no alarm.
# - **Trusting the cure for the wrong reason.** Black boxes are learned, too, if only one class has them.
# - **Small networks, few images.** A class that is hard to tell from the others makes a shortcut worth more. Compare the table on other classes.
#
# ## Your own images
#
# Put images into two folders, `nominal` and `anomalous`, and run this page on them; half of each is used for the test. They are resized to a square, nothing is cut off. If you suspect a watermark in the lower left corner that is *already there*, look at the row for 0 %, in the columns *as in training*, *no mark* and *heat in the box, no mark*: these are your images as they are, and the others carry our mark on top. Whoever has PASCAL VOC can put the pictures with horses into `anomalous` and any others into `nominal`:
#
# ```bash
# papermill notebooks/09-fcdd-clever-hans.ipynb out.ipynb -p folder ~/voc -p folder_size 224
# ```
#
# ## Check yourself
#
# ```{quiz}
# - question: A detector of horses was trained with a watermark on a fifth of its horses. Which test shows that it rests on the mark? (More than one.)
#   answers:
#     - text: The AUROC on a test set from the same source
#       why: That test set has the mark on a fifth of its horses as well, so the AUROC gives no alarm.
#     - text: Ranking horses without the mark against other images with it, beside the same after a training without marks
#       right: true
#       why: A detector of horses would not care. One that rests on the mark puts the others above the horses.
#     - text: The share of heat in the place of the mark, beside that after a training without marks
#       right: true
#       why: Heat there, and more of it than a mark gets that was never seen in training, is what has been learned.
#     - text: The AUROC on horses without the mark against other images without it
#       why: With four fifths of the horses unmarked in training, the class itself is still learned, and this AUROC hardly falls.
# - question: A map has much of its heat on a watermark. May one conclude that the detector *learned* to look for it?
#   answers:
#     - text: Yes, the heatmap is the score, so that is what the score rests on
#       why: The score of this image rests on it. Why the detector finds the mark odd is another question.
#     - text: 'No: something that never occurred in training may be hot as well'
#       right: true
#       why: The autoencoder never saw a mark and has its heat there. Only the comparison with a training without marks tells the two apart.
#     - text: No, since a heatmap is too coarse to tell
#       why: It is coarse, but a box of a tenth of the image can be told from the rest, and the page measures it.
# - question: With the place of the mark black in all images, the AUROC is the same with the mark present, removed and moved. What does that show?
#   answers:
#     - text: That the cure works
#       why: A detector that knows nothing at all would have three equal numbers, too.
#     - text: That the mark never mattered
#       why: It is not visible in any of the three, so the comparison is silent about it.
#     - text: 'Nothing: the three test sets are the same images for this detector'
#       right: true
#       why: What the cure costs is told by the AUROC itself, beside that of a training on clean images.
# ```
#
# ## Exercises
#
# ```{exercise} All of them marked
# :label: ex-hans-all
# Let *every* known anomaly carry the mark. What do you expect of the AUROC on test images without any mark, and why, while it hardly falls at a dose of one fifth? Look both up in the first table, then explain them with the loss {eq}`fcdd-loss`: what is the slope of its second term, $-\log(1 - e^{-a})$, where $a$ is large already?
# ```
#
# ```{solution} ex-hans-all
# :label: sol-hans-all
# :class: dropdown
# The slope of that term is
#
# $$
# \frac{d}{da} \bigl(-\log(1 - e^{-a})\bigr) = -\frac{e^{-a}}{1 - e^{-a}} = -\frac{1}{e^a - 1},
# $$
#
# which is $-1.5$ at $a = 0.5$ and $-0.007$ at $a = 5$. The mark is the easiest thing to find: it looks the same everywhere and stands in one place. As soon as it makes $a$ large, the anomalies push no more, and nothing is left that would make the network learn a horse. In the table the AUROC without any mark falls from that of the first row to little above chance, and with the mark moved to the nominal images nearly every pair is ranked the wrong way.
#
# At a dose of one fifth four of five known anomalies have no mark. Their $a$ is still small, their slope is steep, and to make it large the network has to find horses. The shortcut is learned *in addition*, not instead; that is why the column "no mark" gives no alarm.
# ```
#
# ```{exercise} The other side
# :label: ex-hans-nominal
# Now 20 % of the *nominal* training images carry the mark, and no anomaly does. Which of the columns would show it, and in which direction? Try it; {py:func}`training_set <adlib.companion.watermark.training_set>` takes any two sets.
# ```
#
# ````{solution} ex-hans-nominal
# :label: sol-hans-nominal
# :class: dropdown
# Now the mark says "normal". It should lower the score of whatever carries it: marked anomalies are found less well ("mark on the anomalies" falls below "no mark"), and nominal images with the mark look even more normal ("moved" rises above it). The heat in the box should fall as well. The roles are swapped, so swap the arguments:
#
# ```python
# from adlib import FCDD, data, nets
# from adlib.companion import datasets, watermark
#
# def some(x, n, seed=0):
#     return x[datasets.draw(len(x), n, seed)]
#
# ds = data.load("cifar10")
# split = data.one_vs_rest(ds, [c for c in range(10) if c != 7])
# others, horses = some(split.x_train, 400), some(ds.x_train[ds.y_train == 7], 400)
# test = [some(split.x_test[split.y_test == label], 200) for label in (0, 1)]
# for share in (0.0, 0.2):
#     known, nominal = watermark.training_set(horses, others, share, 0)  # marks the second set
#     d = FCDD(net=nets.fcn_narrow, crop=0, flip=False, milestones=(), epochs=12, batch_size=64)
#     d.fit(nominal, outliers=known)
#     print(share, watermark.measure(d.anomaly_score, d.heatmap, *test))
# ```
#
# All three happen. After the clean training it is the other way round, "present" above "moved", since a mark that was never seen is odd. For somebody who smuggles anomalies past a detector this is the more useful side: put on what the normal images have.
# ````
#
# ```{exercise} How few are enough?
# :label: ex-hans-few
# Run the doses 0.005, 0.01 and 0.02. How many marked images is that, and how often does the training see one? (In each step every image of the batch is replaced with probability one half by a known anomaly, drawn at random.) From which dose on can you see the mark in the table?
# ```
#
# ````{solution} ex-hans-few
# :label: sol-hans-few
# :class: dropdown
# ```bash
# papermill notebooks/09-fcdd-clever-hans.ipynb out.ipynb -y "shares: [0.0, 0.005, 0.01, 0.02]"
# ```
#
# Of 400 known anomalies that is 2, 4 and 8 images. A pass goes over 400 images, 200 of which are replaced, and there are 12 passes: 2,400 draws, so each known anomaly is seen about six times, and with 2 marked ones the mark is met a dozen times.
#
# In our run the AUROC with the mark moved falls with each step of the dose, for both seeds; two images move it a little, and eight by at least as much as the seeds differ. The column "no mark" hardly changes. The trainings share their seeds, so images, order and first weights are the same, and small differences can be seen that would drown between two independent trainings. In the recorded runs, with more images and epochs, fifty marked images of a thousand are enough for most pairs to be ranked the wrong way.
# ````
#
# ```{exercise} What a mark is worth
# :label: ex-hans-odds
# The mark is on 20 % of the known anomalies and on a share $q$ of the nominal images, and it has nothing to do with what else is in the picture. By which factor does seeing it change the odds of "anomalous" for an ideal detector? Take $q = 0$, 5 %, 20 % and 40 %. Which columns of the tables are in which order, then? Why is the cure "the same share of both", and not "a few of both"?
# ```
#
# ```{solution} ex-hans-odds
# :label: sol-hans-odds
# :class: dropdown
# By Bayes' rule the odds are multiplied by how much more frequent the mark is among anomalies, $0.2 / q$. For $q = 0$ that is infinite: a single glance is proof. At 5 % it is a factor of 4, at 20 % it is 1, and at 40 % it is $\frac12$. (Not seeing it changes the odds by $0.8 / (1 - q)$, which is between $0.8$ and $1.4$: a missing mark says little.)
#
# A factor above 1 puts "mark on the anomalies" above "no mark" and "moved" below it; a factor below 1 does the opposite; at 1 all three should be close. Trainings of the size of this page, with {py:func}`stamp <adlib.data.stamp>` on both sets, come out in this order at 5 % and at 40 %, in both of two seeds; at 20 % the three lie closer together than after a clean training, though a short training does not make them equal. At 5 % the mark still turns most pairs around. A nominal image with the mark here and there takes away the certainty, not the shortcut; only equal shares make the mark say nothing.
# ```
#
# Another class, with other doses:
#
# ```bash
# papermill notebooks/09-fcdd-clever-hans.ipynb out.ipynb -p anomalous 1 -y "shares: [0.0, 0.02, 0.2]"
# ```

# %% tags=["remove-cell"]
values = {
    f"{method}_{percent(dose)}_{measure}": found[measure].tolist()
    for method, frame in (("fcdd", response), ("hsc", compared[compared["method"] == "HSC"]))
    for dose, found in frame.groupby("share")
    for measure in COLUMNS
}
values |= {
    f"fcdd_{percent(P.share)}_{where}_{measure}": cures.loc[cures["cure"] == cure, measure].tolist()
    for cure, where in CURES.items()
    if where != "anomalous"
    for measure in COLUMNS
}
values |= {
    f"ae_0_{measure}": compared.loc[compared["method"] == "autoencoder", measure].tolist()
    for measure in COLUMNS
}
receipt.record("09-fcdd-clever-hans", P, ds, values)
