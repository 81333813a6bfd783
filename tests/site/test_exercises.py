"""Exercises, solutions, quizzes in a browser: by keyboard, light and dark, on a phone, in print, without a script."""

import re

import pytest
from checks import Server, axe, broken_links, sideways, visit
from miniature import build

EXERCISES = """# A chapter

Before: {ref}`ex-one`, {ref}`ex-two`, [its solution](sol-one).

## Check yourself

```{quiz}
- question: Is $x^2$ "even"? See [the last part](#exercises) & `code <b>`.
  answers:
    - text: No
      why: It is a *parabola*.
    - text: "Yes: $x^2 = (-x)^2$"
      right: true
      why: The sign goes.
    - text: A very_long_name_that_does_not_fit_on_a_line_of_a_phone_and_must_be_broken_somewhere_in_the_middle
      why: Names decide nothing.
- question: Which are primes?
  answers:
    - {text: "2", right: true, why: Only it and 1 divide it.}
    - {text: "4", why: 2 divides it.}
    - {text: "5", right: true, why: Only it and 1 divide it.}
```

```{quiz}
- question: Another?
  answers:
    - {text: "Yes", right: true, why: It is.}
    - {text: "No", why: It is.}
```

## Exercises

```{exercise} The sign of $x$
:label: ex-one

Text with [a link](https://example.org/), `code` and

$$ x^2 $$
```

````{solution} ex-one
:label: sol-one
:class: dropdown

Because of `abs`, see [the quiz](#check-yourself).

```python
print(abs(-1))
```
````

```{exercise}
:label: ex-two

Another.
```

```{solution} ex-two
:label: sol-two
:class: dropdown

Its solution holds the word hippopotamus.
```
"""


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exercises")
    outcome = build(folder, EXERCISES)
    assert outcome.stderr == "" and outcome.returncode == 0
    return folder / "site"


@pytest.fixture(scope="module")
def address(mini):
    with Server(mini) as base:
        yield base


@pytest.fixture
def open_page(address, new_page):
    def make(**settings):
        page = new_page(**settings)
        assert visit(page, address, "page.html") == []
        return page

    return make


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, name, key="Tab"):
    """Presses Tab until an element of that name has the focus; links and formulas on the way are stops of their own."""
    for _ in range(5):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.tagName") == name:
            return
    pytest.fail(f"no {name} within five stops")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_right_answer_by_keyboard(open_page, scheme):
    page = open_page(scheme=scheme)
    feedback = page.locator("#quiz-1 .quiz-feedback").first
    assert feedback.get_attribute("aria-live") == "polite" and feedback.inner_text() == ""
    page.locator("#quiz-1 legend a").focus()
    tab_to(page, "INPUT")
    press(page, "Space")
    tab_to(page, "BUTTON")
    press(page, "Enter")
    assert feedback.inner_text().startswith("Not right.") and "It is a parabola." in feedback.inner_text()
    assert axe(page) == []
    tab_to(page, "INPUT", "Shift+Tab")
    press(page, "ArrowDown")
    assert feedback.inner_text() == "" and page.locator("#quiz-1-1-2").is_checked()
    tab_to(page, "BUTTON")
    press(page, "Space")
    assert feedback.inner_text().startswith("Right.") and "The sign goes." in feedback.inner_text()
    assert "parabola" not in feedback.inner_text()
    assert axe(page) == []
    tab_to(page, "SUMMARY")
    press(page, "Enter")  # all answers can now be read
    assert page.locator("#quiz-1 details").first.get_by_text("Names decide nothing.").is_visible()
    assert axe(page) == []


