"""What every chapter keeps: its pair, its parameters, its presets, its receipt, its imports. No chapter is run."""

import ast
import json
import re
import subprocess
import sys
import tokenize
from io import StringIO
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

from adlib.companion import claims, pairs
from adlib.companion.canonical import check_source, code_cells
from adlib.companion.imports import closure
from adlib.companion.params import ChapterParams

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PRESETS = sorted((NOTEBOOKS / "presets").glob("*/*.yml"))


@pytest.fixture
def notebook(slug):
    return nbformat.read(NOTEBOOKS / f"{slug}.ipynb", as_version=4)


@pytest.fixture
def settings(notebook):
    return model_and_defaults(notebook)


def model_and_defaults(notebook):
    """(the model of the parameters, their defaults): the two cells, the second down to its class."""
    cells = code_cells(notebook)
    first = next(n for n, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    defaults: dict = {}
    exec(cells[first].source, defaults)
    names = set(defaults) - {"__builtins__", "__annotations__"}
    definitions = []
    for node in ast.parse(cells[first + 1].source).body:
        definitions.append(node)
        if isinstance(node, ast.ClassDef):  # what follows uses the parameters
            break
    namespace: dict = {"__name__": "chapter"}
    exec(compile(ast.Module(definitions, []), "model", "exec"), namespace)
    classes = [value for value in namespace.values() if isinstance(value, type)]
    (model,) = [cls for cls in classes if issubclass(cls, ChapterParams) and cls is not ChapterParams]
    return model, {name: defaults[name] for name in names}


def test_there_are_chapters_and_no_pair_has_drifted():
    assert list(NOTEBOOKS.glob("[0-9][0-9]-*.py"))
    assert pairs.complaint(NOTEBOOKS) is None


def test_no_outputs_are_kept(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_papermill_finds_language_and_kernel(notebook):
    assert notebook.metadata.kernelspec.name == "python3" and notebook.metadata.kernelspec.language == "python"


def test_it_begins_with_its_title(notebook):
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")


def test_the_parameters_cell_sets_what_the_model_asks_for(notebook, settings):
    check_source(notebook)
    model, defaults = settings
    assert set(defaults) == set(model.model_fields) >= {"threads", "device"}
    assert (defaults["threads"], defaults["device"]) == (1, "auto")
    assert not any(field.default_factory or not field.is_required() for field in model.model_fields.values())
    model.check(defaults)


def test_parameters_are_plain_annotated_literals_with_a_comment(notebook):
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.AnnAssign) and node.lineno == node.end_lineno, ast.unparse(node)
        assert ast.unparse(node.annotation) in {"str", "int", "float", "bool", "list", "dict"}
        assert type(ast.literal_eval(node.value)).__name__ == node.annotation.id
    tokens = tokenize.generate_tokens(StringIO(cell.source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    assert not [comment for comment in comments if "=" in comment], "papermill's help loses such a parameter"


def test_papermill_helps_with_every_parameter(slug, settings):
    _, defaults = settings
    seen = papermill.inspect_notebook(str(NOTEBOOKS / f"{slug}.ipynb"))
    assert set(seen) == set(defaults)
    for name, about in seen.items():
        assert about["help"].strip() and about["inferred_type_name"] == type(defaults[name]).__name__
        assert ast.literal_eval(about["default"]) == defaults[name]


def test_chapters_have_a_smoke_and_a_paper_preset(slug):
    if slug.startswith("00-"):
        return  # a page about the package, of one size
    for profile in ("smoke", "paper"):
        assert (NOTEBOOKS / "presets" / profile / f"{slug}.yml").is_file()


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_presets_hold_good_values(path):
    assert path.parent.name in {"smoke", "paper"}, "the book profile is the defaults in the notebook"
    model, defaults = model_and_defaults(nbformat.read(NOTEBOOKS / f"{path.stem}.ipynb", as_version=4))
    preset = yaml.safe_load(path.read_text())
    assert preset
    model.check(defaults | preset)


def test_claims_that_a_chapter_shows_exist(slug):
    text = (NOTEBOOKS / f"{slug}.py").read_text()
    shown = " ".join(re.findall(r"\{claims\} (.+)", text) + re.findall(r"\{claim\}`(\S+)", text)).split()
    assert set(shown) <= {claim.id for claim in claims.load()} | {slug}


def test_it_ends_with_a_quiz_and_with_exercises_that_have_their_solutions(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    before, exercises = text.split("\n## Exercises\n")
    check = before.split("\n## Check yourself\n")[1]
    (quiz,) = re.findall(r"^```\{quiz\}\n(.*?)^```$", check, re.M | re.S)
    assert 2 <= quiz.count("- question: ") <= 4
    labels = re.findall(r"^`+\{exercise\} \S.*\n:label: (ex-\S+)$", exercises, re.M)
    solutions = re.findall(r"^`+\{solution\} (\S+)\n:label: (\S+)\n:class: dropdown$", exercises, re.M)
    assert 3 <= len(set(labels)) == exercises.count("{exercise}") == exercises.count("{solution}")
    assert solutions == [(label, label.replace("ex-", "sol-", 1)) for label in labels]


def test_the_last_cell_records_under_the_name_of_the_chapter(slug, notebook):
    last = notebook.cells[-1]
    assert last.cell_type == "code" and "remove-cell" in last.metadata.get("tags", [])
    calls = [node for node in ast.walk(ast.parse(last.source)) if isinstance(node, ast.Call)]
    (record,) = [call for call in calls if ast.unparse(call.func) in {"receipt.record", "record"}]
    assert ast.literal_eval(record.args[0]) == slug


def test_bare_parameters_are_not_used_after_the_check(notebook, settings):
    """Only the checked P.name: the bare name may hold a value that the model has converted."""
    model, _ = settings
    cells = code_cells(notebook)
    first = next(n for n, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    for cell in cells[first + 1 :]:
        tree = ast.parse(cell.source)
        stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        stored |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        assert not (loaded - stored) & set(model.model_fields), cell.source


def test_the_static_scan_finds_every_module_that_the_imports_bring_in(slug):
    tree = ast.parse(jupytext.writes(jupytext.read(NOTEBOOKS / f"{slug}.py"), fmt="py:percent"))
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    ask = "import json, sys\nprint(json.dumps({name: module.__file__ or '' for name, module in sys.modules.items()\n"
    ask += "    if name.split('.')[0] == 'adlib'}))"
    command = [sys.executable, "-c", "\n".join([*imports, ask])]
    loaded = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    files = [file for file in loaded.values() if file and not file.endswith("__init__.py")]
    modules = {Path(file).relative_to(ROOT).as_posix() for file in files}
    assert modules and modules <= set(closure(NOTEBOOKS / f"{slug}.py", ROOT))


def test_the_papers_numbers_in_chapter_01_are_those_of_the_registry():
    source = (NOTEBOOKS / "01-geom-intuition.py").read_text(encoding="utf-8")
    (literal,) = [
        node.value for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "PAPER"
    ]  # fmt: skip
    values = [c for c in claims.load() if c.chapter == "01-geom-intuition" and c.rule == "value"]
    registry = {c.evidence[0].split("/")[1]: c.paper_value for c in values}
    assert {f"auroc_{key}_dirichlet": value for key, value in ast.literal_eval(literal).items()} == registry
