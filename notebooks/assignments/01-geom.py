# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["text"]
# # Seventy-two views and a score
#
# GEOM (Golan and El-Yaniv 2018) shows a classifier every normal image in 72 views and asks which view it is. On images of another kind it guesses badly, and bad guessing is the anomaly score. Here you build all of it but the classifier: the table of pixel indices that makes the 72 views, the two scores of Section 4.2, and one step of the fit behind the second score. Then you find out what happens when the views are made in another order, and which views of *your* digit are twins. The paper's text leaves the order and the border open; what you build is what the authors' code does.
#
# You need NumPy and 60 to 90 minutes, and should have read chapters 1 and 2 of the book. The data are the small digits of scikit-learn (8 × 8 pixels), which need no download. Replace each `...` by your own code, and run the cells in order: a figure needs the answers above it, and stops with an error before. The checks that you see are a part of those that grade your work. Each answer is called again on other values than here, so use what a function is given, not what happens to lie around in the notebook.

# %% tags=["setup", "parameters"]
student: str = "anonymous"  # your name or number, as your instructor gave it to you

# %% tags=["setup"]
import sys
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import digamma, polygamma
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from adlib.companion.assignments import as_numbers, variant

sys.modules["adlib.geom"] = None  # you write it yourself here; the package's own is closed

SHIFTS = (0, -2, 2)  # a quarter of the image, as in the paper: 8 pixels of 32 there
STEPS = ("flip", "shift", "turn")

draw = variant("01-geom", student)
digit = int(draw.choice([0, 1, 3, 8]))  # your normal class
asked = int(draw.choice([0, 1, 2, 3, 36, 37, 38, 39]))  # the view that you look at in question 7
other_steps = tuple(
    str(step)
    for step in draw.choice(
        [
            ("flip", "turn", "shift"),
            ("shift", "flip", "turn"),
            ("shift", "turn", "flip"),
            ("turn", "flip", "shift"),
            ("turn", "shift", "flip"),
        ]
    )
)

pixels, labels = load_digits(return_X_y=True)
pixels = pixels.reshape(-1, 1, 8, 8) / 16
own = draw.permutation(pixels[labels == digit])
train, test = own[:100], own[100:]  # images of your digit, (n, 1, 8, 8) in [0, 1]
others = pixels[labels != digit][::5]  # the anomalies

f"Your digit is {digit}, your other order is {other_steps}, your view is number {asked}."

# %% [markdown] tags=["question"] name="q1"
# ## Question 1: a shift and its border
#
# Shifting an image moves pixels in at one side, and the paper does not say which. The authors' code calls the border "reflect", and means this: the image goes on as in a mirror that stands at its edge, so the edge pixels are there twice. A row `a b c d` becomes `… d c b a | a b c d | d c b a …`. (The same word means something else in NumPy and in torch.) With $x$ continued in that way in all four directions,
#
# $$\mathrm{out}_{i,j} = x_{i + \mathrm{row},\; j + \mathrm{col}} .$$
#
# **Write** `shifted(image, row, col)`: `image` is an array (h, w); `row` and `col` are integers of either sign or 0, with |row| < h and |col| < w. Return an array of the shape of `image`.

# %% tags=["solution"] name="q1"
def shifted(image, row, col):
    """out[i, j] = image[i + row, j + col], the image continued as in a mirror at its edges, (h, w)."""
    # BEGIN SOLUTION
    (h, w), reach = image.shape, max(abs(row), abs(col))
    wide = np.pad(image, reach, mode="symmetric")
    return wide[reach + row : reach + row + h, reach + col : reach + col + w]
    # END SOLUTION

# %% tags=["test"] name="q1-one-row" points=1
moved = as_numbers(shifted(np.arange(9).reshape(3, 3), 1, 0), (3, 3), "`shifted` of an image of 3 x 3")
assert not np.array_equal(moved[1:], [[0, 1, 2], [3, 4, 5]]), "row = 1 went the wrong way: out[0, 0] is image[1, 0]"
assert np.array_equal(moved[:2], [[3, 4, 5], [6, 7, 8]]), "with row = 1, out[0] is image[1], and out[1] is image[2]"
assert np.array_equal(moved[2], [6, 7, 8]), "what moves in is the mirror image, which begins with the edge row itself"

# %% tags=["hidden"] name="q1-border" points=1
image = np.random.default_rng(1).integers(0, 1000, (5, 7))
for row, col in ((2, 0), (4, 0), (0, 3), (0, 6)):
    places = np.ix_(
        [i if i < 5 else 9 - i for i in np.arange(5) + row], [j if j < 7 else 13 - j for j in np.arange(7) + col]
    )
    moved = as_numbers(shifted(image, row, col), (5, 7), "`shifted` of an image of 5 x 7")
    assert np.array_equal(moved, image[places]), (
        "a shift by several pixels shows several different pixels behind the mirror, the nearest first; "
        "look again at the row a b c d of the task"
    )

