"""The papers' claims and their verdicts.

claims.yml says, for each claim, what the paper states and the rule by which a run is judged; it is written before the
run, or says in `why` what had been seen. A verdict is computed from the entry and the evidence, never typed:

| rule        | same-protocol                         | reduced                  | stand-in-data  | qualitative        |
|-------------|---------------------------------------|--------------------------|----------------|--------------------|
| exact,value | reproduced / direction only / differs | direction only / differs | not comparable | -                  |
| order,bound | reproduced / differs                  | direction only / differs | not comparable | reproduced/differs |

and "not run" or "stale" where there is nothing to judge.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from .recorded import Record, SweepError, canonical, records, value_keys, write_by_rename

REGISTRY = Path(__file__).with_name("claims.yml")

BORDER = 0.1  # share of a rule's edge within which a verdict is called borderline
VERDICTS = ("reproduced", "direction only", "differs", "not comparable", "not run", "stale")
OWN_TABLE = "the paper's own table"  # in place of the data set, where a claim has none
BOUND_WORDS = {">=": "at least", "<=": "at most"}
PAPERS = {
    "golan2018": "Golan and El-Yaniv 2018 (GEOM)",
    "wu2021": "Wu et al. 2021 (NS)",
    "goyal2020": "Goyal et al. 2020 (DROCC)",
    "chalapathy2018": "Chalapathy et al. 2018 (OC-NN)",
    "liznerski2021": "Liznerski et al. 2021 (FCDD)",
}

Json = dict[str, Any]
Column = Literal["same-protocol", "reduced", "stand-in-data", "qualitative"]
Bound = Annotated[str, Field(pattern=r"^(>=|<=) -?\d+(\.\d+)?$")]  # such as ">= 0.9"


class ClaimsError(ValueError):
    """The registry or a file of verdicts is not as it must be; the message is one sentence."""


def keys_of(term: str) -> list[str]:
    """The evidence keys a term stands for: itself, or one for each of "{0-9}" or "{0,1,4}". Raises ValueError."""
    parts = re.fullmatch(r"(\d\d-[a-z0-9-]+/(?=.)[a-z0-9_]*)(?:\{((\d+)-(\d+)|[a-z0-9_,]+)\}([a-z0-9_]*))?", term)
    if parts and not parts[2]:
        return [term]
    chosen = parts[2].split(",") if parts else []
    if parts and parts[3]:
        chosen = [str(i) for i in range(int(parts[3]), int(parts[4]) + 1)]
    if len(set(chosen)) < max(2, len(chosen)) or "" in chosen:
        wanted = "<slug>/<key>, and in the key at most one choice of two or more, such as {0-9} or {0,1,4}"
        raise ValueError(f"{term!r} is no evidence: write {wanted}")
    return [f"{parts[1]}{choice}{parts[5]}" for choice in chosen]


def _term(text: str) -> str:
    keys_of(text)
    return text


class Claim(BaseModel):
    """One entry of claims.yml.

    A term of `evidence` is a key, such as "01-toy/auroc_8", or a mean over keys, such as "01-toy/auroc_{0-9}".
    What `evidence` and `tolerance` hold depends on the rule; "ours" is a mean over keys and seeds:
    - exact: one term; ours is the paper's value, up to 1e-9; no tolerance.
    - value: one term; ours is within `tolerance` of the paper's value.
    - order: two terms; ours of the first exceeds ours of the second by more than `tolerance`.
      The paper's value is its own difference, where it gives one.
    - bound: ours, of one term or of the first minus the second, keeps the bound `tolerance`, such as ">= 0.5".
    `direction`, for exact and value, is a bound that says on which side the paper's number stands; ours that misses
    the number but keeps this bound is "direction only". Without it nothing but the number itself counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    paper: Literal["golan2018", "wu2021", "goyal2020", "chalapathy2018", "liznerski2021"]
    place: str
    says: str
    metric: str
    paper_value: float | None
    paper_spread: float | None
    dataset: str | None  # as the data's label starts: MNIST, CIFAR-10; null: the paper's own table, computed again
    evidence: list[Annotated[str, AfterValidator(_term)]]
    rule: Literal["exact", "value", "order", "bound"]
    tolerance: float | Bound | None
    direction: Bound | None
    why: str
    comparability: Column
    chapter: Annotated[str, Field(pattern=r"^\d\d-[a-z0-9-]+$")]
    function: Annotated[str, Field(pattern=r"^adlib(\.[a-z_A-Z0-9]+)+$")]
    test: Annotated[str, Field(pattern=r"^tests/[\w/]+\.py::\w+$")]
    not_run: str | None = None

    @model_validator(mode="after")
    def _rule_is_whole(self) -> "Claim":
        wanted = (0,) if self.not_run else {"order": (2,), "bound": (1, 2)}.get(self.rule, (1,))
        if len(self.evidence) not in wanted:
            raise ValueError(f"{len(self.evidence)} evidence terms, expected {' or '.join(map(str, wanted))}")
        if self.dataset is None and self.comparability == "stand-in-data":
            raise ValueError("a claim without data set cannot be judged as stand-in-data")
        if self.rule in ("exact", "value"):
            if self.paper_value is None:
                raise ValueError(f"the rule {self.rule!r} needs paper_value")
            if self.comparability == "qualitative":
                raise ValueError(f"the rule {self.rule!r} cannot be judged as qualitative")
        elif self.direction is not None:
            raise ValueError(f"the rule {self.rule!r} takes no direction")
        kind = {"exact": type(None), "value": float, "order": float, "bound": str}[self.rule]
        if not isinstance(self.tolerance, kind) or (kind is float and self.tolerance < 0):
            raise ValueError(f"tolerance={self.tolerance!r} does not fit the rule {self.rule!r}")
        if self.direction and not _keeps(self.direction, self.paper_value, 0.0):
            raise ValueError(f"direction={self.direction!r} excludes the paper's own {self.paper_value}")
        if self.rule == "value" and self.tolerance == 0:
            raise ValueError("a value within 0 is the rule 'exact'")
        return self

    @property
    def hash(self) -> str:
        """12 hex digits that change whenever anything in the entry does."""
        return hashlib.sha256(canonical(self.model_dump(mode="json")).encode()).hexdigest()[:12]


