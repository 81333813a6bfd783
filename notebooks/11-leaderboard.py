# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All methods, one protocol
#
# Each of the five papers compares its method with others, and no two papers do it alike: other splits, other training times, numbers copied from elsewhere. Here the methods of this book run by one protocol and with one budget, on 22 tables and three image sets. What is asked of each is not only how good it is, but also whether it is better than *the same network without training*.
#
# ```{claims} board-golan-cifar-dsebm-over-dagmm board-golan-fashion-dsebm-over-dagmm board-wu-mnist-vae-over-kde board-wu-cifar-dsvdd-over-ocsvm board-goyal-cifar-over-dsvdd board-goyal-cifar-over-neighbours board-goyal-arrhythmia-over-goad board-chalapathy-mnist-rcae-over-iforest
# ```

# %% tags=["parameters"]
tables: list = ["adbench/wine", "adbench/glass", "adbench/WBC", "thyroid", "abalone"]  # to run on
epochs: int = 50  # of each trained method, where pre-trained half for each training
rows: int = 500  # to train on and to test on at most
seeds: int = 2  # number of repetitions, seeds 0, 1, 2 and so on
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import warnings
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scikit_posthocs
from IPython.display import Markdown, display
from pydantic import Field

from adlib import data
from adlib.companion import board, datasets, plots, protocols, receipt, recorded
from adlib.companion.params import ChapterParams


class Params(ChapterParams):
    tables: Annotated[list[str], Field(min_length=1, max_length=len(board.TABLES))]
    epochs: Annotated[int, Field(ge=2, le=10000, strict=True)]
    rows: Annotated[int, Field(ge=50, le=100000, strict=True)]
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)]


P = Params.from_notebook(globals())
plots.set_style()


def load_tables():
    """(tables by name, names of those that are not at hand); for each of these one of scikit-learn's, while it lasts."""
    found, missing, spare = {}, [], board.stand_ins()
    for name in P.tables:
        try:
            found[board.short(name)] = data.load(name)
        except data.DataNotFound:
            missing.append(name)
            found |= {ds.label: ds for ds in spare[:1]}
            spare = spare[1:]
    return found, missing


sets, missing = load_tables()
if missing:
    display(
        Markdown(
            f"> **Stand-in data.** Not at hand here: {', '.join(missing)}. The runs of this page take small tables that scikit-learn brings in their place. "
            "`python -m adlib.data fetch --small` fetches thyroid, arrhythmia and abalone; those of ADBench have no public file of the same bytes."
        )
    )
plots.table(
    pd.DataFrame(
        {
            "table": name,
            "columns": ds.x_train.shape[1],
            "normal rows": int((ds.y_train == 0).sum()),
            "anomalies": int((ds.y_train == 1).sum()),
        }
        for name, ds in sets.items()
    )
)

# %% [markdown]
# ## The protocol
#
# | | tables | images |
# |---|---|---|
# | what is normal | the rows called normal | one class, all others are anomalies |
# | training part | half of the normal rows, split anew for each seed | 2,000 images of the class |
# | test part | the other half and all anomalies | 2,000 images of all classes |
# | scaling | each column by mean and deviation of the training rows | as each method does it |
# | budget | the same number of epochs for each trained method | the same, a smaller number |
# | all else | each method's own defaults | the same, with the exceptions below |
#
# Every setting was fixed before the runs, and none was chosen by a look at a test part. That makes the comparison fair in one sense and unfair in another: nothing is tuned for anybody, and a method that lives by tuning loses.
#
# Three columns guard against wrong readings.
#
# - **The floor.** {py:class}`RandomFeatures <adlib.random_features.RandomFeatures>` takes Deep SVDD's network *as it is before the first step* and measures the Mahalanobis distance in its features. A trained network that is not better has learned nothing of use here.
# - **The oracle.** Some papers report the best epoch on the test set (chapter 06). The column shows what that would add: the best of a few marked epochs and the last, chosen with the answers at hand. It is no result, only the size of the temptation.
# - **Collapse.** A network can map all rows to one point. Then its scores are equal, or nearly so, and an AUROC of them is an accident. For each run {py:func}`distinct_share <adlib.metrics.distinct_share>` counts the different scores among different rows, and {py:func}`has_collapsed <adlib.metrics.has_collapsed>` says whether they tell rows apart at all.
#
# The exceptions on images: the autoencoder, the robust one, the VAE and NS have the layers of Deep SVDD; OC-NN starts from the encoder of an autoencoder and gives it half of its epochs; DROCC has $\gamma = 1$, searches its negatives in 2 steps instead of 50, and has half of the epochs on CIFAR-10, so that no training takes more than a minute of processor time; ADGAN has 2 starts instead of 8; FCDD has a quarter of its channels, trains in bfloat16 and sees grey images padded to 32 pixels; GOAD, also on tables, has 64 maps instead of 256. KDE works in principal components and has a fixed bandwidth. NS and FCDD take no tables. What needs known anomalies is missing: Deep SAD, DROCC-OE, and HSC, which pulls everything to one point if nothing pulls back. So is DROCC-LF, which chapter 05 is about. GEOM has runs of its own in chapters 01 and 02, with another budget, and is shown apart.
#
# ## Runs on this page
#
# All methods that take rows, on a few small tables, by `protocols.measure`, the function that also makes the recorded runs.