# %% tags=["hidden"] name="q1-both-signs" points=1
image = np.random.default_rng(2).integers(0, 1000, (6, 4))
for row, col in ((-2, 0), (0, -3), (-5, 2), (3, -1), (-1, -1), (0, 0)):
    moved = as_numbers(shifted(image, row, col), (6, 4), "`shifted` of an image of 6 x 4")
    assert np.array_equal(moved, [
        [image[max(i, -1 - i) if i < 6 else 11 - i, max(j, -1 - j) if j < 4 else 7 - j] for j in np.arange(4) + col]
        for i in np.arange(6) + row
    ]), "shifts of both signs, along rows and columns at once, should follow the equation of the task"

# %% tags=["wrong"] name="q1-wraps" caught="q1-one-row" hint="mirror image"
def shifted(image, row, col):
    return np.roll(image, (-row, -col), (0, 1))

# %% tags=["wrong"] name="q1-reflects" caught="q1-one-row" hint="begins with the edge row itself"
def shifted(image, row, col):
    (h, w), reach = image.shape, max(abs(row), abs(col))
    wide = np.pad(image, reach, mode="reflect")
    return wide[reach + row : reach + row + h, reach + col : reach + col + w]

# %% tags=["wrong"] name="q1-wrong-way" caught="q1-one-row" hint="went the wrong way"
def shifted(image, row, col):
    (h, w), reach = image.shape, max(abs(row), abs(col))
    wide = np.pad(image, reach, mode="symmetric")
    return wide[reach - row : reach - row + h, reach - col : reach - col + w]

# %% tags=["wrong"] name="q1-repeats-edge" caught="q1-border" hint="several different pixels"
def shifted(image, row, col):
    (h, w), reach = image.shape, max(abs(row), abs(col))
    wide = np.pad(image, reach, mode="edge")
    return wide[reach + row : reach + row + h, reach + col : reach + col + w]

# %% tags=["wrong"] name="q1-only-forward" caught="q1-both-signs" hint="shifts of both signs"
def shifted(image, row, col):
    h, w = image.shape
    return np.pad(image, ((0, abs(row)), (0, abs(col))), mode="symmetric")[abs(row) :, abs(col) :]

# %% [markdown] tags=["question"] name="q2"
# ## Question 2: all views in one table
#
# A flip, a shift and a quarter turn only move pixels. So each view is a list of indices: *output pixel p shows input pixel* `table[t, p]`, with the pixels of an image numbered row by row. Whatever is done to the image `np.arange(size * size).reshape(size, size)` gives that list.
#
# View $t$ applies up to three steps: **flip** mirrors left to right, **shift** is your `shifted` by (row, col), and **turn** turns by $k$ quarters *counter-clockwise*. There is a view for each choice of flip (no, yes), row (in the order of `rows`), col (in the order of `cols`) and $k = 0, 1, 2, 3$. They are numbered so that the turn varies fastest, then the column, then the row, and the flip slowest:
#
# $$t = \big((\mathrm{flip} \cdot |\mathrm{rows}| + a) \cdot |\mathrm{cols}| + b\big) \cdot 4 + k \quad\text{for rows}[a],\ \text{cols}[b].$$
#
# With three rows and three columns these are the 72 views of Section 5.3. `steps` names the steps in the order in which they are *applied*, the first one first; it does not touch the numbering.
#
# **Write** `transform_table(size, rows, cols, steps)` for square images. Return an integer array (2 |rows| |cols| 4, size²). `steps` holds "flip", "shift" and "turn" in any order; the default is the order of the authors. It is built on question 1: get its visible test green first, since a wrong border there costs points here and in questions 4 and 7 too.

# %% tags=["solution"] name="q2"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    """Gather indices of all views, integers (2 |rows| |cols| 4, size * size)."""
    # BEGIN SOLUTION
    table = []
    for flip, row, col, turn in product((False, True), rows, cols, range(4)):
        image = np.arange(size * size).reshape(size, size)
        for step in steps:
            if step == "flip" and flip:
                image = image[:, ::-1]
            elif step == "shift":
                image = shifted(image, row, col)
            elif step == "turn":
                image = np.rot90(image, turn)
        table.append(image.ravel())
    return np.stack(table)
    # END SOLUTION

# %% tags=["test"] name="q2-four-pixels" points=1
table = as_numbers(transform_table(2, (0,), (0,)), (8, 4), "the table of 2 x 2 pixels without shifts")
assert np.array_equal(table[0], [0, 1, 2, 3]), "view 0 should leave the image as it is"
assert not np.array_equal(table[1], [1, 0, 3, 2]), "the turn varies fastest: view 1 is not the flip"
assert not np.array_equal(table[1], [2, 0, 3, 1]), (
    "view 1 turns clockwise; if you turned the other way, remember that the table says where a pixel comes from"
)
assert np.array_equal(table[1], [1, 3, 0, 2]), "view 1 should be a counter-clockwise quarter turn"
assert np.array_equal(table[4], [1, 0, 3, 2]), "view 4 should be the flip, left to right, without a turn"

# %% tags=["hidden"] name="q2-numbering" points=2
rows, cols = (0, -1, 2), (1, 0)
table = as_numbers(transform_table(5, rows, cols), (48, 25), "the table of 5 x 5 pixels, 3 rows and 2 columns")
for a, b in product(range(3), range(2)):
    i, j = (np.arange(5) + rows[a]), (np.arange(5) + cols[b])
    mirrored = [[max(p, -1 - p) if p < 5 else 9 - p for p in line] for line in (i, j)]
    view = np.arange(25).reshape(5, 5)[np.ix_(*mirrored)]
    assert np.array_equal(table[(a * 2 + b) * 4], view.ravel()), (
        "the views without flip and turn should go through rows and columns in the order given, the columns faster"
    )