def test_several_right_answers_by_keyboard(open_page):
    page = open_page()
    page.locator("#quiz-1-2-1").focus()
    feedback = page.locator("#quiz-1 .quiz-feedback").nth(1)
    press(page, "Tab", "Tab", "Tab", "Enter")
    assert feedback.inner_text() == "Choose an answer first."
    page.locator("#quiz-1-2-1").focus()
    press(page, "Space", "Tab", "Space", "Tab", "Tab", "Enter")
    assert feedback.inner_text().startswith("Not yet: 1 of 2 right answers chosen, and 1 wrong.")
    page.locator("#quiz-1-2-2").focus()
    press(page, "Space", "Tab", "Space", "Tab", "Enter")
    assert feedback.inner_text().startswith("Right.")
    assert page.locator("#quiz-1 .quiz-feedback").first.inner_text() == ""
    assert page.locator("#quiz-2 .quiz-feedback").inner_text() == ""


def test_every_question_is_a_named_group(open_page):
    page = open_page()
    assert page.get_by_role("group", name="Which are primes? Choose all that are right.").count() == 1
    assert page.get_by_role("checkbox", name="4", exact=True).count() == 1
    assert page.get_by_role("radio", name="No", exact=True).count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_solution_opens_by_keyboard(open_page, scheme, width):
    page = open_page(scheme=scheme, width=width)
    assert page.locator("#sol-one summary").inner_text().startswith("Solution to Exercise 1.1 (The sign of ")
    word = page.get_by_text("hippopotamus")
    assert not word.is_visible()
    page.locator("#sol-two summary").focus()
    press(page, "Enter")
    assert word.is_visible()
    page.locator("#sol-one summary").focus()
    press(page, "Space")
    assert page.locator("#sol-one").get_attribute("open") is not None
    assert axe(page) == [] and sideways(page) == []


def test_it_works_from_a_file(mini, new_page):
    page = new_page(width=390, scheme="dark")
    assert visit(page, "file://", f"{mini.resolve()}/page.html") == []
    page.locator("#quiz-2-1-1").check()
    page.locator("#quiz-2 button").click()
    assert page.locator("#quiz-2 .quiz-feedback").inner_text().startswith("Right.")
    assert sideways(page) == [] and axe(page) == []


def test_without_a_script_the_answers_open_on_a_click(mini, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{mini.resolve()}/page.html")
    why = page.locator("#quiz-2").get_by_text("It is.").first
    assert not why.is_visible() and page.locator("#quiz-2 button").count() == 0
    page.locator("#quiz-2 summary").click()
    assert why.is_visible()
    page.locator("#sol-two summary").click()
    assert page.get_by_text("hippopotamus").is_visible()
    context.close()


def test_print_shows_answers_and_solutions(open_page):
    page = open_page()
    page.emulate_media(media="print")
    for selector in ("#quiz-1 .quiz-key li", "#quiz-2 .quiz-key li", "#sol-two p"):
        box = page.locator(selector).first
        assert box.evaluate("e => e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"), selector
        assert box.bounding_box()["height"] > 10, selector
    assert not page.locator(".quiz-check").first.is_visible()


def test_links_ids_and_numbers(mini):
    assert broken_links(mini) == []
    html = (mini / "page.html").read_text("utf-8")
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(set(ids)) == len(ids)
    assert "Exercise 1.1" in html and "Exercise 1.2" in html and "toggle-button" not in html


def test_search_finds_the_text_of_an_exercise_a_solution_and_a_quiz(address, new_page):
    page = new_page()
    for word in ("hippopotamus", "primes"):
        assert visit(page, address, f"search.html?q={word}") == []
        page.wait_for_selector("#search-results li a")


def test_two_builds_give_equal_pages(mini, tmp_path):
    assert build(tmp_path, EXERCISES).returncode == 0
    assert (tmp_path / "site/page.html").read_bytes() == (mini / "page.html").read_bytes()


def test_a_malformed_quiz_ends_the_build_in_one_line(tmp_path):
    question = "- question: Which?\n  answers: [{text: a, why: b}, {text: c, why: d}]"
    outcome = build(tmp_path, f"# A\n\n```{{quiz}}\n{question}\n```\n")
    assert outcome.returncode != 0
    (line,) = [line for line in outcome.stderr.splitlines() if "ERROR" in line]
    assert "page.md:3" in line and "quiz on page: question 1 (Which?): no answer is right" in line