# %%
def live_run(name, method, seed):
    """One run of a method on a table: AUROC, parameters, distinct scores."""
    ds = sets[name]
    normal = int((ds.y_train == 0).sum())
    test = normal // 2 + int((ds.y_train == 1).sum())
    at_most = {"n_train": normal - normal // 2, "n_test": test}
    point = board.point(
        method,
        ds,
        P.epochs,
        seed,
        **{field: n if n <= P.rows else P.rows for field, n in at_most.items()},
    )
    point["settings"] = point["settings"] | {"device": P.device}
    with warnings.catch_warnings(action="ignore"):  # OC-NN's, which chapter 08 is about
        values, _ = protocols.measure(point, ds)
    costs = {cost: values[f"{method}_{cost}"] for cost in ("parameters", "distinct", "collapsed")}
    return {
        "set": name,
        "unit": name,
        "method": method,
        "seed": seed,
        "auroc": values[method],
    } | costs


on_rows = [key for key, entry in board.METHODS.items() if entry.rows is not None]
live = pd.DataFrame(
    live_run(name, method, seed) for name in sets for method in on_rows for seed in range(P.seeds)
).assign(oracle=np.nan, fit_s=np.nan, rows_per_s=np.nan)

# %% tags=["hide-input"]
NAMES = {key: entry.name for key, entry in board.METHODS.items()}
SHOWN = {"AUROC": 3, "low": 3, "high": 3, "average rank": 1, "oracle": 3, "fit, s": 2, "rows / s": 0, "parameters": 0, "distinct scores": 2, "collapsed runs": 2}  # fmt: skip


def show(some, leave_out=()):
    """The summary of runs as a table, each number with its own decimals."""
    found = board.summary(some).drop(columns=list(leave_out), errors="ignore")
    shown = {name: f"{{:,.{places}f}}" for name, places in SHOWN.items() if name in found}
    return found.style.hide(axis="index").format(shown, na_rep="")


display(
    Markdown(
        f"Mean over {len(sets)} table(s), each a mean over {P.seeds} seed(s), {P.epochs} epochs; low and high are a bootstrap interval of 95 %, in which *tables* are drawn again, not seeds."
    )
)
show(live, ["units", "runs", "oracle", "fit, s", "rows / s"])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "AUROC of each method on each table of this page, dots are seeds. Blue: shallow methods; orange: the untrained network; grey: trained networks.", "name": "fig-board-live"}, "image": {"alt": "Small panels, one for each table, with a dot plot of AUROC for each method."}}
KINDS = {"shallow": "#0173b2", "floor": "#c46200", "trained": "#555555"}


def kind(method):
    return (
        "floor" if method == board.FLOOR else "trained" if board.METHODS[method].deep else "shallow"
    )