# %% tags=["hidden"] name="q2-order" points=1
size, shifts = 5, (0, -1, 1)
table = as_numbers(transform_table(size, shifts, shifts), (72, 25), "the table of 5 x 5 pixels with 9 shifts")
for t, (flip, row, col, turn) in enumerate(product((0, 1), shifts, shifts, range(4))):
    for p, (i, j) in enumerate(product(range(size), repeat=2)):
        for _ in range(turn):
            i, j = j, size - 1 - i
        i, j = (min(max(q, 0), size - 1) for q in (i + row, j + col))  # the same as a mirror, by one pixel
        assert table[t, p] == i * size + (size - 1 - j if flip else j), (
            "by default the image is flipped, then shifted, then turned: a shift that comes after the turn goes another way"
        )

# %% tags=["hidden"] name="q2-steps" points=1
size, shifts, steps = 4, (0, -2, 2), ("turn", "shift", "flip")
table = as_numbers(transform_table(size, shifts, shifts, steps), (72, 16), "the table for another order of the steps")
for t, (flip, row, col, turn) in enumerate(product((0, 1), shifts, shifts, range(4))):
    for p, (i, j) in enumerate(product(range(size), repeat=2)):
        i, j = i + row, (size - 1 - j if flip else j) + col
        i, j = (max(q, -1 - q) if q < size else 2 * size - 1 - q for q in (i, j))
        for _ in range(turn):
            i, j = j, size - 1 - i
        assert table[t, p] == i * size + j, "`steps` should change the order in which the steps are applied, first to last"

# %% tags=["wrong"] name="q2-flip-fastest" caught="q2-four-pixels" hint="the turn varies fastest"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for turn, col, row, flip in product(range(4), cols, rows, (False, True)):
        image = np.arange(size * size).reshape(size, size)
        image = shifted(image[:, ::-1] if flip else image, row, col)
        table.append(np.rot90(image, turn).ravel())
    return np.stack(table)

# %% tags=["wrong"] name="q2-scatter" caught="q2-four-pixels" hint="where a pixel comes from"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for flip, row, col, turn in product((False, True), rows, cols, range(4)):
        image = np.arange(size * size).reshape(size, size)
        image = shifted(image[:, ::-1] if flip else image, row, col)
        table.append(np.rot90(image, -turn).ravel())
    return np.stack(table)

# %% tags=["wrong"] name="q2-rows-faster" caught="q2-numbering" hint="the columns faster"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for flip, col, row, turn in product((False, True), cols, rows, range(4)):
        image = np.arange(size * size).reshape(size, size)
        image = shifted(image[:, ::-1] if flip else image, row, col)
        table.append(np.rot90(image, turn).ravel())
    return np.stack(table)

# %% tags=["wrong"] name="q2-turn-first" caught="q2-order" hint="a shift that comes after the turn"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for flip, row, col, turn in product((False, True), rows, cols, range(4)):
        image = np.arange(size * size).reshape(size, size)
        image = np.rot90(image[:, ::-1] if flip else image, turn)
        table.append(shifted(image, row, col).ravel())
    return np.stack(table)

# %% tags=["wrong"] name="q2-last-step-first" caught="q2-order" hint="then shifted"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for flip, row, col, turn in product((False, True), rows, cols, range(4)):
        image = np.arange(size * size).reshape(size, size)
        for step in reversed(steps):
            if step == "flip" and flip:
                image = image[:, ::-1]
            elif step == "shift":
                image = shifted(image, row, col)
            elif step == "turn":
                image = np.rot90(image, turn)
        table.append(image.ravel())
    return np.stack(table)

# %% tags=["wrong"] name="q2-ignores-steps" caught="q2-steps" hint="`steps` should change"
def transform_table(size, rows, cols, steps=("flip", "shift", "turn")):
    table = []
    for flip, row, col, turn in product((False, True), rows, cols, range(4)):
        image = np.arange(size * size).reshape(size, size)
        image = shifted(image[:, ::-1] if flip else image, row, col)
        table.append(np.rot90(image, turn).ravel())
    return np.stack(table)

# %% [markdown] tags=["question"] name="q3"
# ## Question 3: one gather for a batch
#
# With the table, all views of all images are *one* indexing operation; no image is turned again. With $x_{b,c}$ the pixels of channel $c$ of image $b$, numbered row by row,
#
# $$\mathrm{out}_{b,t,c,p} = x_{b,c,\,\mathrm{table}_{t,p}} .$$
#
# **Write** `all_views(images, table)`: `images` (n, c, h, w) and `table` integers (T, h w) are arrays. Return an array (n, T, c, h, w).

# %% tags=["solution"] name="q3"
def all_views(images, table):
    """All views of all images, (n, T, c, h, w)."""
    # BEGIN SOLUTION
    n, c, h, w = images.shape
    views = images.reshape(n, c, h * w)[:, :, table]  # (n, c, T, h * w)
    return views.transpose(0, 2, 1, 3).reshape(n, len(table), c, h, w)
    # END SOLUTION

