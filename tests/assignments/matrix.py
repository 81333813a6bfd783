"""`make test-grading`: every assignment's reference, blank notebook and wrong answers through Otter and nbgrader.

The points of questions 1, 2, ... are written to results/grading-matrix.json; 1 when a grader disagrees with the checks.
Takes about ten seconds for a submission and grader. Arguments are names of assignments; without, all.
"""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import graders

from adlib.companion import handout_nbgrader, handout_otter, handouts
from adlib.companion.assignments import Assignment, read
from adlib.companion.handout import MASTERS

OUT = Path("results/grading-matrix.json")
AT_ONCE = 4  # submissions in one call of nbgrader, which has a time limit here


def main(slugs: list[str]) -> int:
    record = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {"assignments": {}}
    record["versions"] = {name: version(name) for name in ("nbgrader", "otter-grader")}
    wrong = 0
    for path in sorted(MASTERS.glob("*.py")):
        if slugs and path.stem not in slugs:
            continue
        assignment = read(path)
        cases = through_both(assignment, handouts.outcomes_of(path))
        differ = [name for name, got in cases.items() if not got["checks"] == got["otter"] == got["nbgrader"]]
        wrong += len(differ)
        print(f"{path.stem}: {len(cases)} submissions, {', '.join(differ) or 'none'} graded differently", flush=True)
        record["assignments"] = dict(sorted((record["assignments"] | {path.stem: cases}).items()))
        OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


def through_both(assignment: Assignment, outcomes: handouts.Outcomes) -> dict[str, dict[str, str]]:
    """{case: {checks, otter, nbgrader: points of each question, in their order}}."""
    cases, slug = graders.cases(assignment), assignment.slug
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:
        otter, course = Path(temporary, "otter"), Path(temporary, "nbgrader")
        handout_otter.write(assignment, otter)
        handout_nbgrader.write(assignment, course)
        ours = pool.submit(by_nbgrader, course, slug, cases)
        theirs = {
            name: pool.submit(graders.otter, otter, slug, answers, Path(temporary, "runs", name))
            for name, answers in cases.items()
        }
        return {
            name: {
                "checks": in_order(graders.expected(assignment, name, outcomes)),
                "otter": in_order(theirs[name].result()),
                "nbgrader": in_order(ours.result()[name]),
            }
            for name in cases
        }


def in_order(points: graders.Points) -> str:
    return " ".join(f"{points[question]:g}" for question in sorted(points, key=lambda name: int(name[1:])))


def by_nbgrader(course: Path, slug: str, cases: dict[str, dict[str, str]]) -> dict[str, graders.Points]:
    names = list(cases)
    parts = [names[i : i + AT_ONCE] for i in range(0, len(names), AT_ONCE)]
    return {
        name: points
        for part in parts
        for name, points in graders.nbgrader(course, slug, {name: cases[name] for name in part}).items()
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
