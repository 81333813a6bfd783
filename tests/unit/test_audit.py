"""The audit of the papers' tables: its arithmetic, what it finds in the papers, and that every cell can change it."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from adlib.companion import audit, papers
from adlib.companion.claims import PAPERS

TEXTS = Path(os.environ.get("ADLIB_PAPERS", "nowhere"))


@pytest.fixture(scope="module")
def tables():
    return audit.load()


def made(rows, note=""):
    """A table of made-up numbers, printed as given: [(method, cls, text)]."""
    cells = [["made up", *row[:2], float(row[2]), audit._digits(row[2]), float("nan"), note] for row in rows]
    return pd.DataFrame(cells, columns="dataset method cls value digits spread note".split())


# ---- a printed number and a computed one


@pytest.mark.parametrize(
    "printed, digits, computed, slack, typical, said",
    [
        (0.9, 1, 0.94, 0, 0, "follows"),
        (0.9, 1, 0.95, 0, 0, "follows"),  # a half may be rounded down
        (0.9, 1, 0.96, 0, 0, "cut off"),
        (0.9, 1, 0.96, 0.01, 0, "rounding"),
        (0.9, 1, 0.96, 0.01, 0.001, "cut off"),  # ten times what rounding usually does
        (0.9, 1, 0.96, 0.03, 0.01, "rounding"),
        (0.9, 1, 1.0, 0.01, 0, "does not follow"),
        (0.9, 1, 0.84, 0.01, 0, "rounding"),
        (0.9, 1, 0.84, 0, 0, "does not follow"),  # below it, nothing can have been cut off
        (32, 0, 32.7, 0, 0, "cut off"),
        (95.54, 2, 95.13, 0.05, 0.01, "does not follow"),
    ],
)
def test_a_verdict_names_the_mildest_explanation(printed, digits, computed, slack, typical, said):
    assert audit.verdict(printed, digits, computed, slack, typical) == said


@pytest.mark.parametrize(
    "verdicts, said",
    [
        (["follows"], "follows"),
        (["follows", "rounding"], "rounding"),
        (["cut off", "follows"], "cut off"),
        (["does not follow", "follows"], "depends on the reading"),
        (["does not follow", "does not follow"], "does not follow"),
    ],
)
def test_the_outcome_of_several_readings(verdicts, said):
    assert audit.outcome(verdicts) == said


def test_averages_of_a_made_up_table():
    rows = [("a", "0", "1.0"), ("a", "1", "2.0"), ("a", "avg", "1.5"), ("b", "0", "1.0"), ("b", "1", "2.0")]
    found = audit.averages({("golan2018", 1): made([*rows, ("b", "avg", "1.7")])})
    assert found["method"].tolist() == ["a", "b"] and found["verdict"].tolist() == ["follows", "does not follow"]
    assert found["computed"].tolist() == [1.5, 1.5] and found["n"].tolist() == [2, 2]
    assert found["off"].tolist() == pytest.approx([0, 0.2]) and found["units"].tolist() == pytest.approx([0, 2])


def test_a_spread_that_no_scores_can_have():
    """Ten numbers up to 100 of mean 99: the widest are nine times 100 and once 90, which is 3.16 with n - 1."""
    frame = made([("a", "0", "99.0"), ("a", "1", "99.0"), ("a", "2", "60.0")]).assign(spread=[3.1, 33.0, 40.0])
    found = audit.impossible_spreads({("golan2018", 1): frame}, "golan2018", 1, seeds=10)
    assert found["cls"].tolist() == ["1"]
    worst = pd.Series([100.0] * 9 + [90.0])
    assert worst.mean() == 99 and worst.std() < found["limit"].item()


# ---- how a sentence is computed: each function of HOW, on four numbers

CELLS = pd.DataFrame({"a": [90.0, 80.0], "b": [85.0, 80.0], "c": [50.0, 70.0]}, index=["0", "1"])


@pytest.mark.parametrize(
    "how, arguments, value, slack",
    [
        ("cell", {"method": "a", "cls": "1"}, 80, 0),
        ("mean", {"method": "a"}, 85, 0.05),
        ("mean", {"method": "a", "of": ["0"]}, 90, 0.05),
        ("range", {"method": "c"}, 20, 0.1),
        ("mean_lead", {"method": "a"}, 2.5, 0.1),
        ("mean_lead", {"method": "a", "against": ["c"]}, 25, 0.1),
        ("mean_ratio", {"method": "a", "against": ["c"]}, 100 * (85 / 60 - 1), 100 * 0.05 * (1 + 85 / 60) / 60),
        ("ratio_by_class", {"method": "a", "against": ["c"]}, 50 * (90 / 50 - 1 + 80 / 70 - 1), None),
        ("lead", {"method": "a"}, 5, 0.1),
        ("lead", {"method": "a", "pick": "min"}, 0, 0.1),
        ("lead", {"method": "a", "pick": "mean", "won": True}, 5, 0.1),
        ("lead", {"method": "a", "against": ["c"], "cls": ["1"]}, 10, 0.1),
        ("led", {"method": "a"}, 1, 0),
        ("led", {"method": "a", "ties": True}, 2, 0),
        ("led", {"method": "a", "cls": ["1"]}, 0, 0),
        ("tied", {"method": "a"}, 1, 0),
        ("led_by_any", {"methods": ["a", "c"], "against": ["b"]}, 1, 0),
        ("led_by_all", {"methods": ["a", "b"], "against": ["c"]}, 2, 0),
        ("means_above", {"methods": ["a", "c"], "limit": 60}, 1, 0),
        ("narrower", {"method": "c"}, 2, 0),
        ("narrower", {"method": "b"}, 0, 0),
        ("steadier", {"method": "a", "against": ["b"]}, 1, 0),
        ("among_lowest", {"method": "c", "cls": ["1"]}, 0, 0),
        ("step", {"method": "c", "after": "a", "cls": "0"}, 40, 0.1),
        ("rises", {"method": "c"}, 1, 0),
    ],
)
def test_each_way_to_compute_a_sentence(how, arguments, value, slack):
    amount = audit.HOW[how](CELLS, 0.05, **arguments)
    assert amount.value == pytest.approx(value) and (slack is None or amount.slack == pytest.approx(slack))


def test_a_square_as_a_share_of_an_image():
    cells = pd.DataFrame({"a": [1.0]}, index=["16"])
    assert audit.HOW["square_share"](cells, 0.05, cls="16", side=32).value == 25


def test_every_way_is_tried_above_and_used_by_a_sentence():
    used = {reading["how"] for statement in audit.statements() for reading in statement["readings"]}
    assert used == set(audit.HOW)


# ---- the statements as data


def test_statements_are_whole_and_named_once():
    entries = audit.statements()
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        assert set(entry) == {"id", "paper", "place", "says", "printed", "is", "readings"}, entry["id"]
        assert entry["paper"] in PAPERS and re.fullmatch(r"equal|at least|at most|within \d", entry["is"])
        assert isinstance(entry["printed"], str) and float(entry["printed"]) == float(entry["printed"])
        assert entry["readings"] and all({"reading", "how", "table"} <= set(reading) for reading in entry["readings"])
    assert {entry["paper"] for entry in entries} == set(PAPERS)


def test_what_was_chosen_with_test_data_has_its_source():
    for entry in audit.selected():
        assert set(entry) == {"paper", "what", "how", "said", "where"} and entry["paper"] in PAPERS
        assert entry["said"] in {"yes", "no", "partly"} and re.search(r"Section|Append|: \w+", entry["where"])


@pytest.mark.skipif(not TEXTS.is_dir(), reason="the papers' texts are not at hand ($ADLIB_PAPERS)")
def test_printed_numbers_of_statements_stand_in_the_text():
    """Those with decimals, and per cents; words such as "six classes" and bounds of ours are not looked for."""
    for entry in audit.statements():
        text = (TEXTS / f"{entry['paper']}.txt").read_text(encoding="utf-8").replace("\\", "")
        number = entry["printed"]
        if entry["id"] in {"drocc-18-percent", "fcdd-quarter", "fcdd-sixteenth"}:
            continue  # in the text: 18 %, one quarter, 1/16
        if "." in number:
            shown = {number, f"0.{number.replace('.', '')}"}
        elif "%" in entry["says"]:
            shown = {f"{number}%"}
        else:
            continue
        assert any(form in text for form in shown), entry["id"]


# ---- what it finds in the papers


def test_every_mean_that_is_not_its_rows_rounded(tables):
    found = audit.averages(tables)
    odd = found[found["verdict"] != "follows"].set_index(["paper", "table", "dataset", "method"])["verdict"].to_dict()
    assert odd == {
        ("golan2018", 1, "CIFAR-100", "DAGMM"): "rounding",
        ("golan2018", 1, "Fashion-MNIST", "GEOM"): "rounding",
        ("liznerski2021", 2, "MVTec-AD", "AE-SS"): "cut off",
        ("liznerski2021", 7, "CIFAR-10", "Deep SAD (OE)"): "rounding",
        ("wu2021", 1, "MNIST", "OCSVM"): "does not follow",
        ("wu2021", 1, "MNIST", "OCGAN"): "rounding",
    }
    assert len(found) == 25 + 22 + 10 + 4 + 9 + 4


def test_the_sentences_that_do_not_follow(tables):
    said = audit.sentences(tables).set_index("id")
    assert set(said.index[said["verdict"] == "does not follow"]) == {
        "geom-consistently", "geom-cats-better-than-chance", "geom-simple-score", "ns-dsvdd-mean", "drocc-frog",
        "drocc-deer-geom", "ocnn-two-of-ten", "fcdd-quarter",
    }  # fmt: skip
    assert set(said.index[said["verdict"] == "depends on the reading"]) == {
        "geom-32-percent", "geom-67-percent", "geom-dog", "ns-upwards-of-4", "ns-dsvdd-outperforms", "drocc-20-percent",
        "drocc-18-percent", "ocnn-three-classes", "ocnn-one-class-over-soft", "ocnn-on-par",
    }  # fmt: skip
    assert set(said.index[said["verdict"] == "cut off"]) == {"drocc-french-horn"}


def test_the_two_percentages_of_golan2018_follow_by_two_different_rules(tables):
    said = audit.sentences(tables).set_index("id")["readings"]
    fits = {
        name: [reading for reading, _, verdict in said[name] if verdict in audit.FINE]
        for name in ("geom-32-percent", "geom-67-percent")
    }
    assert fits == {
        "geom-32-percent": ["mean over mean of the best column"],
        "geom-67-percent": ["the same without the two OC-SVMs tuned in hindsight"],
    }


def test_numbers_that_stand_elsewhere_are_found_there(tables):
    said = audit.sentences(tables).set_index("id")["found"]
    assert said["ns-dsvdd-mean"] == ["Table 2, CIFAR-10, AND, avg"]
    assert said["geom-dog"] == ["Table 1, CatsVsDogs, GEOM, avg"]
    assert audit.places(tables, "wu2021", "95.54") == [
        "Table 1, MNIST, OCSVM, avg",
        "Table 4, MNIST, Autoencoder only, avg",
    ]
    assert audit.places(tables, "golan2018", "32") == []


def test_one_bold_number_is_not_the_largest_of_its_row(tables):
    found = audit.bold(tables)
    (row,) = found[found["value"] < found["other"]].itertuples()
    assert (row.paper, row.table, row.cls, row.method, row.value, row.other, row.whose) == (
        "goyal2020", 1, "Frog", "DROCC", 74.426, 74.7, "OC-SVM",
    )  # fmt: skip
    assert len(found) == 25


def test_where_a_papers_own_method_is_not_the_best(tables):
    found = audit.against_the_best(tables)
    lost = found[found["value"] < found["other"]]
    geom = lost[lost["paper"] == "golan2018"]
    assert list(zip(geom["dataset"], geom["cls"], geom["whose"], strict=True)) == [
        ("CIFAR-10", "0", "CAE OC-SVM"),
        ("CIFAR-100", "13", "RAW OC-SVM"),
        ("Fashion-MNIST", "2", "CAE OC-SVM"),
        ("Fashion-MNIST", "3", "RAW OC-SVM"),
        ("Fashion-MNIST", "6", "RAW OC-SVM"),
        ("Fashion-MNIST", "8", "RAW OC-SVM"),
    ]
    drocc = lost[(lost["paper"] == "goyal2020") & (lost["table"] == 1)]
    assert drocc["cls"].tolist() == ["Bird", "Deer", "Frog"] and len(found[found["paper"] == "golan2018"]) == 42
    assert {(key, method) for key, (method, _) in audit.OWN.items()} <= {
        (key, method) for key, frame in tables.items() for method in frame["method"]
    }


def test_one_spread_of_chalapathy2018_is_too_wide_for_ten_seeds(tables):
    (cell,) = audit.impossible_spreads(tables, "chalapathy2018", 3, 10).itertuples()
    assert (cell.dataset, cell.cls, cell.method, cell.value, cell.spread) == ("MNIST", "1", "RCAE", 99.97, 2.2)
    assert audit.impossible_spreads(tables, "chalapathy2018", 4, 10).empty


def test_copies_with_another_name(tables):
    found = audit.copies(tables)
    (row,) = found[~found["same"]].itertuples()
    assert (row.dataset, row.paper, row.method) == ("Fashion-MNIST", "golan2018", "RAW OC-SVM")
    assert (row._5, row._6, row._7, row.equal) == ("liznerski2021", 6, "DSVDD", 10)
    quoted = audit.copied_means(tables, "wu2021", 3)
    assert quoted.set_index("method")["same"].to_dict() == {"DSVDD": False, "DAGMM": True, "DSEBM": True, "GEOM": True}


def test_spreads_are_copied_along_even_where_a_mean_is_not(tables):
    """AnoGAN on ships: 74.68 ± 4.1 in the one paper, 75.8 ± 4.1 in the other."""
    found = audit.copies(tables).query("paper == 'chalapathy2018' and `other paper` == 'goyal2020'")
    assert found[["method", "equal", "spreads", "both"]].to_numpy().tolist() == [["AnoGAN", 9, 10, 10]]


def test_standard_errors_of_golan2018_are_quoted_deviations_over_the_root_of_ten(tables):
    assert audit.rescaled_spreads(tables, 10) == (10, 10) and audit.rescaled_spreads(tables, 5)[0] < 5


def test_quoted_rows_of_fashion_mnist_fit_better_in_alphabetical_order(tables):
    found = audit.fashion_order(tables)
    assert len(found) == 4 and (found["alphabetical"] > found["as printed"]).all()
    row = found[(found["own"] == "FCDD (OE)") & (found["quoted"] == "DSVDD")].iloc[0]
    fcdd, svdd = (tables["liznerski2021", 6].query("method == @m and cls != 'avg'") for m in ("FCDD (OE)", "DSVDD"))
    by_name = dict(zip(sorted(cls.lower() for cls in svdd["cls"]), svdd["value"], strict=True))
    moved = pd.Series([by_name[cls.lower()] for cls in fcdd["cls"]])
    assert row["alphabetical"] == pytest.approx(moved.corr(fcdd["value"].reset_index(drop=True)))


def test_the_same_baseline_is_found_in_the_papers_that_print_it(tables):
    car = audit.side_by_side(tables, "CIFAR-10", "OC-SVM").loc["automobile"]
    assert {paper: value for (paper, _, _), value in car.items()} == {
        "chalapathy2018": 63.03, "golan2018": 51.3, "goyal2020": 63.8, "wu2021": 44.0,
    }  # fmt: skip
    quoted = {(row.paper, row.method) for row in audit.columns(tables) if audit.family(row.method) == "Deep SVDD"}
    assert {paper for paper, _ in quoted} == set(PAPERS)


def test_classes_of_different_names_are_the_same_class():
    names = {"plane": 0, "PLANE": 0, "AIRPLANE": 0, "Airplane": 0, "0": 0, "CAR": 1, "Automobile": 1, "Truck": 9}
    assert {name: audit._class_index("CIFAR-10", name) for name in names} == names
    assert audit._class_index("CIFAR-10", "avg") is None and audit._class_index("Fashion-MNIST", "Ankle Boot") == 9


def test_numbers_printed_twice_agree_but_for_one_that_is_cut_off(tables):
    found = audit.repeated(tables)
    assert len(found) == 31
    (odd,) = found[found["verdict"] != "follows"].itertuples()
    assert (odd.paper, odd.method, odd.cls, odd.verdict) == ("goyal2020", "DROCC", "Airplane", "cut off")


# ---- a wrong cell changes the report


def report(tables):
    """All that the audit says, as one text."""
    parts = [audit.averages(tables), audit.deviations(tables), audit.bold(tables), audit.repeated(tables)]
    parts += [audit.copies(tables), audit.sentences(tables), audit.impossible_spreads(tables, "chalapathy2018", 3, 10)]
    return "\n".join(part.to_csv() for part in parts)


@pytest.mark.parametrize(
    "place, value",
    [
        ("wu2021 1 | MNIST | OCSVM | 0", 98.9),
        ("goyal2020 1 | CIFAR-10 | OC-SVM | Frog", 74.4),
        ("golan2018 1 | CatsVsDogs | GEOM | 1", 88.8),
        ("liznerski2021 2 | MVTec-AD | AE-SS | Tile", 0.49),
        ("chalapathy2018 3 | CIFAR-10 | AnoGAN | SHIP", 75.8),
    ],
)
def test_a_changed_cell_changes_the_report(tables, place, value):
    before = report(tables)
    assert report(audit.change(tables, {place: value})) != before
    assert report(tables) == before, "the tables themselves stay as they are"


def test_the_report_is_made_good_by_the_right_cell(tables):
    mended = audit.change(tables, {"wu2021 1 | MNIST | OCSVM | avg": 95.13})
    assert "does not follow" not in set(audit.averages(mended)["verdict"])
    said = audit.sentences(audit.change(tables, {"goyal2020 1 | CIFAR-10 | DROCC | Frog": 74.8})).set_index("id")
    assert said.loc["drocc-frog", "verdict"] == "follows"


@pytest.mark.parametrize(
    "place", ["wu2021 1 | MNIST | OCSVM", "wu2021 9 | MNIST | OCSVM | 0", "wu2021 1 | MNIST | X | 0"]
)
def test_a_cell_that_is_not_there_is_one_sentence(tables, place):
    with pytest.raises(ValueError, match=re.escape(repr(place))) as error:
        audit.change(tables, {place: 1.0})
    assert "\n" not in str(error.value)


def test_tables_say_how_many_digits_they_print(tables):
    digits = tables["wu2021", 1].set_index(["method", "cls"])["digits"]
    assert digits["DSVDD", "avg"] == 2 and digits["DSVDD", "0"] == 1
    assert set(tables) == set(papers.known_tables().values())