# %% tags=["test"] name="q3-one-image" points=1
image = np.array([[[[10, 20], [30, 40]]]])
views = as_numbers(all_views(image, np.array([[0, 1, 2, 3], [1, 3, 0, 2]])), (1, 2, 1, 2, 2), "`all_views` of one image")
assert np.array_equal(views[0, 0], image[0]), "the table's row 0, 1, 2, 3 leaves the image as it is"
assert np.array_equal(views[0, 1, 0], [[20, 40], [10, 30]]), (
    "output pixel p shows input pixel table[t, p]: the table says where pixels come from, not where they go"
)

# %% tags=["hidden"] name="q3-colours" points=2
random = np.random.default_rng(3)
images, table = random.normal(size=(4, 3, 5, 5)), random.integers(0, 25, (6, 25))
views = as_numbers(all_views(images, table), (4, 6, 3, 5, 5), "`all_views` of four colour images")
for b, t, c in product(range(4), range(6), range(3)):
    expected = [images[b, c].flat[p] for p in table[t]]
    assert np.allclose(views[b, t, c].ravel(), expected), (
        "with three channels, views and channels should not mix: out[b, t] is a whole colour image"
    )

# %% tags=["wrong"] name="q3-scatter" caught="q3-one-image" hint="not where they go"
def all_views(images, table):
    n, c, h, w = images.shape
    out = np.zeros((n, len(table), c, h * w), images.dtype)
    for t, row in enumerate(table):
        out[:, t][..., row] = images.reshape(n, c, h * w)
    return out.reshape(n, len(table), c, h, w)

# %% tags=["wrong"] name="q3-mixed-axes" caught="q3-colours" hint="should not mix"
def all_views(images, table):
    n, c, h, w = images.shape
    return images.reshape(n, c, h * w)[:, :, table].reshape(n, len(table), c, h, w)

# %% [markdown] tags=["text"]
# Your digit in all its views: a row for each flip and shift, a column for each turn. The second block is flipped.

# %% tags=["show"]
table = transform_table(8, SHIFTS, SHIFTS)
views = all_views(train[:1], table)[0, :, 0].reshape(2, 9, 4, 8, 8)
figure, axes = plt.subplots(9, 8, figsize=(6, 7), layout="constrained")
for flip, shift, turn in product(range(2), range(9), range(4)):
    axis = axes[shift, 4 * flip + turn]
    axis.imshow(views[flip, shift, turn], cmap="gray_r")
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown] tags=["question"] name="q4"
# ## Question 4: what does another order change?
#
# Suppose that somebody re-implements the method and applies the three steps in another order, say in yours, `other_steps`. Because `SHIFTS` holds both −2 and 2, the result is the *same 72 maps*, only numbered in another way: a shift up after a quarter turn is some shift to the side before it. A classifier that is trained and used with that table loses nothing. But one that was trained with the authors' table and is used with the other one is told the wrong names.
#
# **Write** `matching(first, second)` for two tables (T, p) that hold the same rows, no row twice, in different order. Return integers (T,): `m[t]` is the number in `first` of the map that is number `t` in `second`, so that `first[m]` equals `second`.
#
# **Find** `unchanged`: how many of the 72 views keep their number when `other_steps` takes the place of `STEPS` (8 × 8 pixels, `SHIFTS` for rows and columns)?

# %% tags=["solution"] name="q4"
def matching(first, second):
    """Integers m (T,) with first[m] equal to second."""
    # BEGIN SOLUTION
    number = {tuple(row): t for t, row in enumerate(first.tolist())}
    return np.array([number[tuple(row)] for row in second.tolist()])
    # END SOLUTION


unchanged = (
    # BEGIN SOLUTION
    sum(matching(transform_table(8, SHIFTS, SHIFTS), transform_table(8, SHIFTS, SHIFTS, other_steps)) == np.arange(72))
    # END SOLUTION
)

# %% tags=["test"] name="q4-three-rows" points=1
first = np.array([[0, 1], [1, 0], [1, 1]])
m = as_numbers(matching(first, first[[1, 2, 0]]), (3,), "`matching` of two tables of 3 rows")
assert np.array_equal(m, [1, 2, 0]), "row 0 of `second` is row 1 of `first`, so m[0] should be 1"

# %% tags=["hidden"] name="q4-any-tables" points=1
random = np.random.default_rng(4)
first = np.stack([random.permutation(16) for _ in range(30)])
wanted = random.permutation(30)
m = as_numbers(matching(first, first[wanted]), (30,), "`matching` of two tables of 30 rows")
assert np.array_equal(first[m.astype(int)], first[wanted]), "first[m] should be `second`, for any order of the rows"

# %% tags=["hidden"] name="q4-unchanged" points=1
def by_steps(steps, flip, row, col, turn):
    image = np.arange(64).reshape(8, 8)
    for step in steps:
        if step == "shift":
            rows, cols = ([max(p, -1 - p) if p < 8 else 15 - p for p in np.arange(8) + by] for by in (row, col))
            image = image[np.ix_(rows, cols)]
        else:
            image = image[:, ::-1] if step == "flip" and flip else image
            image = np.rot90(image, turn) if step == "turn" else image
    return image.tolist()