def load(path: Path = REGISTRY) -> list[Claim]:
    """The claims, in the order of the file. Raises ClaimsError with one sentence."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        try:
            claim = Claim.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ClaimsError(f"claim {name}: {place + ': ' if place else ''}{first['msg']}") from None
        if claim.id in claims:
            raise ClaimsError(f"claim {name} stands twice in {path.name}")
        claims[claim.id] = claim
    return list(claims.values())


def rule_words(claim: Claim) -> str:
    """The rule as a sentence part, such as "within 0.04 of 0.646"."""
    words = {
        "exact": f"equal to {claim.paper_value}",
        "value": f"within {claim.tolerance} of {claim.paper_value}",
        "order": f"larger than {claim.tolerance}",
        "bound": f"{BOUND_WORDS.get(str(claim.tolerance)[:2])} {str(claim.tolerance)[3:]}",
    }[claim.rule]
    if claim.direction:
        words += f"; direction: {BOUND_WORDS[claim.direction[:2]]} {claim.direction[3:]}"
    return words


# Verdicts


@dataclass(frozen=True)
class Evidence:
    """What a run says about a claim: a list of numbers for each term, one a seed (see `_numbers`)."""

    source: Literal["recorded", "book"]
    profile: Literal["paper", "reduced", "book"]
    dataset_label: str
    exact: bool  # False: not the published pixels
    per_seed: tuple[tuple[float, ...], ...]
    n_seeds: int = 1  # the smallest number of seeds of a key
    same_seeds: bool = True  # all keys of all terms were run with the same seeds
    sweep: str | None = None
    stale: str = ""  # the reason, where it is stale


class Result(NamedTuple):
    """A verdict, whether it is borderline, and a reason where the verdict alone leaves the question open."""

    verdict: str
    borderline: bool = False
    reason: str = ""


def judge(claim: Claim, evidence: Evidence | None) -> Result:
    """The verdict on the claim, by the table above.

    Borderline: another verdict would come out if every edge of the rule (the tolerance, the bound, the margin, the
    direction's bound) were moved by 10 % of itself, either way. The edge of an order claim is moved by 10 % of the
    paper's own difference (of the margin, where the paper gives none). An edge at 0 does not move.
    """
    if claim.not_run:
        return Result("not run", reason=claim.not_run)
    if evidence is None:
        return Result("not run", reason="no finished run has it yet")
    if evidence.stale:
        return Result("stale", reason=evidence.stale)
    column = comparability(claim, evidence)
    if column == "stand-in-data":
        return Result("not comparable", reason=f"run on {evidence.dataset_label}, the claim is about {claim.dataset}")
    value = ours(evidence)
    verdict = _verdict(claim, column, value, stretch=0.0)
    borderline = any(_verdict(claim, column, value, stretch) != verdict for stretch in (-BORDER, BORDER))
    return Result(verdict, borderline, _reason(claim, evidence, column))


def comparability(claim: Claim, evidence: Evidence) -> Column:
    """The column of the table: the entry's own, or a lower one where the evidence has less than the claim asks for.

    Other data are a stand-in; other pixels are reduced; and what was not run at the paper's sizes is reduced,
    but for an exact rule, which recomputes something and has no size. A paper's own table has neither data nor size.
    """
    if claim.dataset is None:
        return claim.comparability
    if claim.comparability == "stand-in-data" or not same_dataset(claim.dataset, evidence.dataset_label):
        return "stand-in-data"
    if not evidence.exact:
        return "reduced"
    if claim.comparability == "same-protocol" and evidence.profile != "paper" and claim.rule != "exact":
        return "reduced"
    return claim.comparability


def same_dataset(name: str | None, label: str) -> bool:
    """Whether the label, or a part of it between commas, names this data set; None for any.

    "CIFAR-10 (JPEG-75)" is CIFAR-10, "CIFAR-100" is not.
    """
    return name is None or re.search(rf"(^|, ){re.escape(name)}(?![\w-])", label, re.IGNORECASE) is not None


def ours(evidence: Evidence) -> float:
    """Mean over seeds; with two terms, the first mean minus the second."""
    means = [_mean(seeds) for seeds in evidence.per_seed]
    return means[0] if len(means) == 1 else means[0] - means[1]


def _verdict(claim: Claim, column: Column, value: float, stretch: float) -> str:
    held = _holds(claim, value, stretch)
    sided = held or (claim.direction is not None and _keeps(claim.direction, value, stretch))
    if held and column != "reduced":
        return "reproduced"
    return "direction only" if sided and (column == "reduced" or claim.rule in ("exact", "value")) else "differs"


def _holds(claim: Claim, value: float, stretch: float) -> bool:
    """Whether the rule holds when its edge is moved outwards by `stretch` (a share of the edge)."""
    if claim.rule == "exact":
        return abs(value - claim.paper_value) <= 1e-9
    if claim.rule == "value":
        return abs(value - claim.paper_value) <= claim.tolerance * (1 + stretch) + 1e-12
    if claim.rule == "order":
        scale = abs(claim.paper_value) if claim.paper_value is not None else claim.tolerance
        return value > claim.tolerance - stretch * scale
    return _keeps(claim.tolerance, value, stretch)


def _keeps(bound: str, value: float, stretch: float) -> bool:
    sign, edge = bound.split()
    slack = stretch * abs(float(edge)) + 1e-12
    return value >= float(edge) - slack if sign == ">=" else value <= float(edge) + slack


def _reason(claim: Claim, evidence: Evidence, column: Column) -> str:
    if column == claim.comparability:
        return ""
    if not evidence.exact:
        return f"the data are {evidence.dataset_label}, not the published pixels"
    return "run with less than the paper's sizes"


# Evidence


def find_evidence(claim: Claim, recorded: Sequence[Record], canaries: Mapping[str, Any], runs: Path) -> Evidence | None:
    """The first that is not stale of: recorded (paper), recorded (reduced), the book's run; a stale one if all are.

    A recorded sweep counts once every seed it plans is recorded for each of the claim's keys. When the book's run took
    stand-in data, that run is the evidence: a page whose banner says so must not show verdicts on the paper's data.
    """
    book = _from_book(claim, runs)
    if book is not None and not same_dataset(claim.dataset, book.dataset_label):
        return book
    by_profile = sorted(recorded, key=lambda record: (record.sweep.profile != "paper", record.name))
    found = [_from_record(claim, record, canaries.get(record.name, {})) for record in by_profile]
    present = [evidence for evidence in [*found, book] if evidence is not None]
    return next((evidence for evidence in present if not evidence.stale), present[0] if present else None)


def _from_record(claim: Claim, record: Record, canaries: Mapping[str, Any]) -> Evidence | None:
    terms = [keys_of(term) for term in claim.evidence]
    wanted = {key for keys in terms for key in keys}
    planned = Counter(key for point in record.points.values() for key in value_keys(point))
    used = sorted((line for line in record.lines.values() if wanted & line["values"].keys()), key=_seed)
    runs = {key: {_seed(line): line["values"][key] for line in used if key in line["values"]} for key in wanted}
    if not wanted or any(len(runs[key]) < max(1, planned[key]) for key in wanted):
        return None
    not_checked = {"ok": False, "reason": "its canary was not checked here"}
    reasons = [check["reason"] for check in (canaries.get(line["key"], not_checked) for line in used)
               if not check["ok"]]
    if len({line["dataset"]["fingerprint"] for line in used}) > 1:
        reasons.append("its lines were recorded on different data")
    return Evidence(
        source="recorded",
        profile=record.sweep.profile,
        sweep=record.name,
        dataset_label=used[0]["dataset"]["label"],
        exact=all(line["dataset"]["exact"] for line in used),
        **_numbers([[runs[key] for key in keys] for keys in terms]),
        stale=f"sweep {record.name}: {reasons[0]}" if reasons else "",
    )


def _seed(line: Json) -> int:
    return line["point"]["seed"]


def _from_book(claim: Claim, runs: Path) -> Evidence | None:
    found = [[_receipt_value(runs, *key.split("/")) for key in keys_of(term)] for term in claim.evidence]
    every = [value for values in found for value in values]
    if not every or None in every or len({data["fingerprint"] for data, _ in every}) > 1:
        return None
    data = every[0][0]
    return Evidence(
        source="book",
        profile="book",
        dataset_label=data["label"],
        exact=bool(data["exact"]),
        **_numbers([[dict(enumerate(seeds)) for _, seeds in values] for values in found]),
    )


def _numbers(terms: Sequence[Sequence[Mapping[int, float]]]) -> Json:
    """{per_seed, n_seeds, same_seeds} of Evidence, from {seed: value} of each key of each term.

    A term whose keys were run with the same seeds has one number a seed, the mean over the keys; another has a single
    number, the mean over the keys of each key's mean.
    """
    per_seed = []
    for keys in terms:
        if len({tuple(runs) for runs in keys}) == 1:
            per_seed.append(tuple(_mean(values) for values in zip(*(runs.values() for runs in keys), strict=True)))
        else:
            per_seed.append((_mean([_mean(runs.values()) for runs in keys]),))
    seeds = [tuple(runs) for keys in terms for runs in keys]
    return {"per_seed": tuple(per_seed), "n_seeds": min(map(len, seeds)), "same_seeds": len(set(seeds)) == 1}


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _receipt_value(runs: Path, slug: str, key: str) -> tuple[Json, list[float]] | None:
    """(data set, numbers) of one key of a chapter's run in the book profile, and in no other."""
    try:
        run, receipt = (json.loads((runs / f"{slug}.{kind}.json").read_text("utf-8")) for kind in ("run", "results"))
    except FileNotFoundError:
        return None
    if run["profile"] != "book" or key not in receipt["values"]:
        return None
    return receipt["dataset"], receipt["values"][key]["per_seed"]


def interval(evidence: Evidence) -> list[float] | None:
    """Bootstrap interval over seeds of `ours`; None when there is one seed, or keys were run with different seeds."""
    from adlib.metrics import bootstrap_ci

    if not evidence.same_seeds or len(evidence.per_seed[0]) < 2:
        return None
    seeds = [row[0] if len(row) == 1 else row[0] - row[1] for row in zip(*evidence.per_seed, strict=True)]
    return [float(end) for end in bootstrap_ci(seeds)]


# claims.json


def compute(claims: Sequence[Claim], runs: Path, recorded: Path, canaries: Mapping[str, Any]) -> Json:
    """Everything the pages show: {claims: [...], chapters: {slug: [ids]}, recorded: [...]}."""
    kept = records(recorded)
    rows = [_row(claim, find_evidence(claim, kept, canaries, runs), runs) for claim in claims]
    chapters: dict[str, list[str]] = {}
    for claim in claims:
        chapters.setdefault(claim.chapter, []).append(claim.id)
    return {"claims": rows, "chapters": chapters, "recorded": [_summary(r, canaries.get(r.name, {})) for r in kept]}


def _row(claim: Claim, evidence: Evidence | None, runs: Path) -> Json:
    result = judge(claim, evidence)
    return {
        **claim.model_dump(mode="json", exclude={"evidence", "not_run"}),
        "rule_words": rule_words(claim),
        **result._asdict(),
        "value": ours(evidence) if evidence else None,
        "interval": interval(evidence) if evidence and claim.dataset else None,
        "n_seeds": evidence.n_seeds if evidence else 0,
        "same_seeds": evidence.same_seeds if evidence else True,
        "evidence": {
            "source": evidence.source if evidence else None,
            "sweep": evidence.sweep if evidence else None,
            "keys": list(claim.evidence),
            "dataset_label": (evidence.dataset_label if claim.dataset else OWN_TABLE) if evidence else None,
            "profile": evidence.profile if evidence else None,
        },
        "column": comparability(claim, evidence) if evidence else None,
        "chapter_built": (runs / f"{claim.chapter}.ipynb").exists(),
        "hash": claim.hash,
    }


def _summary(record: Record, canaries: Mapping[str, Any]) -> Json:
    """What the scoreboard says about a sweep; no dates, no hosts."""
    lines = list(record.lines.values())
    seeds = Counter(point["evidence"] for point in record.points.values())
    reasons = {check["reason"] for key, check in canaries.items() if key in record.lines and not check["ok"]}
    return {
        "sweep": record.name,
        "profile": record.sweep.profile,
        "points": len(record.points),
        "recorded": len(lines),
        "seeds": sorted(set(seeds.values())),  # how many an experiment plans
        "datasets": sorted({line["dataset"]["label"] for line in lines}),
        "commits": sorted({line["commit"][:10] for line in lines}),
        "torch": sorted({line["versions"]["torch"] for line in lines}),
        "devices": sorted({line["device"] for line in lines}),
        "stale": sorted(reasons),
        "data": sorted({check["data"] for key, check in canaries.items() if key in record.lines}),
    }


# results/verdicts.json


def verdicts(computed: Json) -> Json:
    """{claim id: {entry, verdict, value, evidence}}, what `make verdicts` commits; floats with 6 digits."""
    return {
        row["id"]: {
            "entry": row["hash"],
            "verdict": row["verdict"],
            "value": None if row["value"] is None else round(row["value"], 6),
            "evidence": row["evidence"],
        }
        for row in computed["claims"]
    }


def compare(committed: Json, computed: Json) -> tuple[list[str], list[str]]:
    """(changed, notes), one line a claim: verdicts that are not those of the committed file, and what is only said."""
    changed, notes = [], []
    now = verdicts(computed)
    borderline = {row["id"] for row in computed["claims"] if row["borderline"]}
    chapter_of = {row["id"]: row["chapter"] for row in computed["claims"]}
    label_of = {
        row["chapter"]: row["evidence"]["dataset_label"]
        for row in computed["claims"]
        if row["evidence"]["source"] == "book" and row["evidence"]["dataset_label"] != OWN_TABLE
    }
    for name in sorted(committed.keys() | now.keys()):
        old, new = committed.get(name), now.get(name)
        if old is None or new is None:
            changed.append(f"{name}: {'new' if old is None else 'no longer a claim'}, run make verdicts")
        elif old["entry"] != new["entry"]:
            changed.append(f"{name}: its entry changed, run make verdicts")
        elif labels := _other_data(old, new, label_of.get(chapter_of[name])):
            notes.append(f"{name}: skipped, judged on {labels[0] or 'no data'} but here on {labels[1]}")
        elif old["verdict"] != new["verdict"]:
            line = f"{name}: was {old['verdict']!r} ({old['value']}), is {new['verdict']!r} ({new['value']})"
            (notes if name in borderline else changed).append(line + (", borderline" if name in borderline else ""))
    return changed, notes


def _other_data(old: Json, new: Json, label_of_chapter: str | None) -> tuple[str | None, str] | None:
    """The labels of the old and the new evidence where they differ, else None.

    Evidence that is gone is no other data, unless the chapter itself ran on other data here.
    """
    before, now = (side["evidence"]["dataset_label"] for side in (old, new))
    if before is not None and now is None:
        now = label_of_chapter
    return (before, now) if now is not None and before != now else None


def _read_json(path: Path, how: str) -> Json:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClaimsError(f"{path} does not exist: {how}") from None
    except json.JSONDecodeError as error:
        raise ClaimsError(f"{path} is not whole JSON ({error}): {how}") from None


def _write_json(path: Path, value: Json) -> None:
    write_by_rename(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.claims", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("compute", help="judge every claim by the runs at hand")
    make.add_argument("--runs", type=Path, default=Path("build/runs/book"))
    make.add_argument("--recorded", type=Path, default=Path("results/recorded"))
    make.add_argument("--canaries", type=Path, default=Path("build/canaries.json"))
    make.add_argument("--out", type=Path, default=Path("build/claims.json"))
    for name, text in (("write", "write the verdicts that are committed"), ("check", "compare with them")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--claims", type=Path, default=Path("build/claims.json"))
        command.add_argument("--verdicts", type=Path, default=Path("results/verdicts.json"))
    options = parser.parse_args(arguments)
    try:
        return {"compute": _compute, "write": _write, "check": _check}[options.command](options)
    except (ClaimsError, SweepError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _compute(options: argparse.Namespace) -> int:
    canaries = _read_json(options.canaries, "python -m adlib.companion.sweep canaries OUT writes it")
    _write_json(options.out, compute(load(), options.runs, options.recorded, canaries))
    return 0


def _write(options: argparse.Namespace) -> int:
    _write_json(options.verdicts, verdicts(_read_json(options.claims, "make book writes it")))
    return 0


def _check(options: argparse.Namespace) -> int:
    committed = _read_json(options.verdicts, "make verdicts writes it, from the claims that make book computed")
    changed, notes = compare(committed, _read_json(options.claims, "make book writes it"))
    for line in notes + changed:
        print(line)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