def panels(some, columns=4):
    """One small dot plot for each unit, methods in one order."""
    units, order = list(dict.fromkeys(some["unit"])), [m for m in NAMES if m in set(some["method"])]
    columns = min(columns, len(units))
    lines = -(-len(units) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(2.1 * columns + 1.9, (0.17 * len(order) + 0.55) * lines + 0.3),
        sharey=True, sharex=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis, unit in zip(axes.flat, units, strict=False):
        own = some[some["unit"] == unit]
        at = [order.index(method) for method in own["method"]]
        axis.scatter(own["auroc"], at, s=12, alpha=0.8, c=[KINDS[kind(m)] for m in own["method"]])
        axis.axvline(0.5, color="#888888", linewidth=0.8)
        axis.set_title(str(unit), fontsize=9)
        axis.set(ylim=(len(order) - 0.4, -0.6), xlim=(-0.02, 1.02))
        axis.set_yticks(range(len(order)), [NAMES[method] for method in order], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
    for axis in axes.flat[len(units) :]:
        axis.set_visible(False)
    figure.supxlabel("AUROC", fontsize=9)
    return figure


def nothing_yet(what):
    """A sentence in place of a figure."""
    figure, axis = plt.subplots(figsize=(6, 0.7))
    axis.text(0.5, 0.5, what, ha="center", va="center")
    axis.set_axis_off()
    return figure


panels(live, 3)
plt.show()

# %% [markdown]
# ## Who is better than whom
#
# A mean of AUROCs over tables lets the tables with large differences decide. The usual cure is to compare *ranks* {cite:p}`demsar2006`: on each table the best method has rank 1, the next rank 2, and ties share. With $r_i^j$ the rank of method $j$ of $k$ on table $i$ of $N$,
#
# $$
# R_j = \frac1N \sum_{i=1}^{N} r_i^j .
# $$ (board-rank)
#
# This is {py:func}`average_ranks <adlib.companion.board.average_ranks>`. Friedman's test asks whether ranks as different as these could come from methods that are all alike. If they could not, Nemenyi's test compares each pair, with a correction for the number of pairs. In a *critical-difference diagram* methods stand at their average rank, and a bar joins those that the test at 5 % does not tell apart.
#
# What the tests assume: the tables are independent of each other, and each has a value of every method. They say nothing about the size of a difference. And that two methods are joined does not show that they are equal: with few tables hardly any two can be told apart.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Critical-difference diagram of the runs on this page. Left is better; a bar joins methods that Nemenyi's test at 5 % does not tell apart. Colours as in the figure above.", "name": "fig-board-live-cd"}, "image": {"alt": "A line of average ranks with the name of each method at its rank; horizontal bars join the methods that cannot be told apart."}}


def ranks_picture(compared):
    """Draws a critical-difference diagram, best method to the left."""
    names = compared.pairs.rename(index=NAMES, columns=NAMES)
    figure, axis = plt.subplots(figsize=(8.5, 0.2 * len(names) + 1.2))
    scikit_posthocs.critical_difference_diagram(
        compared.ranks.rename(NAMES),
        names,
        ax=axis,
        label_fmt_left="{label} ({rank:.1f})",
        label_fmt_right="({rank:.1f}) {label}",
        label_props={"fontsize": 8},
        color_palette={NAMES[method]: KINDS[kind(method)] for method in compared.ranks.index},
    )
    return figure


def verdict_of_ranks(some, compared):
    """What Friedman's and Nemenyi's tests say, as a sentence."""
    used = len(board.complete(board.by_unit(some)))
    if compared is None:
        return f"{used} complete set(s): too few for a test, which needs five, and three methods."
    apart = (compared.pairs.to_numpy()[np.triu_indices(len(compared.pairs), 1)] < 0.05).sum()
    pairs = len(compared.pairs) * (len(compared.pairs) - 1) // 2
    best = NAMES[compared.ranks.idxmin()]
    return (
        f"Over {used} complete sets and {len(compared.ranks)} methods Friedman's p is {compared.p:.2g}. Nemenyi's test tells {apart} of {pairs} pairs apart at 5 %. "
        f"The best average rank, {compared.ranks.min():.1f}, is that of {best}."
    )


live_compared = board.compare(board.by_unit(live))
(
    ranks_picture(live_compared)
    if live_compared
    else nothing_yet("Too few tables to compare: five are needed")
)
plt.show()

# %% tags=["hide-input"]
Markdown("On this page: " + verdict_of_ranks(live, live_compared))

# %% [markdown]
# ## Recorded runs: 22 tables
#
# Ten splits and seeds, a hundred epochs, recorded once from committed code. Of the seven largest tables 2,000 rows were drawn to train on and 2,000 to test on. The thyroid table is one of the 20 that we take from ADBench {cite:p}`han2022` and also a set of its own; its rows are the same, so it counts once. Seconds and rows per second are processor time on one core, medians over the runs.

# %% tags=["hide-input"]
values = recorded.values("11-leaderboard")
seen = {"tables": board.runs(values, board.table_keys())}
seen |= {name: board.runs(values, board.image_keys(name)) for name in board.IMAGES}
WANTED = {"tables": (len(board.TABLES), board.TABLE_SEEDS)} | {
    name: (len(board.CLASSES), board.IMAGE_SEEDS) for name in board.IMAGES
}


def state(kind_of_data):
    """How much of a sweep is recorded, and what is missing."""
    units, repeats = WANTED[kind_of_data]
    methods = [
        m
        for m, e in board.METHODS.items()
        if (e.rows if kind_of_data == "tables" else e.images) is not None
    ]
    some, planned = seen[kind_of_data], units * repeats * len(methods)
    text = f"Recorded: {len(some):,} of {planned:,} runs."
    lacking = [m for m in methods if (some["method"] == m).sum() < units * repeats]
    if lacking and len(some):
        named = (
            "; ".join(NAMES[m] for m in lacking) if len(lacking) < len(methods) else "all methods"
        )
        text += f" Not complete: {named}."
    return text + (" The numbers below come with the first recorded runs." if some.empty else "")


display(Markdown(state("tables")))
show(seen["tables"])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "AUROC of each method on each of the 22 tables, dots are seeds. Blue: shallow methods; orange: the untrained network; grey: trained networks.", "name": "fig-board-tables"}, "image": {"alt": "Small panels, one for each of 22 tables, with a dot plot of AUROC for each method."}}
(nothing_yet("22 tables: not recorded yet") if seen["tables"].empty else panels(seen["tables"]))
plt.show()

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Critical-difference diagram of the recorded runs on tables. Left is better; a bar joins methods that Nemenyi's test at 5 % does not tell apart. Colours as in the figure above.", "name": "fig-board-cd"}, "image": {"alt": "A line of average ranks with the name of each method at its rank; horizontal bars join the methods that cannot be told apart."}}
compared = None if seen["tables"].empty else board.compare(board.by_unit(seen["tables"]))
(ranks_picture(compared) if compared else nothing_yet("Ranks on tables: not recorded yet"))
plt.show()