kinds = list(product((0, 1), SHIFTS, SHIFTS, range(4)))
same = sum(by_steps(STEPS, *kind) == by_steps(other_steps, *kind) for kind in kinds)
assert np.isfinite(as_numbers(unchanged, (), "`unchanged`")), "`unchanged` should be one number"
assert unchanged == same, (
    "`unchanged` should count the views whose map is the same in both orders; a view without a shift keeps its number "
    "more easily than one with, but flips and turns count as well"
)

# %% tags=["wrong"] name="q4-inverse" caught="q4-three-rows" hint="m[0] should be 1"
def matching(first, second):
    number = {tuple(row): t for t, row in enumerate(second.tolist())}
    return np.array([number[tuple(row)] for row in first.tolist()])


unchanged = sum(
    matching(transform_table(8, SHIFTS, SHIFTS), transform_table(8, SHIFTS, SHIFTS, other_steps)) == np.arange(72)
)

# %% tags=["wrong"] name="q4-sorted" caught="q4-three-rows" hint="m[0] should be 1"
def matching(first, second):
    return np.lexsort(second.T)  # puts `second` in order, and takes `first` to be in order already


names = matching(transform_table(8, SHIFTS, SHIFTS), transform_table(8, SHIFTS, SHIFTS, other_steps))
unchanged = sum(
    (a == b).all()
    for a, b in zip(transform_table(8, SHIFTS, SHIFTS), transform_table(8, SHIFTS, SHIFTS, other_steps), strict=True)
)

# %% tags=["wrong"] name="q4-only-unshifted" caught="q4-unchanged" hint="keeps its number more easily"
def matching(first, second):
    return np.array([next(t for t, row in enumerate(first) if (row == wanted).all()) for wanted in second])


unchanged = 8  # flips and turns without a shift

# %% [markdown] tags=["question"] name="q5"
# ## Question 5: two scores
#
# The classifier's answers for an image $x$ are $k$ vectors of $k$ probabilities, $y(T_i(x))$ for each view $i$. Section 4.2 makes one number of them in two ways, larger for more normal images. The *simple score* looks at the probability of the right answers,
#
# $$\hat n(x) = \frac1k \sum_{j=0}^{k-1} \left[y(T_j(x))\right]_j ,$$
#
# and the *Dirichlet score* at all of them, by the likelihood of a Dirichlet distribution with parameters $\alpha_i$ for each view (terms without $x$ are left out),
#
# $$n(x) = \sum_{i=0}^{k-1} (\alpha_i - 1) \cdot \log y(T_i(x)) .$$
#
# Both start from the *logarithms*, because a probability below $10^{-308}$ is 0 for the computer, and its logarithm lost.
#
# **Write** `simple_score(log_p)` and `dirichlet_score(log_p, alpha)`. `log_p` is an array (n, k, k) whose entry `[b, i, j]` is $\log\,[y(T_i(x_b))]_j$, the logarithm of the probability that view $i$ of image $b$ is taken for view $j$; `alpha` is (k, k) with the vector $\alpha_i$ in row $i$. Both return (n,).

# %% tags=["solution"] name="q5"
def simple_score(log_p):
    """Mean probability of the right view, (n,)."""
    # BEGIN SOLUTION
    return np.exp(np.diagonal(log_p, axis1=1, axis2=2)).mean(1)
    # END SOLUTION


def dirichlet_score(log_p, alpha):
    """Log-likelihood of the answers but for a constant, (n,)."""
    # BEGIN SOLUTION
    return ((alpha - 1) * log_p).sum((1, 2))
    # END SOLUTION

# %% tags=["test"] name="q5-two-views" points=1
answers = np.log([[[0.75, 0.25], [0.5, 0.5]], [[0.25, 0.75], [0.75, 0.25]]])
score = as_numbers(simple_score(answers), (2,), "the simple score of two images")
assert np.allclose(score, [0.625, 0.25]), "image 0: the right answers have 0.75 and 0.5, their mean is 0.625"
score = as_numbers(dirichlet_score(answers, np.array([[3.0, 1.0], [1.0, 2.0]])), (2,), "the Dirichlet score of two images")
assert np.allclose(score, [2 * np.log(0.75) + np.log(0.5), 2 * np.log(0.25) + np.log(0.25)]), (
    "with these alpha, the score is 2 log [y(T_0)]_0 + 1 log [y(T_1)]_1"
)

# %% tags=["hidden"] name="q5-simple" points=1
random = np.random.default_rng(5)
p = random.dirichlet(np.full(7, 0.3), (4, 7))
score = as_numbers(simple_score(np.log(p)), (4,), "the simple score of four images and seven views")
expected = [sum(p[b, j, j] for j in range(7)) / 7 for b in range(4)]
assert np.allclose(score, expected, atol=1e-6), (
    "the simple score is the mean of the *probabilities* of the *right* view, right or wrong as the answer may be"
)

# %% tags=["hidden"] name="q5-likelihood" points=2
from scipy.stats import dirichlet

