# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The papers' tables, added up
#
# No network is trained here. The five papers print tables, and sentences about them. This chapter computes the sentences from the tables: means, ranges, "best", "in six classes", "32 %". What does not come out is listed with its cell, and what is only rounded is called rounded.
#
# Why do it? A mean that is off by a little harms nobody. But the tables of one paper are the baselines of the next, and a wrong name travels on.
#
# ```{claims} geom-dog-auroc geom-consistently-best ns-upwards-of-4-points drocc-geom-falls-on-deer ocnn-on-par-on-complex-data fcdd-mvtec-outperforms
# ```

# %% tags=["parameters"]
papers: list = ["golan2018", "wu2021", "goyal2020", "chalapathy2018", "liznerski2021"]  # shown
dataset: str = "CIFAR-10"  # where baselines are laid side by side; MNIST, Fashion-MNIST
baselines: list = ["OC-SVM", "Deep SVDD", "AnoGAN", "autoencoder"]  # names in audit.FAMILIES
least: int = 8  # how many of ten numbers must be equal for two columns to be called the same
change: dict = {}  # cells to change before all else, such as {"wu2021 1 | MNIST | OCSVM | 0": 98.9}
threads: int = 1  # torch threads
device: str = "auto"  # auto, cpu or cuda; nothing is computed on it

# %% tags=["hide-input"]
import hashlib
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from pydantic import Field

from adlib.companion import audit, plots, receipt
from adlib.companion.claims import PAPERS
from adlib.companion.datasets import Several
from adlib.companion.papers import NO_RESULTS
from adlib.companion.params import BadParameters, ChapterParams

Paper = Literal["golan2018", "wu2021", "goyal2020", "chalapathy2018", "liznerski2021"]
Baseline = Literal[tuple(audit.FAMILIES)]


class Params(ChapterParams):
    papers: Annotated[list[Paper], Field(min_length=1, max_length=5)]
    dataset: Literal["CIFAR-10", "MNIST", "Fashion-MNIST"]
    baselines: Annotated[list[Baseline], Field(min_length=1, max_length=6)]
    least: Annotated[int, Field(ge=1, le=10, strict=True)]
    change: dict[str, float]


P = Params.from_notebook(globals())
plots.set_style()
try:
    tables = audit.change(audit.load(), P.change)
except ValueError as error:
    raise BadParameters(f"change: {error}") from None


def chosen(frame):
    """The rows of the papers that are shown."""
    return frame[frame["paper"].isin(P.papers)]


def name(paper):
    """ "GEOM" of golan2018."""
    return PAPERS[paper].split("(")[1].rstrip(")")


def say(*lines):
    display(Markdown("\n".join(f"- {line}" for line in lines)))


# %% tags=["hide-input"]
sizes = [len(frame) for frame in tables.values()]
display(
    Markdown(
        f"This page computes with {sum(sizes):,} printed numbers of {len(sizes)} tables, not counting spreads."
        + "".join(f" **Changed:** {place}, to {value:g}." for place, value in P.change.items())
    )
)

# %% [markdown]
# ## The idea
#
# A printed mean $m$ comes from printed cells $x_1, \dots, x_n$. All of them are rounded. So $m$ need not be the mean of the cells, not even when all is well. How far may it be off?
#
# Let $u$ be one unit of the last digit of a number: 0.1 if it is printed with one decimal. Rounding moves a number by at most $u/2$. So
#
# $$
# |m - \bar x| \;\le\; \frac{u_m}{2} + \frac1n \sum_{i=1}^n \frac{u_i}{2},
# $$ (audit-band)
#
# where $\bar x$ is the mean of the cells, the first term is for $m$ itself, and the second for the cells. The second is a worst case, with all cells rounded in one direction. What is left of a number after rounding is spread evenly between $-u/2$ and $u/2$, which has the variance $u^2/12$. So the mean of the cells is typically off by $\frac1n\sqrt{\sum u_i^2 / 12}$, which is far less.
#
# {py:func}`adlib.companion.audit.verdict` names the mildest explanation that fits:
#
# | verdict | the printed number is |
# |---|---|
# | follows | what the cells give, rounded |
# | rounding | within {eq}`audit-band`, and the cells' part no more than three times what is typical |
# | cut off | what the cells give, with the further digits dropped |
# | does not follow | none of these |
#
# Only the last is an erratum. For a sentence that can be read in more than one way there is also *depends on the reading*.