# %% tags=["hide-input"]
if len(seen["tables"]):
    display(Markdown(verdict_of_ranks(seen["tables"], compared)))
    for method, mean in board.by_unit(seen["tables"]).mean().items():
        if mean < 0.5:
            display(
                Markdown(
                    f"{NAMES[method]} has a mean of {mean:.2f}, which is less than a coin has: more often than not it takes the anomaly for the normal row. Its scores must not be turned round for that, since only the answers say that they should be."
                )
            )

# %% [markdown]
# Some of these tables are relatives: two come from the thyroid data of one clinic, two from one satellite image. The test takes them for independent all the same, and so claims a little more than it may.
#
# One method needs a word. GOAD's paper stops after *one* epoch on small tables. A budget of equal epochs for all is then not equal treatment: it lets GOAD train until it is sure of its maps also far away from the data. Its first epoch is among those that were marked, so both can be compared.

# %% tags=["hide-input"]
first = values[values["key"].str.fullmatch(r"\w+_goad_e1")]
last = seen["tables"][seen["tables"]["method"] == "goad"]
starts = tuple(board.table_keys())
first = first[first["key"].str.removesuffix("_goad_e1").isin(starts)]
if len(first) and len(last):
    early, late = (
        some.groupby(by)[what].mean().mean()
        for some, by, what in ((first, "key", "value"), (last, "unit", "auroc"))
    )
    display(
        Markdown(
            f"GOAD on tables, mean AUROC: {early:.3f} after one epoch, {late:.3f} after the last."
        )
    )
else:
    display(Markdown("GOAD on tables: not recorded yet."))

# %% [markdown]
# What a paper prints of these methods on the same tables:
#
# ```{claims} board-goyal-arrhythmia-over-goad board-goyal-thyroid-ocsvm board-goyal-thyroid-lof board-goyal-thyroid-dagmm board-goyal-thyroid-dsvdd board-goyal-thyroid-goad board-goyal-arrhythmia-ocsvm board-goyal-arrhythmia-lof board-goyal-arrhythmia-dagmm board-goyal-arrhythmia-dsvdd board-goyal-arrhythmia-goad board-goyal-abalone-ocsvm board-goyal-abalone-lof board-goyal-abalone-dagmm board-goyal-abalone-dsvdd board-goyal-abalone-goad
# ```
#
# ## Recorded runs: images
#
# Five classes of each set, two seeds; twenty epochs on the grey sets and six on CIFAR-10, where an epoch of most networks costs fifteen to twenty times as much. Here *classes* are drawn again for the interval. With five of them an interval is a rough one, as a rule too narrow. There is no test either: the anomalies of one class are the normal images of the others, so the five results are anything but independent. Ranks are shown without one.

# %% tags=["hide-input"]
display(Markdown(f"**{board.IMAGES['mnist']}.** {state('mnist')}"))
show(seen["mnist"])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "MNIST: AUROC of each method for each normal class, dots are seeds.", "name": "fig-board-mnist"}, "image": {"alt": "Five small panels, one for each normal digit, with a dot plot of AUROC for each method."}}
(nothing_yet("MNIST: not recorded yet") if seen["mnist"].empty else panels(seen["mnist"], 5))
plt.show()

# %% tags=["hide-input"]
display(Markdown(f"**{board.IMAGES['fashion_mnist']}.** {state('fashion_mnist')}"))
show(seen["fashion_mnist"])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Fashion-MNIST: AUROC of each method for each normal class (0 T-shirt, 1 trouser, 4 coat, 5 sandal, 8 bag), dots are seeds.", "name": "fig-board-fashion"}, "image": {"alt": "Five small panels, one for each normal kind of clothing, with a dot plot of AUROC for each method."}}
(
    nothing_yet("Fashion-MNIST: not recorded yet")
    if seen["fashion_mnist"].empty
    else panels(seen["fashion_mnist"], 5)
)
plt.show()