random = np.random.default_rng(6)
alpha = random.uniform(0.5, 4, (5, 5))
p = random.dirichlet(np.ones(5), (6, 5))
score = as_numbers(dirichlet_score(np.log(p), alpha), (6,), "the Dirichlet score of six images and five views")
full = np.array([sum(dirichlet.logpdf(p[b, i], alpha[i]) for i in range(5)) for b in range(6)])
assert np.allclose(score - score[0], full - full[0], atol=1e-3), (
    "from image to image, the Dirichlet score should differ by as much as the log-likelihood under Dir(alpha_i) does: "
    "look at the exponents of its density, and at which row of alpha belongs to which view"
)

# %% tags=["hidden"] name="q5-tiny-probabilities" points=1
sure = np.where(np.eye(3, dtype=bool), 0.0, -2000.0)[None]
score = as_numbers(dirichlet_score(sure, np.full((3, 3), 1.5)), (1,), "the Dirichlet score of a very sure answer")
assert np.isfinite(score).all() and np.isclose(score[0], -6000), (
    "probabilities too small for the computer should not become infinite: stay with the logarithms throughout"
)

# %% tags=["wrong"] name="q5-geometric" caught="q5-two-views" hint="their mean is 0.625"
def simple_score(log_p):
    return np.exp(np.diagonal(log_p, axis1=1, axis2=2).mean(1))


def dirichlet_score(log_p, alpha):
    return ((alpha - 1) * log_p).sum((1, 2))

# %% tags=["wrong"] name="q5-most-likely" caught="q5-two-views" hint="the right answers have"
def simple_score(log_p):
    return np.exp(log_p.max(2)).mean(1)


def dirichlet_score(log_p, alpha):
    return ((alpha - 1) * log_p).sum((1, 2))

# %% tags=["wrong"] name="q5-without-minus-one" caught="q5-two-views" hint="with these alpha"
def simple_score(log_p):
    return np.exp(np.diagonal(log_p, axis1=1, axis2=2)).mean(1)


def dirichlet_score(log_p, alpha):
    return (alpha * log_p).sum((1, 2))

# %% tags=["wrong"] name="q5-transposed" caught="q5-likelihood" hint="which row of alpha"
def simple_score(log_p):
    return np.exp(np.diagonal(log_p, axis1=1, axis2=2)).mean(1)


def dirichlet_score(log_p, alpha):
    return np.einsum("ij,bji->b", alpha - 1, log_p)

# %% tags=["wrong"] name="q5-through-probabilities" caught="q5-tiny-probabilities" hint="stay with the logarithms"
def simple_score(log_p):
    return np.exp(np.diagonal(log_p, axis1=1, axis2=2)).mean(1)


def dirichlet_score(log_p, alpha):
    with np.errstate(divide="ignore"):
        return ((alpha - 1) * np.log(np.exp(log_p))).sum((1, 2))

# %% [markdown] tags=["question"] name="q6"
# ## Question 6: one step of the fit
#
# The $\alpha_i$ come from the training images: those under which their answers are most likely. For one view, let the rows of `log_p` be the log-answers $\log p_1, \dots, \log p_n$ of $n$ images. The likelihood has no closed-form maximum, but the fixed point of Minka (the paper's reference 24) climbs it without a step size. The new $\alpha'$ solves, entry by entry,
#
# $$\psi(\alpha'_j) = \psi\Big(\sum_m \alpha_m\Big) + \frac1n \sum_{b=1}^n \log p_{b,j} ,$$
#
# with $\psi$ the digamma function, the derivative of $\log\Gamma$. Note what the data enter by: by the mean of their *logarithms* alone. `digamma` and its inverse, below, are there for you.
#
# **Write** `dirichlet_step(alpha, log_p)`: `alpha` (k,) with positive entries, `log_p` (n, k). Return the new alpha, (k,).

# %% tags=["setup"]
def inverse_digamma(y):
    """x > 0 with digamma(x) = y, entry by entry: Minka's start, then Newton steps."""
    x = np.where(y >= -2.22, np.exp(np.minimum(y, 100)) + 0.5, -1 / np.minimum(y - digamma(1), -1e-300))
    for _ in range(5):
        x = x - (digamma(x) - y) / polygamma(1, x)
    return x

# %% tags=["solution"] name="q6"
def dirichlet_step(alpha, log_p):
    """The alpha after one step of the fixed point, (k,)."""
    # BEGIN SOLUTION
    return inverse_digamma(digamma(alpha.sum()) + log_p.mean(0))
    # END SOLUTION

# %% tags=["test"] name="q6-by-hand" points=1
rows = np.log([[0.5, 0.5], [0.25, 0.75]])
new = as_numbers(dirichlet_step(np.array([1.0, 2.0]), rows), (2,), "`dirichlet_step` for two probabilities")
assert (new > 0).all(), "the parameters of a Dirichlet distribution are positive"
assert np.isclose(digamma(new[0]), digamma(3) + np.log(0.5 * 0.25) / 2), (
    "psi of the new alpha_0 should be psi(1 + 2) plus the mean of log 0.5 and log 0.25"
)

# %% tags=["hidden"] name="q6-equation" points=1
random = np.random.default_rng(7)
log_p = np.log(random.dirichlet(random.uniform(0.2, 5, 6), 40))
alpha = random.uniform(0.2, 5, 6)
new = as_numbers(dirichlet_step(alpha, log_p), (6,), "`dirichlet_step` for six probabilities")
for j in range(6):
    mean_log = sum(float(row[j]) for row in log_p) / 40
    assert np.isclose(digamma(new[j]), digamma(float(sum(alpha))) + mean_log, atol=1e-6), (
        "each entry of the new alpha should solve the equation of the task: the mean is over the images, of the logarithms"
    )