# %%
{
    "95.1 for 95.13": audit.verdict(95.1, 1, 95.13),
    "95.1 for 95.16, cells with one decimal": audit.verdict(95.1, 1, 95.16, slack=0.05),
    "23 for 23.91": audit.verdict(23, 0, 23.91),
    "95.5 for 95.13, cells with one decimal": audit.verdict(95.5, 1, 95.13, slack=0.05),
}

# %% [markdown]
# ## The means
#
# Every mean that stands in a table beside the classes it is taken over. (OC-NN's paper and DROCC's print none.)

# %%
means = audit.averages(tables)


# %% tags=["hide-input"]
def counted(judged):
    """How many of what was judged got which verdict, a row for each paper."""
    counts = chosen(judged).groupby("paper", sort=False)["verdict"].value_counts().unstack()
    counts = counts.reindex(columns=[v for v in audit.VERDICTS if v in set(judged["verdict"])])
    counts = counts.reindex([p for p in P.papers if p in counts.index]).fillna(0).astype(int)
    counts.insert(0, "paper", [name(p) for p in counts.index])
    return counts


plots.table(counted(means))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Printed mean minus recomputed mean, in units of the last printed digit; a dot for each mean. Grey: what rounding the mean itself accounts for. Beyond the dashed lines the scale ends; an arrow gives the number.", "name": "fig-audit-means"}, "image": {"alt": "Dot plot with one row for each table that prints means. Nearly all dots lie in a grey band around zero, a few just beside it, and one, of wu2021's Table 1, far to the right."}}
EDGE = 2.5
figure, axis = plt.subplots(figsize=(7.5, 3.6))
axis.axvspan(-0.5, 0.5, color="#dddddd")
shown = chosen(means)
rows = list(shown.groupby(["paper", "table"], sort=False))
colours = dict(zip(audit.VERDICTS, sns.color_palette("colorblind"), strict=False))
for y, (_, some) in enumerate(rows):
    spread = np.linspace(-0.3, 0.3, len(some)) if len(some) > 1 else [0]
    x = some["units"].clip(-EDGE, EDGE)
    axis.scatter(x, y + np.array(spread), c=[colours[v] for v in some["verdict"]], s=22, zorder=3)
    for off, method, up in zip(some["units"], some["method"], spread, strict=True):
        if abs(off) > EDGE:
            words = f"{method}: {off:+.0f} →" if off > 0 else f"← {method}: {off:+.0f}"
            axis.annotate(
                words,
                (np.sign(off) * (EDGE - 0.08), y + up),
                fontsize=9,
                ha="right" if off > 0 else "left",
                va="center",
            )
for edge in (-EDGE, EDGE):
    axis.axvline(edge, color="#666666", linestyle="--", linewidth=1)
for label in [v for v in audit.VERDICTS if v in set(shown["verdict"])]:
    axis.scatter([], [], color=colours[label], s=22, label=label)
axis.legend(fontsize=8, loc="lower left")
axis.set(
    yticks=range(len(rows)), yticklabels=[f"{name(paper)}, Table {n}" for (paper, n), _ in rows],
    xlabel="printed minus recomputed, in units of the last digit", xlim=(-EDGE - 0.1, EDGE + 0.1),
)  # fmt: skip
axis.invert_yaxis()
plt.show()

# %% [markdown]
# Those that are not simply the rounded mean of their cells:

# %% tags=["hide-input"]
odd = chosen(means)
odd = odd[odd["verdict"] != "follows"]


def as_printed(value, digits):
    return f"{value:.{int(digits)}f}"


rows = []
for mean in odd.itertuples():
    printed = as_printed(mean.printed, mean.digits)
    here = f"Table {mean.table}, {mean.dataset}, {mean.method}, avg"
    others = [p for p in audit.places(tables, mean.paper, printed) if p != here]
    rows.append(
        {
            "paper": name(mean.paper),
            "cell": here,
            "printed": printed,
            "from the rows": as_printed(mean.computed, mean.digits + 2),
            "verdict": mean.verdict,
            "also printed": "; ".join(others) if mean.verdict == "does not follow" else "",
        }
    )
plots.table(pd.DataFrame(rows)) if rows else display(Markdown("None."))