# %% tags=["hide-input"]
display(Markdown(f"**{board.IMAGES['cifar10']}.** {state('cifar10')}"))
show(seen["cifar10"])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "CIFAR-10 (JPEG-75): AUROC of each method for each normal class (0 airplane, 1 automobile, 4 deer, 5 dog, 8 ship), dots are seeds.", "name": "fig-board-cifar"}, "image": {"alt": "Five small panels, one for each normal class of CIFAR-10, with a dot plot of AUROC for each method."}}
(nothing_yet("CIFAR-10: not recorded yet") if seen["cifar10"].empty else panels(seen["cifar10"], 5))
plt.show()

# %% [markdown]
# ### What the papers print
#
# The rows of the papers' main tables that these runs reach, but for those that other chapters judge with runs of their own. A row counts as met if our mean over the five classes lies within five points of the paper's. A quoted row stands in several papers, and not always with one number.
#
# ```{claims} board-wu-mnist-ocsvm board-chalapathy-mnist-kde board-wu-mnist-kde board-wu-mnist-vae board-wu-mnist-dsvdd board-chalapathy-mnist-ocsvm board-chalapathy-mnist-iforest
# ```
#
# ```{claims} board-golan-fashion-dagmm board-golan-fashion-dsebm board-golan-fashion-adgan board-wu-fashion-goad board-liznerski-fashion-ae board-liznerski-fashion-dsvdd
# ```
#
# ```{claims} board-goyal-cifar-ocsvm board-goyal-cifar-dcae board-golan-cifar-ocsvm board-golan-cifar-dagmm board-golan-cifar-dsebm board-golan-cifar-adgan board-wu-cifar-ocsvm board-wu-cifar-kde board-wu-cifar-vae board-goyal-cifar-iforest board-goyal-cifar-soft board-goyal-cifar-dsvdd board-goyal-cifar-neighbours board-chalapathy-cifar-ocsvm board-chalapathy-cifar-kde board-chalapathy-cifar-iforest board-liznerski-cifar-ae board-liznerski-cifar-dsvdd
# ```
#
# ### Another budget
#
# **GEOM.** The recorded runs of chapter 02 train on all images of a class, with a larger network, and see each image in 72 versions. That is far more than the others had, so GEOM gets no rank here. Same classes, as far as they are recorded:

# %% tags=["hide-input"]
geom = recorded.values("02-geom-score").groupby("key")["value"]
geom = {key: (mean, n) for key, mean, n in zip(geom.groups, geom.mean(), geom.size(), strict=True)}
rows = []
for name, label in board.IMAGES.items():
    found = {
        c: geom[f"auroc_{name}_{c}_dirichlet"]
        for c in board.CLASSES
        if f"auroc_{name}_{c}_dirichlet" in geom
    }
    if found:
        same = seen[name][seen[name]["unit"].isin(found)]
        best = board.summary(same)
        others = (
            {}
            if best.empty
            else {"best of the others": best["method"].iloc[0], "its AUROC": best["AUROC"].iloc[0]}
        )
        rows.append(
            {
                "set": label,
                "classes": ", ".join(map(str, found)),
                "runs": sum(n for _, n in found.values()),
                "GEOM (other budget)": np.mean([mean for mean, _ in found.values()]),
            }
            | others
        )
plots.table(pd.DataFrame(rows)) if rows else Markdown("GEOM: not recorded yet.")

# %% [markdown]
# ## Is training worth it?
#
# Two bars: the best shallow method, and the same network without training. First the best of each kind, over the sets or classes that have a value of every method; low and high are a bootstrap interval of the last difference. The best of a dozen is flattered more than the best of five, so where the trained methods do not lead here, they do not lead.

# %% tags=["hide-input"]
LABELS = {"tables": "22 tables"} | board.IMAGES
everything = {"this page": live} | {LABELS[name]: some for name, some in seen.items()}
found = {label: board.bests(some) for label, some in everything.items()}
plots.table(pd.DataFrame({"data": label} | best for label, best in found.items() if best))

# %% [markdown]
# Now the second bar for all. For each kind of data: the trained methods that are *not* above the untrained network, on the mean over the sets or classes that both have. In brackets on how many of them they are above it after all.

# %% tags=["hide-input"]
def floor_sentence(label, some):
    """Which trained methods do not beat the untrained network, as a sentence."""
    if some.empty or board.FLOOR not in set(some["method"]):
        return f"- {label}: nothing to compare yet."
    trained = [m for m in dict.fromkeys(some["method"]) if board.METHODS[m].deep]
    below = board.not_above_floor(some)
    named = "; ".join(f"{NAMES[m]} ({up} of {n})" for m, (up, n) in below.items())
    words = f"{len(below)} of {len(trained)} trained methods are not above the untrained network"
    return f"- {label}: {words}{': ' + named if below else ''}."