# %% tags=["hidden"] name="q6-climbs" points=1
from scipy.stats import dirichlet

random = np.random.default_rng(8)
p = random.dirichlet([4.0, 0.7, 1.5], 200)
alpha = np.ones(3)
likelihoods = []
for _ in range(12):
    likelihoods.append(sum(dirichlet.logpdf(row / row.sum(), alpha) for row in p))
    alpha = as_numbers(dirichlet_step(alpha, np.log(p)), (3,), "`dirichlet_step` for three probabilities")
    assert (alpha > 0).all(), "the parameters of a Dirichlet distribution are positive"
assert (np.diff(likelihoods) > -1e-6).all() and likelihoods[-1] > likelihoods[0] + 1, (
    "from step to step, the likelihood of the training answers should rise"
)

# %% tags=["hidden"] name="q6-what-counts" points=1
random = np.random.default_rng(9)
log_p = np.log(random.dirichlet(np.ones(4), 10))
one = as_numbers(dirichlet_step(np.array([1.0, 2.0, 3.0, 4.0]), log_p), (4,), "`dirichlet_step` for four probabilities")
two = as_numbers(dirichlet_step(np.array([7.0, 1.0, 1.0, 1.0]), log_p[::-1]), (4,), "`dirichlet_step` in another order")
assert np.allclose(one, two), (
    "of the old alpha only the sum should matter, and of the images not their order: compare with the equation"
)

# %% tags=["wrong"] name="q6-log-of-mean" caught="q6-by-hand" hint="the mean of log 0.5 and log 0.25"
def dirichlet_step(alpha, log_p):
    return inverse_digamma(digamma(alpha.sum()) + np.log(np.exp(log_p).mean(0)))

# %% tags=["wrong"] name="q6-own-digamma" caught="q6-by-hand" hint="psi(1 + 2)"
def dirichlet_step(alpha, log_p):
    return inverse_digamma(digamma(alpha) + log_p.mean(0))

# %% tags=["wrong"] name="q6-forgot-inverse" caught="q6-by-hand" hint="are positive"
def dirichlet_step(alpha, log_p):
    return digamma(alpha.sum()) + log_p.mean(0)

# %% tags=["wrong"] name="q6-fixed-divisor" caught="q6-equation" hint="the mean is over the images"
def dirichlet_step(alpha, log_p):
    return inverse_digamma(digamma(alpha.sum()) + log_p.sum(0) / log_p.shape[1])

# %% [markdown] tags=["text"]
# Now all parts meet. Any classifier can be used (Section 4.1); here it is the simplest one that works on 8 × 8 pixels, a linear discriminant, which learns 72 views in a moment. It sees your digit only. The last line asks the same classifier with the views numbered by `other_steps`, as in question 4. Compare what became of its mean with what became of its AUROC: would you have noticed the slip from the number that papers report?

# %% tags=["show"]
table = transform_table(8, SHIFTS, SHIFTS)
classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)
classifier.fit(all_views(train, table).reshape(-1, 64), np.tile(np.arange(72), len(train)))


def log_answers(images, table):
    """The classifier's log-probabilities, (n, 72, 72)."""
    return classifier.predict_log_proba(all_views(images, table).reshape(-1, 64)).reshape(len(images), 72, 72)


alpha = np.ones((72, 72))
for i, rows in enumerate(log_answers(train, table).transpose(1, 0, 2)):
    for _ in range(50):
        alpha[i] = dirichlet_step(alpha[i], rows)


def report(what, score, table):
    normal, anomalous = (score(log_answers(images, table)) for images in (test, others))
    auroc = roc_auc_score([1] * len(normal) + [0] * len(anomalous), np.concatenate([normal, anomalous]))
    print(f"{what:36} AUROC {auroc:.3f}, mean of the normal images {normal.mean():.3g}")


report("simple score", simple_score, table)
report("Dirichlet score", lambda log_p: dirichlet_score(log_p, alpha), table)
report("simple score, views in other order", simple_score, transform_table(8, SHIFTS, SHIFTS, other_steps))

# %% [markdown] tags=["text"]
# What does the classifier think that it sees when it is shown view number `asked` of your digit? The mean probability of each of the 72 answers on the test images of your digit, in percent: a row for each flip and shift, a column for each turn. The frame marks the right answer.

# %% tags=["show"]
taken_for = np.exp(log_answers(test, table)).mean(0)[asked].reshape(18, 4)
kinds = [f"{'flip' if flip else 'no flip'}, shift ({row}, {col})" for flip, row, col in product((0, 1), SHIFTS, SHIFTS)]
figure, axis = plt.subplots(figsize=(6, 7), layout="constrained")
axis.imshow(taken_for, cmap="Blues", vmax=0.4, aspect="auto")
for row, turn in product(range(18), range(4)):
    share = taken_for[row, turn]
    axis.text(turn, row, f"{100 * share:.1f}", ha="center", va="center", color="white" if share > 0.25 else "black")