# %% [markdown]
# The last column says where else the same paper prints that very number, which is often how it got there.
#
# FCDD's Table 2 prints a standard deviation over classes, too. Its rows do not tell whether it divides by $n$ or by $n - 1$; both agree with what is printed. DROCC, FCDD and NS print some numbers in two of their tables:

# %% tags=["hide-input"]
spreads, twice = audit.deviations(tables), audit.repeated(tables)
fits = [int(spreads[key].isin(audit.FINE).sum()) for key in ("verdict", "verdict of a sample")]
off = twice[twice["verdict"] != "follows"]
say(
    f"Of {len(spreads)} printed standard deviations {fits[0]} agree with the one that divides by n, and {fits[1]} with the other.",
    f"{len(twice)} numbers are printed in two tables of one paper, and {len(twice) - len(off)} of them agree.",
    *(
        f"{name(r['paper'])}, {r['method']}, {r['cls']}: {r['printed']:g} in Table {r['table']}, {r['printed there']:g} in Table {r['also in']} ({r['verdict']})."
        for _, r in off.iterrows()
    ),
)

# %% [markdown]
# ## The sentences
#
# The sentences about these tables stand as data in the package (`tables/statements.yml`), each with the ways in which it can be read. The mildest meaning of a word counts: "most" is more than half, and "some" is one.

# %%
sentences = audit.sentences(tables)

# %% tags=["hide-input"]
plots.table(counted(sentences))


# %% tags=["hide-input"]
def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def wanted(entry):
    """ "6", "at least 5", "25, within 5"."""
    if entry.relation == "equal":
        return entry.printed
    within = entry.relation.startswith("within")
    return f"{entry.printed}, {entry.relation}" if within else f"{entry.relation} {entry.printed}"


def listed(some):
    """One row a reading, the sentence in the first."""
    rows = []
    for entry in some.itertuples():
        for i, (reading, value, verdict) in enumerate(entry.readings):
            rows.append(
                {
                    "paper, place": f"{name(entry.paper)}, {entry.place}" if i == 0 else "",
                    "it says": entry.says if i == 0 else "",
                    "number": wanted(entry) if i == 0 else "",
                    "read as": reading,
                    "computed": number(value),
                    "": verdict,
                }
            )
    return plots.table(pd.DataFrame(rows)) if rows else Markdown("None.")


fine = sentences["verdict"].isin(audit.FINE)
listed(chosen(sentences[sentences["verdict"] == "does not follow"]))

# %% [markdown]
# Where the number of such a sentence stands elsewhere in the tables of the same paper:

# %% tags=["hide-input"]
found = chosen(sentences[sentences["found"].map(len) > 0])
say(
    *[f"{name(s.paper)}, {s.printed}: {'; '.join(s.found)}." for s in found.itertuples()]
    or ["None."]
)

# %% [markdown]
# And those that hold in one reading and not in another:

# %% tags=["hide-input"]
listed(chosen(sentences[sentences["verdict"] == "depends on the reading"]))

# %% [markdown]
# - **GEOM's two percentages** come from two rules. The one on CIFAR-10 is the ratio of two means, and counts the best column of all. The one on CatsVsDogs goes class by class, and leaves out the two OC-SVMs that were tuned in hindsight. Either rule has its reasons, but neither gives both numbers. ([Chapter 2](02-geom-score.ipynb) judges both by one rule.)
# - **The simplified score** of GEOM is called only slightly worse; NS quotes 79.8 without and 93.5 with the Dirichlet score, on Fashion-MNIST. [Chapter 2](02-geom-score.ipynb) runs both.
# - **The dog.** The sentence speaks of dogs and gives the mean of cats and dogs, 0.888. The dogs alone are better.
# - **61.72 %** is the mean of AND, one row below DSVDD. The sentence makes DSVDD look weaker than its row.
# - **"Upwards of 4 %"** was perhaps meant as "up to".
# - **The frog** has a bold number that is not the largest of its row. **65.8** is 65.7 in the table.
# - **OC-NN** is compared by names that the text at hand has lost and that we inferred. What it says about Deep SVDD fits those names, what it says about shallow methods does not.
# - **One quarter** of the image is, perhaps, half of its side in each direction; a field of 18 pixels is a little more than that.
#
# All others hold. Here they are, folded:

# %% tags=["hide-input", "hide-output"]
listed(chosen(sentences[fine]))