def collapse_sentence(label, some):
    """How many runs of trained methods collapsed, as a sentence."""
    deep = some[[board.METHODS[m].deep for m in some["method"]]] if len(some) else some
    if deep.empty:
        return f"- {label}: no runs yet."
    gone = deep[deep["collapsed"] > 0].groupby("method").size()
    named = "; ".join(f"{NAMES[m]} ({n})" for m, n in gone.items())
    return f"- {label}: {int(gone.sum())} of {len(deep)} runs{': ' + named if named else ''}."


display(Markdown("\n".join(floor_sentence(*item) for item in everything.items())))
display(Markdown("Runs of trained methods whose scores collapsed:"))
display(Markdown("\n".join(collapse_sentence(*item) for item in everything.items())))

# %% [markdown]
# And what the choice of the best epoch on the test part would add, mean over the trained methods:

# %% tags=["hide-input"]
gains = []
for name, some in seen.items():
    marked = some.dropna(subset=["oracle"])
    if len(marked):
        gain = (marked["oracle"] - marked["auroc"]).groupby(marked["method"]).mean().sort_values()
        gains.append(
            {
                "data": LABELS[name],
                "mean gain": gain.mean(),
                "largest": gain.iloc[-1],
                "of": NAMES[gain.index[-1]],
            }
        )
plots.table(pd.DataFrame(gains)) if gains else Markdown("Not recorded yet.")

# %% [markdown]
# ## Every set, every method
#
# Sort the table by a column's name, or show only the rows with certain words, such as `wine` or `MNIST SVDD`. Each row is a method on a set, a mean over seeds (for images also over classes), with the lowest and the highest seed. Without recorded runs it holds the runs of this page.

# %% tags=["hide-input"]
filled = pd.concat([some for some in seen.values() if len(some)] or [live])
cells = filled.groupby(["set", "method"], sort=False)[
    ["auroc", "oracle", "fit_s", "rows_per_s", "parameters", "distinct", "collapsed"]
].mean()
over = filled.groupby(["set", "method", "seed"])["auroc"].mean().groupby(["set", "method"])
cells.insert(1, "lowest", over.min())
cells.insert(2, "highest", over.max())
cells.insert(3, "seeds", over.size())
cells.insert(1, "rank", cells["auroc"].groupby("set").rank(ascending=False))
cells = cells.reset_index().rename(
    columns={
        "auroc": "AUROC",
        "fit_s": "fit, s",
        "rows_per_s": "rows / s",
        "distinct": "distinct scores",
        "collapsed": "collapsed runs",
    }
)
cells["method"] = cells["method"].map(NAMES)
cells = cells[["method", *[name for name in cells if name != "method"]]].dropna(axis=1, how="all")
plots.sortable(cells, "All sets and methods of the leaderboard", SHOWN | {"rank": 1, "seeds": 0})