axis.add_patch(plt.Rectangle((asked % 4 - 0.5, asked // 4 - 0.5), 1, 1, fill=False, color="red"))
axis.set(xticks=range(4), xlabel="quarter turns", yticks=range(18), yticklabels=kinds)
axis.set_title(f"view {asked} of the digit {digit} is taken for ...")
plt.show()

# %% [markdown] tags=["question"] name="q7"
# ## Question 7: a twin in the figure
#
# **Find** `twin`: the number (0 to 71) of the *wrong* view that view `asked` of your digit is most often taken for. Read it off the figure and work out its number by the formula of question 2. Where two are nearly as dark, either is right. The cells with figures do not run in grading: give the values in the cell below, typed or computed there.

# %% tags=["solution"] name="q7"
twin = (
    # BEGIN SOLUTION
    np.argmax(
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)
        .fit(all_views(train, transform_table(8, SHIFTS, SHIFTS)).reshape(-1, 64), np.tile(np.arange(72), len(train)))
        .predict_proba(all_views(test, transform_table(8, SHIFTS, SHIFTS))[:, asked].reshape(-1, 64))
        .mean(0)
        * (np.arange(72) != asked)
    )
    # END SOLUTION
)

# %% tags=["test"] name="q7-a-number" points=1
assert np.isfinite(as_numbers(twin, (), "`twin`")) and int(twin) == twin, "`twin` should be one whole number"
assert 0 <= twin <= 71, "`twin` should be the number of a view, 0 to 71"
assert twin != asked, "`twin` should be a wrong answer of the classifier, not the right one"

# %% tags=["hidden"] name="q7-twin" points=2
def view(flip, row, col, turn):
    image = np.arange(64).reshape(8, 8)[:, ::-1] if flip else np.arange(64).reshape(8, 8)
    rows, cols = ([max(p, -1 - p) if p < 8 else 15 - p for p in np.arange(8) + by] for by in (row, col))
    return np.rot90(image[np.ix_(rows, cols)], turn).ravel()


kinds = list(product((0, 1), SHIFTS, SHIFTS, range(4)))
table = np.array([view(*kind) for kind in kinds])
judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)
judge.fit(train.reshape(-1, 64)[:, table].reshape(-1, 64), np.tile(np.arange(72), len(train)))
taken_for = judge.predict_proba(test.reshape(-1, 64)[:, table[asked]]).mean(0)
taken_for[asked] = 0
assert as_numbers(twin, (), "`twin`") in np.flatnonzero(taken_for > taken_for.max() - 0.03), (
    "`twin` should be the darkest square outside the frame: work its number out by the formula of question 2"
)

# %% tags=["wrong"] name="q7-right-answer" caught="q7-a-number" hint="a wrong answer of the classifier"
twin = asked

# %% tags=["wrong"] name="q7-next-turn" caught="q7-twin" hint="the darkest square outside the frame"
twin = asked // 4 * 4 + (asked + 1) % 4

# %% tags=["wrong"] name="q7-row-of-figure" caught="q7-twin" hint="work its number out"
twin = 18 + asked % 4  # the row and the column of the figure added up

# %% [markdown] tags=["manual"] name="q8" points=4
# ## Question 8: a class that looks the same
#
# In Section 6 the normal class is the digit 8, the two views are the image and its mirror image, and the AUROC is only 0.646. In at most twelve sentences:
#
# - Suppose that a class is *exactly* symmetric under the only transformation $T_1$, so that $T_1(x)$ and $x$ are equally likely. What does the best classifier answer on a normal image, what is its simple score, and why can an anomaly then score *higher* than a normal image?
# - Can the Dirichlet score do better on the same answers? Use its formula, and what your run printed for your digit.
# - Your classifier knows 72 views. What does the twin that you found mean for your digit, and what would you do about it?

# %% [markdown] tags=["rubric"] name="q8"
# One point each:
#
# 1. *The best classifier cannot know.* With both views equally likely given the picture, cross-entropy is smallest at the answer (1/2, 1/2), so every normal image has a simple score of 1/2.
# 2. *Why anomalies can win.* Nothing holds the answers on anomalies at 1/2. An asymmetric anomaly, such as a 3, may be called right with confidence and score above 1/2; whether it does is chance. "The classifier is bad, so all scores are low" is not enough: a constant low score would be harmless if anomalies scored lower still.
# 3. *The Dirichlet score.* On (nearly) constant answers (1/2, 1/2) the fit gives large, equal alphas, and $(\alpha - 1)(\log y_0 + \log y_1)$ is largest at 1/2: answers that are sure, right *or* wrong, score lower. So it can tell anomalies by being too sure. The run: for 0 and 8 the Dirichlet score is clearly above the simple one; for 3 it is not, and for 1 hardly ever. Credit what the student's own output shows.
# 4. *The twin.* The twin, after the view itself is undone, names a symmetry of the digit: 3 is its own mirror image top to bottom (a flip and a half turn), 8 and 0 look alike flipped and half turned, 1 nearly so. A sensible consequence: leave one of each pair of twins out, or merge them into one label, or use the Dirichlet score; chosen from the normal class alone. Choosing by test AUROC gets no credit.
#
# Common misunderstanding: that symmetry makes the *training* fail (it does not: the loss reaches its best value, which is log 2), or that a lower score of all images by itself lowers the AUROC.