# %% [markdown]
# ```{claims} geom-dog-auroc geom-consistently-best geom-baselines-above-chance geom-fashion-slight-advantage ns-mnist-leads-below-one ns-over-ocgan-by-5 ns-upwards-of-4-points ns-narrower-range-mnist ns-narrower-range-cifar ns-three-worst-classes ns-dsvdd-outperforms-the-rest
# ```
#
# ```{claims} drocc-neighbours-two-classes drocc-airplane-7-percent drocc-geom-falls-on-deer drocc-all-three-tables drocc-both-time-series drocc-imagenet-all-but-one drocc-french-horn-23-percent ocnn-frog-and-truck ocnn-over-shallow-in-some ocnn-on-par-on-complex-data
# ```
#
# ```{claims} fcdd-mvtec-mean-from-rows fcdd-mvtec-semi-from-rows fcdd-mvtec-outperforms fcdd-most-consistent-classes fcdd-over-autoencoders-everywhere fcdd-smaller-field-explains-better fcdd-field-of-a-quarter
# ```
#
# Chapters [2](02-geom-score.ipynb), [3](03-ns-ablation.ipynb), [4](04-drocc-sine.ipynb), [6](06-drocc-tabular.ipynb) and [8](08-ocnn-synthetic.ipynb) judge other sentences of this kind, each beside the runs that belong to it.
#
# ## In how many classes?
#
# "Best in most classes" is a sentence of nearly every paper. Here is each table in which a paper's own method stands beside rivals:

# %% tags=["hide-input"]
rivals = chosen(audit.against_the_best(tables))
rows = []
for (paper, table, data), some in rivals.groupby(["paper", "table", "dataset"], sort=False):
    lead = some["value"] - some["other"]
    lost = some[lead < -audit.EPS]
    where = [f"{r.cls} ({r.whose})" for r in lost.itertuples()]
    rows.append(
        {
            "table": f"{name(paper)}, Table {table}, {data}",
            "own method": some["own"].iloc[0],
            "classes": len(some),
            "largest in": int((lead > audit.EPS).sum()),
            "level in": int((lead.abs() <= audit.EPS).sum()),
            "not in": ", ".join(where) if len(where) <= 6 else f"{len(where)}",
        }
    )
plots.table(pd.DataFrame(rows))

# %% [markdown]
# To be the largest is not the aim of all five. OC-NN's paper has a second method by its first author, RCAE, and FCDD restricts its network so that its score can be seen.
#
# ## Bold type, and a spread
#
# The text of DROCC's paper has kept its bold type. Bold marks the best number of a row:

# %% tags=["hide-input"]
marks = audit.bold(tables)
wrong = marks[marks["value"] < marks["other"]]
say(
    f"{len(marks)} numbers are bold, and {len(marks) - len(wrong)} of them are the largest of their row.",
    *(
        f"{name(m.paper)}, Table {m.table}, {m.cls}: {m.method} is bold with {m.value:g}, and {m.whose} has {m.other:g}."
        for m in wrong.itertuples()
    ),
)

# %% [markdown]
# OC-NN's paper prints standard deviations over ten seeds, some of them beside means close to 100. Ten numbers between 0 and 100 with the mean $m$ cannot spread as they like. Their standard deviation is at most $\sqrt{m\,(100 - m)\,\frac{10}{9}}$, and that is reached only if each is 0 or 100. Cells beyond it:

# %% tags=["hide-input"]
wide = audit.impossible_spreads(tables, "chalapathy2018", 3, seeds=10)
above = tables["chalapathy2018", 3]
above = int((above["value"] + above["spread"] > 100).sum())
say(
    f"In {above} cells of Table 3 the mean plus its standard deviation is above 100, which by itself is no contradiction.",
    f"In {len(wide)} the standard deviation is larger than any ten AUROCs of that mean can have"
    + "".join(
        f": {w.dataset}, {w.cls}, {w.method}, {w.value:g} ± {w.spread:g}, at most {w.limit:.2f}"
        for w in wide.itertuples()
    )
    + ".",
)

# %% [markdown]
# (Rows and columns of that table have inferred names, but its numbers are as printed.)
#
# ```{claims} ocnn-spreads-of-ten-seeds
# ```
#
# ## Who printed whose numbers
#
# Papers quote each other's baselines, and say so. It can be computed, too. Two columns of ten classes are *the same* if nearly all of their numbers are equal, up to the digits of the one that prints fewer:

# %%
same = audit.copies(tables, P.least)

# %% tags=["hide-input"]
rows = [
    {
        "data": r["dataset"],
        "printed as": f"{r['method']} ({name(r['paper'])}, Table {r['table']})",
        "and as": f"{r['other method']} ({name(r['other paper'])}, Table {r['other table']})",
        "equal": f"{r['equal']} of 10",
        "spreads equal": f"{r['spreads']} of {r['both']}" if r["both"] else "",
        "decimals compared": r["digits"],
        "": "" if r["same"] else "another method",
    }
    for _, r in same.iterrows()
]
plots.table(pd.DataFrame(rows)) if rows else display(Markdown("None."))

# %% [markdown]
# In one row no spread is equal, and that is well: GEOM's table has standard errors, DROCC's has standard deviations. Divided by the root of ten, the number of runs of Deep SVDD's authors, the one should give the other:

# %% tags=["hide-input"]
fit = audit.rescaled_spreads(tables, runs=10)
say(f"{fit[0]} of {fit[1]} standard errors are the quoted standard deviation over the root of ten.")

# %% [markdown]
# Nearly all of this is quoting as it should be. GEOM quotes Deep SVDD from its authors, and so do the others, but for OC-NN, which has numbers of its own. OC-NN's text speaks of AnoGAN as of a method that was run, with a code and a setting; its column is the one that DROCC and NS quote, spreads included, but for the mean of one class.
#
# One pair has two names. FCDD's Table 6 gives *Deep SVDD* on Fashion-MNIST the numbers of GEOM's *OC-SVM on raw pixels*, class by class. GEOM has no numbers of Deep SVDD on that data set. Table 3 of NS, which prints means only, has the same pair:

# %% tags=["hide-input"]
quoted = audit.copied_means(tables, "wu2021", 3)
rows = [
    {
        "NS, Table 3": r["method"],
        "mean": f"{r['printed']:.1f}",
        "equal to": f"{r['other method']} ({name(r['other paper'])}, Table {r['other table']})",
        "": "" if r["same"] else "another method",
    }
    for _, r in quoted.iterrows()
]
plots.table(pd.DataFrame(rows)) if rows else display(Markdown("None."))

# %% [markdown]
# Both papers name a source between GEOM's table and theirs, Bergman and Hoshen {cite:p}`bergman2020`, and the name may have changed there. It matters: a deep method is credited with what a support vector machine on pixels does, one whose settings were chosen on the test set.
#
# There is a second thing about these rows. In GEOM's table they have numbers and no names, and [chapter 2](02-geom-score.ipynb) finds that they stand in the alphabetical order of the class names, not in the order of the data set. FCDD's Table 6 gives them names in the order of the data set. Beside its own two columns this can be tested without any run. A class that is hard for one method tends to be hard for another, so the right order should go better with them:

# %% tags=["hide-input"]
order = audit.fashion_order(tables)
plots.table(order.rename(columns={"own": "own column", "quoted": "quoted column"}), 2)

# %% [markdown]
# The numbers are correlations over the ten classes. The means of the quoted columns are the same in any order.
#
# ## One baseline, five papers
#
# Where numbers are not quoted but made anew, the same method on the same data should come out alike. {numref}`fig-audit-baselines` lays them side by side.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What different papers print for one baseline, class by class, in percent. Each paper is drawn at its own height, so equal numbers, which are mostly quoted ones, stand one above the other. The names in the papers differ; see the table below.", "name": "fig-audit-baselines"}, "image": {"alt": "Dot plots side by side, one for each baseline, with the ten classes as rows and the AUROC on the horizontal axis. Marks of different papers lie far apart for the one-class SVM and the autoencoder, and mostly above each other for Deep SVDD."}}
beside = {b: audit.side_by_side(tables, P.dataset, b) for b in P.baselines}
beside = {b: frame for b, frame in beside.items() if frame.shape[1]}
MARKS = dict(zip(PAPERS, "os^Dv", strict=True))
across = max(len(beside), 1)
figure, axes = plt.subplots(
    1, across, figsize=(1.2 + 2.3 * across, 4.8), sharey=True, squeeze=False, layout="constrained"
)
shades = dict(zip(PAPERS, sns.color_palette("colorblind"), strict=False))
for axis, (baseline, frame) in zip(axes[0], beside.items(), strict=False):
    for paper, _, method in frame.columns:
        cells = frame.xs((paper, method), axis=1, level=(0, 2)).iloc[:, 0]
        y = np.arange(10) + 0.13 * (list(PAPERS).index(paper) - 2)
        axis.plot(cells, y, MARKS[paper], color=shades[paper], markersize=5, alpha=0.85)
    axis.set(title=baseline, xlabel="AUROC in %")
    axis.title.set_fontsize(10)
