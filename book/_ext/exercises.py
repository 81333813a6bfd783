"""Sphinx extension of the book: the ``{quiz}`` directive, and solutions of sphinx-exercise as native ``<details>``.

Both work from a file and without a script, and are printed in full; ``quiz.js`` adds the button that checks.
"""

import yaml
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import is_exercise_node, is_solution_node


class tag(nodes.General, nodes.TextElement):  # docutils' nodes have names in small letters
    """An HTML element: ``tag("", words, name="legend", html={...})``; ids and classes as of any node."""


EMPTY = {"input"}
BLOCKS = {"div", "fieldset", "legend", "details", "summary", "ul", "li"}


def visit_tag(translator, node):
    translator.body.append(translator.starttag(node, node["name"], "", **node.get("html", {})))


def depart_tag(translator, node):
    if node["name"] not in EMPTY:
        translator.body.append(f"</{node['name']}>" + "\n" * (node["name"] in BLOCKS))


def html(element, *children, classes=(), ids=(), **attributes):
    """A tag node; attributes in Python's spelling, for_ or aria_live."""
    attributes = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    return tag("", "", *children, name=element, html=attributes, classes=list(classes), ids=list(ids))


# --- quizzes --------------------------------------------------------------------------------------------------------


class Malformed(ValueError):
    """What is wrong with a quiz, in one line."""


def read_quiz(text):
    """The questions of a quiz's YAML, as [{question, answers: [{text, right, why}]}]; raises Malformed."""
    try:
        questions = yaml.load(text, Loader=yaml.BaseLoader)  # words alone: Yes and 0.5 need no quotes
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1} of the quiz" if mark else ""
        raise Malformed(f"the body is no YAML: {getattr(error, 'problem', None) or 'unreadable'}{place}") from None
    if not isinstance(questions, list) or not questions:
        raise Malformed("the body must be a list of questions, each with '- question:' and 'answers:'")
    return [read_question(number, question) for number, question in enumerate(questions, 1)]


def read_question(number, question):
    where = f"question {number}"
    fields(where, question, {"question", "answers"})
    words(where, question, "question")
    where += f" ({question['question'][:50].strip()})"
    answers = question["answers"]
    if not isinstance(answers, list) or len(answers) < 2:
        raise Malformed(f"{where}: answers must be a list of two or more")
    for letter, answer in zip("abcdefghijklmnopqrstuvwxyz", answers, strict=False):
        place = f"{where}, answer {letter}"
        fields(place, answer, {"text", "why"}, {"right"})
        words(place, answer, "text")
        words(place, answer, "why")
        if answer.setdefault("right", "false") not in ("true", "false"):
            raise Malformed(f"{place}: right must be true or false, not {answer['right']!r}")
        answer["right"] = answer["right"] == "true"
    if not any(answer["right"] for answer in answers):
        raise Malformed(f"{where}: no answer is right")
    if all(answer["right"] for answer in answers):
        raise Malformed(f"{where}: every answer is right")
    return question


def fields(where, entry, needed, optional=frozenset()):
    if not isinstance(entry, dict):
        raise Malformed(f"{where}: must have {' and '.join(sorted(needed))}, not be {str(entry)[:40]!r}")
    if missing := sorted(needed - entry.keys()):
        raise Malformed(f"{where}: {missing[0]} is missing")
    if unknown := sorted(map(str, entry.keys() - needed - optional)):
        raise Malformed(f"{where}: {unknown[0]!r} is unknown; it may have {', '.join(sorted(needed | optional))}")


def words(where, entry, key):
    if not isinstance(entry[key], str) or not entry[key].strip():
        raise Malformed(f"{where}: {key} must be words, not {entry[key]!r}")


class Quiz(SphinxDirective):
    """``{quiz}``: questions, answers to choose from, and for each answer why it is right or wrong.

    Without a script the answers stand below each question, on a click.
    """

    has_content = True

    def run(self):
        try:
            questions = read_quiz("\n".join(self.content))
        except Malformed as error:
            raise self.error(f"quiz on {self.env.docname}: {error}") from None
        name = f"quiz-{self.env.new_serialno('quiz') + 1}"  # counted anew on every page
        self.messages = []
        shown = [self.question(f"{name}-{i}", question) for i, question in enumerate(questions, 1)]
        return [html("div", *shown, classes=["quiz"], ids=[name]), *self.messages]

    def inline(self, text):
        found, messages = self.parse_inline(text.strip(), lineno=self.lineno)
        self.messages += messages
        return found

    def question(self, name, question):
        several = sum(answer["right"] for answer in question["answers"]) > 1
        hint = [html("span", nodes.Text(" Choose all that are right."), classes=["quiz-hint"])] if several else []
        choices, key = [], []
        for i, answer in enumerate(question["answers"], 1):
            kind = "checkbox" if several else "radio"
            box = html("input", type=kind, name=name, value=str(i), ids=[f"{name}-{i}"])
            label = html("label", *self.inline(answer["text"]), for_=f"{name}-{i}")
            choices.append(html("div", box, label, classes=["quiz-answer"]))
            verdict = html("strong", nodes.Text("Right: " if answer["right"] else "Wrong: "))
            said = html("span", *self.inline(answer["text"]), classes=["quiz-said"])
            why = html("span", nodes.Text(" "), *self.inline(answer["why"]), classes=["quiz-why"])
            right = {"data_right": "true"} if answer["right"] else {}
            key.append(html("li", verdict, said, why, **right))
        legend = html("legend", *self.inline(question["question"]), *hint)
        answers = html("details", html("summary", nodes.Text("Answers")), html("ul", *key), classes=["quiz-key"])
        return html("div", html("fieldset", legend, *choices), answers, classes=["quiz-question"])


# --- solutions ------------------------------------------------------------------------------------------------------


class SolutionsAsDetails(SphinxPostTransform):
    """A solution becomes a ``<details>``; its title, the ``<summary>``, holds no link.

    Runs after sphinx-exercise's own transforms, and takes away the section that these leave around each body, always
    with the same id.
    """

    default_priority = 30
    formats = ("html",)

    def run(self, **kwargs):
        for node in [n for n in self.document.findall() if is_exercise_node(n) or is_solution_node(n)]:
            title, *body = node.children
            inside = [part for child in body for part in (child if isinstance(child, nodes.section) else [child])]
            if not is_solution_node(node):
                node.children = []
                node += [title, *inside]
                continue
            summary = html("summary", *unlinked(title.children), classes=["admonition-title"])
            classes = ["admonition", *(name for name in node["classes"] if name != "dropdown")]
            node.parent.replace(node, html("details", summary, *inside, classes=classes, ids=node["ids"]))


def unlinked(children):
    """The children, each link replaced by its words: a summary is a control, and may hold no other."""
    return [part for child in children
            for part in (unlinked(child.children) if isinstance(child, nodes.reference) else [child])]


def setup(app):
    app.setup_extension("sphinx_exercise")
    app.add_node(tag, html=(visit_tag, depart_tag))
    app.add_directive("quiz", Quiz)
    app.add_post_transform(SolutionsAsDetails)
    app.add_js_file("quiz.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