# %% [markdown]
# ## What the authors' code does
#
# - **Numbers come from elsewhere.** NS takes all rows of its tables but its own from another paper; DROCC takes most of its on CIFAR-10 from the paper on Deep SVDD, OC-NN a column (chapter 12). Data, splits and scaling of those runs are not the authors' own.
# - **Hindsight.** GEOM gives its OC-SVM the best of 90 pairs of settings on the test set (chapter 02). DROCC's code keeps the best epoch on the test set (chapter 06).
# - **Tuning by class.** DROCC's radius was tuned for each class of CIFAR-10. Here it is $\sqrt d / 2$ for all.
#
# ## What could go wrong
#
# - **A budget in epochs is not one in steps.** On a table of 60 rows an epoch is one step, on one of 2,000 it is ten or more. Small tables train little, and methods with small batches train more than others.
# - **Nor is it one in seconds.** An epoch of DROCC or GOAD costs many times one of Deep SVDD; the column of seconds says how much.
# - **Defaults are choices, too.** Ours follow the papers, which tuned for their own data.
# - **The interval is about other sets.** Drawing tables again says how the mean might change on other tables *like these*, and these were picked for being small and public.
# - **One AUROC hides the rest.** A method may be first by AUROC and useless at the rate of false alarms that you can afford.
# - **More columns, more winners.** Whoever may choose the column after the fact can make many a method win.
#
# ## Check yourself
#
# ```{quiz}
# - question: A bar joins two methods in a critical-difference diagram. What does it say?
#   answers:
#     - text: They are equally good
#       why: That a difference was not shown is no proof of equality. With few tables hardly any two methods can be told apart.
#     - text: Their mean AUROCs differ by less than the bar's length
#       why: The axis is the average rank. How large the differences of AUROC are does not enter.
#     - text: The tables do not suffice to tell them apart by their ranks, among this number of methods
#       right: true
#       why: 'All three matter: how many tables, that only ranks are compared, and how many methods take part.'
# - question: On 22 tables a trained network has a mean AUROC of 0.93, the same network without training 0.94. What follows?
#   answers:
#     - text: As it was trained here, its training was of no use for this purpose
#       right: true
#       why: The features that it started from serve as well. That is about this protocol and budget, and the same would be said of a good network trained too long.
#     - text: The method cannot work
#       why: Another budget, scaling or network may change it. What follows is that this AUROC is no evidence for the training.
#     - text: The tables are too easy to say anything
#       why: Easy tables would let both reach 1. Here there was room above 0.94, and shallow methods may use it.
#     - text: Nothing, since 0.93 is a good AUROC
#       why: An AUROC is good or bad beside what can be had for nothing, and here more can be had for nothing.
# - question: The interval beside a mean AUROC over tables is 0.84 to 0.96. Two seeds were run. What would make it much narrower?
#   answers:
#     - text: More seeds
#       why: They make each table's own mean more certain. The interval draws *tables* again, and these differ by far more than seeds do.
#     - text: More tables of the same kind
#       right: true
#       why: The interval says how the mean may change with the choice of tables, so it shrinks with their number.
#     - text: A larger number of bootstrap samples
#       why: That makes the ends of the interval less noisy. It does not bring them together.
# - question: Method A is best by average rank, method B by mean AUROC. How can that be?
#   answers:
#     - text: One of the two was computed wrongly
#       why: They answer different questions and need not agree.
#     - text: B has more seeds
#       why: Seeds are averaged on each table before anything is ranked.
#     - text: A is ahead on many tables by a little, B on a few by a lot
#       right: true
#       why: Ranks count who is ahead, means count by how much.
# ```
#
# ## Exercises
#
# ```{exercise} Two ways to be first
# :label: ex-board-ranks
# Make up AUROCs of two methods on three tables such that one has the better average rank and the other the better mean. Then run the five shallow methods on the five tables of this page and find a pair that does this. Which tables are the reason?
# ```
#
# ````{solution} ex-board-ranks
# :label: sol-board-ranks
# :class: dropdown
# A: 0.91, 0.91, 0.60; B: 0.90, 0.90, 0.90. A has rank 1 twice, its average rank is $4/3$ against $5/3$, and its mean is lower by 0.09.
#
# ```python
# import warnings
# import pandas as pd
# from adlib import data
# from adlib.companion import board, protocols
#
# warnings.simplefilter("ignore")
# TABLES = ["adbench/wine", "adbench/glass", "adbench/WBC", "thyroid", "abalone"]
#
# def run(method, name, epochs, seed):
#     ds = data.load(name)
#     half = int((ds.y_train == 0).sum()) // 2
#     point = board.point(method, ds, epochs, seed, n_train=min(500, half))
#     values, _ = protocols.measure(point, ds)
#     return {"unit": board.short(name), "method": method, "seed": seed, "auroc": values[method]}
#
# shallow = ["ocsvm", "kde", "iforest", "lof", "knn"]
# runs = pd.DataFrame(run(m, t, 1, seed) for m in shallow for t in TABLES for seed in range(2))
# wide = board.by_unit(runs)
# print(wide.round(3), wide.mean(), board.average_ranks(wide), sep="\n")
# ```
#
# The nearest neighbours lead by both. But the isolation forest has a better average rank than KDE and LOF, and a lower mean than either. It is first on `WBC` and `thyroid`, by a few thousandths, and last on `wine`, by several hundredths. Ranks count the two firsts; the mean does not forget `wine`. Neither is wrong: ask whether you fear a bad table more than you like a small lead.
# ````
#
# ```{exercise} Bystanders
# :label: ex-board-bystanders
# Method A is better than B on each of 12 tables. Compare them by Nemenyi's test ({py:func}`compare <adlib.companion.board.compare>`) beside one further method that is worse than both everywhere, then beside two, three and four such. Then with the further methods *between* A and B. What happens to the p-value of A against B, whose results never change?
# ```
#
# ````{solution} ex-board-bystanders
# :label: sol-board-bystanders
# :class: dropdown
# With $k$ methods on $N$ tables two average ranks must differ by more than $q_k \sqrt{k (k + 1) / 6N}$, where $q_k$ grows with $k$. Methods below both leave the difference of the ranks at 1, and the bound rises: $q_3 = 2.34$ makes it 0.96, $q_4 = 2.57$ makes it 1.35. Methods between them make the difference larger by one each.
#
# ```python
# import numpy as np
# import pandas as pd
# from adlib.companion import board
#
# a = np.random.default_rng(0).uniform(0.8, 0.9, 12)
# for others in (1, 2, 3, 4):
#     below = {f"below {i}": a - 0.1 - 0.01 * i for i in range(others)}
#     between = {f"between {i}": a - 0.001 * (i + 1) for i in range(others)}
#     for extra in (below, between):
#         compared = board.compare(pd.DataFrame({"A": a, "B": a - 0.01} | extra))
#         print(others, list(extra)[0], compared.pairs.loc["A", "B"])
# ```
#
# Beside one method that is worse than both, A and B are told apart at 5 %; beside two they are not, and with each further one the p-value rises. Those in between press it to nearly 0. So the verdict on two methods depends on who else was invited, and one can invite. A test on the two columns alone, a sign test for example, does not have this defect: 12 of 12 has the probability $2 \cdot 2^{-12}$ by chance. Nemenyi's test is for a first look at many methods. For a claim about two, test the two.
# ````
#
# ```{exercise} More epochs
# :label: ex-board-epochs
# Give Deep SVDD (`dsvdd`) 10, 50 and 500 epochs on the tables of this page, and set the untrained network (`random`) beside it. Does more training bring it nearer to the floor, above it, or further away? Take `run` from the first solution.
# ```
#
# ````{solution} ex-board-epochs
# :label: sol-board-epochs
# :class: dropdown
# ```python
# plans = [("random", 1), ("dsvdd", 10), ("dsvdd", 50), ("dsvdd", 500)]
# runs = pd.DataFrame(
#     run(method, table, epochs, seed) | {"method": f"{method}, {epochs}"}
#     for method, epochs in plans for table in TABLES for seed in range(2)
# )
# print(runs.pivot_table(index="unit", columns="method", values="auroc").round(2))
# ```
#
# There is no single answer. After 10 epochs Deep SVDD is below the untrained network on each of the five. On `wine` and `glass` longer trainings bring it above. On `WBC`, `thyroid` and `abalone` it stays below; on `WBC` it loses from 10 to 50 epochs, on `thyroid` from 50 to 500. The loss falls all the while: it asks for small distances of *training* rows, and a network can get these by becoming indifferent to directions in which anomalies differ. The right number of epochs depends on the table, and without known anomalies nothing says what it is. (On `wine` and `glass` a seed moves the result a lot; two seeds are enough to see that, and too few for more.)
# ````
#
# ```{exercise} A better floor
# :label: ex-board-floor
# What about the distance to the nearest neighbours in the untrained features, in place of the Mahalanobis distance? Compare both, and the nearest neighbours in the rows themselves. Which should be the floor?
# ```
#
# ````{solution} ex-board-floor
# :label: sol-board-floor
# :class: dropdown
# ```python
# import numpy as np
# import torch
# from sklearn.preprocessing import StandardScaler
# from adlib import KNN, RandomFeatures, data
# from adlib.metrics import auroc
#
# for name in ("adbench/wine", "adbench/glass", "adbench/WBC", "thyroid", "abalone"):
#     found = []
#     for seed in range(5):
#         split = data.split_rows(data.load(name), seed, balanced=False)
#         scaler = StandardScaler().fit(split.x_train)
#         train, test = scaler.transform(split.x_train), scaler.transform(split.x_test)
#         floor = RandomFeatures(random_state=seed).fit(train)
#         with torch.no_grad():
#             seen = [floor.model_.net(torch.from_numpy(x).float()).numpy() for x in (train, test)]
#         scores = [
#             floor.anomaly_score(test),
#             KNN().fit(seen[0]).anomaly_score(seen[1]),
#             KNN().fit(train).anomaly_score(test),
#         ]
#         found.append([auroc(split.y_test, s) for s in scores])
#     print(name, np.mean(found, axis=0).round(3))
# ```
#
# In the features the neighbours are no better as a rule: much worse on `wine`, a little better on `glass`, about the same on the rest. The neighbours in the rows themselves are the best of the three or level with it on each table. So there are two bars, for two questions. *Did the training help?* is answered by the same network without training, and for that the features have to be those of the network. *Is a network needed?* is answered by the nearest neighbours in the rows, which is the harder bar here. A paper that clears the first has shown that it trains; only the second shows that it was worth it.
# ````
#
# More epochs, on one table:
#
# ```bash
# papermill notebooks/11-leaderboard.ipynb out.ipynb -p epochs 200 -y "tables: [adbench/cardio]"
# ```

# %% tags=["remove-cell"]
results = {}
for (name, method), found in live.groupby(["set", "method"], sort=False):
    results[f"live_{recorded.word(name)}_{method}"] = found["auroc"].tolist()
receipt.record("11-leaderboard", P, datasets.together(list(sets.values())), results)