axes[0, 0].set(yticks=range(10), yticklabels=audit.CLASSES[P.dataset])
axes[0, 0].invert_yaxis()
handles = [
    plt.Line2D([], [], marker=MARKS[p], color=shades[p], linestyle="", label=name(p))
    for p in PAPERS
    if any(p in frame.columns.get_level_values(0) for frame in beside.values())
]
figure.legend(handles=handles, ncols=5, fontsize=9, loc="outside lower center")
plt.show()

# %% tags=["hide-input"]
rows = []
for baseline, frame in beside.items():
    apart = frame.max(axis=1) - frame.min(axis=1)
    for paper, table, method in frame.columns:
        first = (paper, table, method) == frame.columns[0]
        cells = frame[(paper, table, method)]
        rows.append(
            {
                "baseline": baseline if first else "",
                "printed by": f"{name(paper)}, Table {table}",
                "as": method,
                "mean": f"{cells.mean():.1f}",
                "classes apart by": f"{apart.mean():.1f} on average, {apart.max():.1f} at most ({apart.idxmax()})"
                if first and frame.shape[1] > 1
                else "",
            }
        )
plots.table(pd.DataFrame(rows)) if rows else display(Markdown("No paper has these."))

# %% [markdown]
# The mean over classes hides most of it. One OC-SVM is tuned on the test set, another on a tenth of it, two are quoted from elsewhere; one sees raw pixels, another pixels after a normalisation. They share a name. "Better than OC-SVM" means something only beside *that* OC-SVM, run on the same data by the same hands.
#
# ## What was chosen with the test set
#
# A number that was chosen on the test set is an upper bound of what the method does on new data. It may still be worth printing, if it is said. This table is not computed: it is read from the papers and from the authors' public code, and the last column says where.

# %% tags=["hide-input"]
facts = pd.DataFrame(audit.selected())
facts = chosen(facts).assign(paper=[name(p) for p in chosen(facts)["paper"]])
facts.columns = ["paper", "what was chosen", "how", "the paper says so", "where"]
plots.table(facts)

# %% [markdown]
# GEOM's is the model case. The choice favours the rivals, and it is said twice. For the others, an honest reading is: this number, or a smaller one. How much smaller depends on the case: [chapter 2](02-geom-score.ipynb) runs the OC-SVM with hindsight and without, chapters [3](03-ns-ablation.ipynb) and [6](06-drocc-tabular.ipynb) compare the best epoch with the last.
#
# ## What could go wrong
#
# - **Our reading of the text.** The tables were taken from plain text, where headings are scrambled and one paper has lost most names. Each number is tested against the text, in its order, but for DROCC's Table 7, which stands in a long version only; the names in their places are partly inferred, and each table of the package says so in a column of notes.
# - **Our reading of a sentence.** "On par" and "approximately" have no edge. Where a sentence says how it is meant, that counts; elsewhere the entry says what we took it for.
# - **What is not here.** Sentences about numbers that no table has, such as those of figures, are not judged. Tables that are left out are named below.
# - **An error of ours looks like an error of theirs.** Whoever suspects one can change the cell (the first exercise) and watch this page change.

# %% tags=["hide-input"]
left_out = [
    {"table": f"{name(paper)}, Table {table}", "why it is not here": why}
    for (paper, table), why in NO_RESULTS.items()
]
plots.table(pd.DataFrame(left_out))

# %% [markdown]
# ## Check yourself
#
# ```{quiz}
# - question: Ten cells with one decimal have the mean 95.13, and the table prints 95.5, with one decimal as well. Can rounding be the reason?
#   answers:
#     - text: Yes, with ten rounded cells errors add up
#       why: Their *sum* may be off by $10 \cdot 0.05$. The mean divides that by ten again.
#     - text: 'No: rounding moves the mean of the cells by 0.05 at most, and the printed one by another 0.05'
#       right: true
#       why: That is the band of the chapter, 0.1 in all, and here the distance is 0.37.
#     - text: 'No: a printed mean must be the mean of its printed cells'
#       why: It is the mean of the numbers before they were rounded. A small difference is nothing to wonder at.
#     - text: That cannot be told without the unrounded cells
#       why: 'They are known well enough: each lies within 0.05 of its printed number.'
# - question: A cell says 97.5 ± 3.0, a mean and a standard deviation of AUROCs over ten seeds. The sum is above 100. What follows?
#   answers:
#     - text: The cell is wrong, since no AUROC is above 100
#       why: A mean plus a standard deviation is not the value of any seed. Nine seeds near 98.5 and one near 89 give such numbers.
#     - text: Nothing by itself; a contradiction needs a spread beyond what ten numbers of this mean can have
#       right: true
#       why: That bound is $\sqrt{97.5 \cdot 2.5 \cdot 10/9}$, more than 16.
#     - text: The standard deviation must be a standard error
#       why: It may be either. The sum does not tell, and dividing by $\sqrt{10}$ is no cure for something that is not a contradiction.
# - question: The column of a baseline is equal in two papers, in all ten classes and in all ten spreads. What does that show?
#   answers:
#     - text: 'That the baseline is stable: two groups got the same'
#       why: Two runs with other seeds differ in the first decimal, and their spreads differ more. Equal digits are copied digits.
#     - text: That one of them invented its numbers
#       why: Quoting is good practice, if the source is named. It says nothing about how the numbers came about.
#     - text: That there is one measurement, printed twice
#       right: true
#       why: So it counts once as evidence, and an error of the source is in both.
# - question: A paper takes the best epoch by the AUROC on the test set. How is its number to be read?
#   answers:
#     - text: It is worthless
#       why: It still bounds the result from above. If it is *below* a rival's honest number, that says something.
#     - text: As an upper bound of what the method does on new data
#       right: true
#       why: The choice can only have helped. By how much depends on how many epochs were compared and how much they differ.
#     - text: As it stands, since all methods of the table were treated alike
#       why: 'They gain by different amounts: a method that fluctuates from epoch to epoch gains more from a choice.'
# ```
#
# ## Exercises
#
# ```{exercise} Mend a mean
# :label: ex-audit-mend
# One printed mean does not follow from its cells: that of the OC-SVM on MNIST in Table 1 of NS. Give it the value of its cells and run the page again. What changes, and what does not? And if the mean were right and *one class* wrong: by how much would that class be off, and which classes could it be?
# ```
#
# ````{solution} ex-audit-mend
# :label: sol-audit-mend
# :class: dropdown
# ```bash
# papermill notebooks/12-paper-audit.ipynb out.ipynb -y 'change: {"wu2021 1 | MNIST | OCSVM | avg": 95.13}'
# ```
#
# The page says at the top what was changed. The arrow in {numref}`fig-audit-means` and the row of the cell below it are gone, and no mean is left that does not follow. All the rest stays: no sentence, no lead and no copy rests on this mean.
#
# The mean is 0.41 above that of its cells. With one of ten classes wrong, that class would have to be $10 \cdot 0.41 = 4.1$ higher than printed. The digits 0, 1, 5, 6 and 7 are printed with more than 95.9, so they would come out above 100; 2, 3, 4, 8 and 9 are possible. There is a simpler explanation, though, and the column "also printed" has it: the same number, 95.54, stands in another table of the paper, as the mean of *another* row. It was probably carried to the wrong place.
# ````
#
# ```{exercise} How often does rounding show?
# :label: ex-audit-rounding
# Ten cells and their mean, all with one decimal, all rounded correctly. How often is the printed mean *not* what the printed cells give, rounded? Guess from the typical error in the text, then simulate it, then look at {numref}`fig-audit-means` again.
# ```
#
# ````{solution} ex-audit-rounding
# :label: sol-audit-rounding
# :class: dropdown
# The rounding of the cells moves their mean by about $\frac{1}{10} \sqrt{10 \cdot 0.1^2 / 12} \approx 0.009$, beside steps of $0.1$ between two possible printed means. Only where the true mean lies as near as that to the edge between two steps does it matter: a few cases in a hundred.
#
# ```python
# import numpy as np
#
# random = np.random.default_rng(0)
# cells = random.uniform(60, 100, (100_000, 10))
# printed, from_cells = cells.mean(1).round(1), cells.round(1).mean(1)
# print(np.mean(abs(printed - from_cells) > 0.05 + 1e-9))
# ```
#
# It is about one in thirty. So among a few dozen printed means one or two dots just outside of the grey band are what honest rounding gives; none of them would be suspicious. A dot a whole unit off is another matter if the cells have as many decimals as the mean. (In NS the cells have one and the mean has two, and the unit is that of the mean.)
# ````
#
# ```{exercise} Possible and not credible
# :label: ex-audit-cut
# The row that is called *cut off* has fifteen cells with two decimals. Their sum is 13.03, and the printed mean is 0.86. What would the rounding errors of the cells have to come to, if 0.86 were rounded correctly? What is the most they can come to, and how likely is it?
# ```
#
# ```{solution} ex-audit-cut
# :label: sol-audit-cut
# :class: dropdown
# A mean that rounds to 0.86 is below 0.865, so the true sum is below $15 \cdot 0.865 = 12.975$. The printed cells sum to 13.03. Their errors must add up to more than 0.055, all in one direction. Fifteen errors of at most 0.005 can come to 0.075: it is *possible*.
#
# Typically they come to $\sqrt{15 \cdot 0.01^2 / 12} \approx 0.011$. So 0.055 is five standard deviations, which happens less than once in a million times. That is why the band of the worst case is not enough for a verdict and the chapter asks for three typical errors at most. That somebody dropped the digits of $0.8687$ is far more likely.
# ```
#
# ```{exercise} Equal by chance
# :label: ex-audit-chance
# Call two columns the same when only 4 of 10 numbers are equal: `-p least 4`. Which pairs are new? Are they copies? Assume that two unrelated columns are equal in a class with probability 0.2 if they are printed in whole percent, and compute how often 4, and how often 8 of 10 are equal by chance.
# ```
#
# ````{solution} ex-audit-chance
# :label: sol-audit-chance
# :class: dropdown
# ```bash
# papermill notebooks/12-paper-audit.ipynb out.ipynb -p least 4
# ```
#
# The new pairs are all on Fashion-MNIST, between GEOM's Table 1 and FCDD's Table 6, and "decimals compared" is 0 for each: FCDD prints whole percent there. With $p = 0.2$ the number of equal cells is binomial; four or more of ten have a probability of 0.12, eight or more of less than 0.0001. Dozens of pairs are compared, so some with four are sure to turn up, and one with eight is not.
#
# Chance has a helper here. Columns of different methods on the same classes are related: what is hard for one is hard for the other. And one of the new pairs sets GEOM's OC-SVM on an autoencoder's codes beside the column that is a copy of its OC-SVM on pixels: it inherits the likeness of these two. A threshold is a compromise. Eight lets a copy have a misprint or two, and it is safe only where there are decimals to compare, or all ten are equal.
# ````
#
# Run it yourself, on other baselines:
#
# ```bash
# papermill notebooks/12-paper-audit.ipynb out.ipynb -p dataset MNIST -y 'baselines: [OC-SVM, AnoGAN, KDE]'
# ```

# %% tags=["remove-cell"]
computed = {
    s.id.replace("-", "_"): [float(v) for _, v, _ in s.readings] for s in sentences.itertuples()
}
values = {key: [numbers[0]] for key, numbers in computed.items()}
values |= {
    "ns_mean_lead_of_won_classes": [computed["ns_upwards_of_4"][1]],
    "ns_dsvdd_over_all": [computed["ns_dsvdd_outperforms"][1]],
    "ocnn_on_par_lower": [min(computed["ocnn_on_par"][:2])],
    "ocnn_impossible_spreads": [float(len(wide))],
    "means_checked": [float(len(means))],
    "means_that_do_not_follow": [float((means["verdict"] == "does not follow").sum())],
    "sentences_checked": [float(len(sentences))],
    "sentences_that_do_not_follow": [float((sentences["verdict"] == "does not follow").sum())],
    "copies_with_another_name": [float((~same["same"]).sum())],
}
text = "".join(f"{key} {number} {frame.to_csv()}" for (key, number), frame in tables.items())
ds = Several("the papers' tables", not P.change, hashlib.sha256(text.encode()).hexdigest())
receipt.record("12-paper-audit", P, ds, values)
