"""Sphinx extension of the book: claims tables, downloads, launch buttons, and cures for defects of the stock theme.

Reads ``claims.json`` and ``assignments.json`` beside ``conf.py``; the files to download are put into
``vendor/downloads`` by the stage.
"""

import json
import os
import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

from adlib.companion.claims import PAPERS, VERDICTS
from adlib.companion.pages import DASH, evidence_text, number

CHAPTER = re.compile(r"notebooks/\d\d-[a-z0-9-]+")

# --- claims ---------------------------------------------------------------------------------------------------------


def read_claims(env):
    """Claims of the stage in the order of the registry, as {id: claim}; empty if nothing has been computed."""
    path = Path(env.srcdir, "claims.json")
    env.note_dependency(str(path))
    if not path.is_file():
        return {}
    return {claim["id"]: claim for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]}


def value_text(claim):
    """Our value with its interval, for example ``0.712 [0.690, 0.731]``."""
    if claim["value"] is None or not claim["interval"]:
        return number(claim["value"])
    low, high = claim["interval"]
    return f"{number(claim['value'])} [{number(low)}, {number(high)}]"


def paper_text(claim):
    """The paper's value with its spread, for example ``0.646`` or ``0.993 ± 0.001``."""
    spread = claim["paper_spread"]
    return number(claim["paper_value"]) + (f" ± {number(spread)}" if spread is not None else "")


def rule(claim):
    """The rule that was written down before the run; its reason opens on a click."""
    method = PAPERS[claim["paper"]].partition("(")[2].rstrip(")")  # a chapter may judge several papers
    words = f"{method}, {claim['place']}. Rule: {claim['rule_words']} ({claim['column'] or claim['comparability']})."
    why = f'<details class="small"><summary>Why this rule</summary><p>{escape(claim["why"])}</p></details>'
    return [*small(words), nodes.raw("", why, format="html")]


def badge(claim):
    """The verdict as a coloured word; borderline is said in words too."""
    verdict = claim["verdict"]
    badge = nodes.inline("", verdict, classes=["verdict", "verdict-" + verdict.replace(" ", "-")])
    return [badge, nodes.inline("", " borderline", classes=["small"])] if claim["borderline"] else [badge]


def small(text):
    """A list with one paragraph in small print; empty without text."""
    return [nodes.paragraph("", text, classes=["small"])] if text else []


def table(header, rows, widths, classes):
    """A docutils table; header is a list of words, rows hold lists of nodes, one list a cell; ids name the rows."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.row("", *[nodes.entry("", nodes.paragraph("", word)) for word in header])
    body = [nodes.row("", *[nodes.entry("", *cell) for cell in cells], ids=[row_id] if row_id else [])
            for row_id, cells in rows]
    group += [nodes.thead("", head), nodes.tbody("", *body)]
    return nodes.table("", group, classes=classes)


class Claims(SphinxDirective):
    """``{claims} 01-geom-intuition``: that chapter's claims; or claim ids, for only those, in the order given."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        claims = read_claims(self.env)
        chosen = []
        for name in self.arguments[0].split():
            of_chapter = [claim for claim in claims.values() if claim["chapter"] == name]
            if not of_chapter and name not in claims:
                if claims:
                    raise self.error(f"no claim and no chapter with claims is called {name!r}")
                return [nodes.paragraph("", "No claim has been computed for this build.")]
            chosen += of_chapter or [claims[name]]
        return [table(["Claim", "Paper", "Ours", "Verdict"], [self.row(claim) for claim in chosen],
                      [46, 14, 24, 16], ["claims"])]

    def row(self, claim):
        says, messages = self.parse_inline(claim["says"], lineno=self.lineno)
        first = [nodes.paragraph("", "", *says), *messages, *rule(claim)]
        ours = [nodes.paragraph("", value_text(claim)), *small(evidence_text(claim))]
        verdict = [nodes.paragraph("", "", *badge(claim)), *small(claim["reason"])]
        # The first table on a page that shows a claim gives it its anchor.
        anchor = f"claim-{claim['id']}"
        taken = self.env.temp_data.setdefault("claim_anchors", set())
        row_id = None if anchor in taken else anchor
        taken.add(anchor)
        return row_id, [first, [nodes.paragraph("", paper_text(claim))], ours, verdict]


class ClaimsSummary(SphinxDirective):
    """``{claims-summary}``: how many claims got which verdict."""

    def run(self):
        claims = list(read_claims(self.env).values())
        if not claims:
            return [nodes.paragraph("", "No claim has been computed for this build.")]
        rows = []
        for verdict in VERDICTS:
            found = sum(claim["verdict"] == verdict for claim in claims)
            if found:
                word = badge({"verdict": verdict, "borderline": False})
                rows.append((None, [[nodes.paragraph("", "", *word)], [nodes.paragraph("", str(found))]]))
        return [table(["Verdict", f"Claims ({len(claims)} so far)"], rows, [60, 40], ["claims-summary"])]


class ClaimNumber(SphinxRole):
    """``{claim}`id field```, field ``value``, ``paper`` or ``verdict``: a number of the registry inside a sentence."""

    def run(self):
        name, _, field = self.text.partition(" ")
        show = {"value": value_text, "paper": paper_text, "verdict": lambda claim: claim["verdict"]}
        claims = read_claims(self.env)
        if field not in show or (claims and name not in claims):
            message = f"{{claim}}`{self.text}`: expected a claim id and one of {', '.join(show)}"
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [nodes.inline("", show[field](claims[name]) if claims else "(not computed)")], []


# --- assignments ----------------------------------------------------------------------------------------------------


class Assignments(SphinxDirective):
    """``{assignments}``: what each assignment holds, and its student notebook, as ``handout.write`` found it."""

    def run(self):
        path = Path(self.env.srcdir, "assignments.json")
        self.env.note_dependency(str(path))
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        if not told:
            return [nodes.paragraph("", "No assignment is a part of this build.")]
        header = ["Assignment", "Questions", "Points", "Minutes", "Student notebook"]
        return [table(header, [(None, self.row(one)) for one in told], [40, 20, 10, 14, 16], ["assignments"])]

    def row(self, one):
        questions = f"{one['coded']} coded, {one['written']} written"
        words = [one["title"], questions, str(one["points"]), one["minutes"] or DASH]
        up = "../" * self.env.docname.count("/")
        link = f'<a href="{up}downloads/assignments/{one["slug"]}.ipynb" download>{one["slug"]}.ipynb</a>'
        return [*([nodes.paragraph("", word)] for word in words), [nodes.raw("", f"<p>{link}</p>", format="html")]]


# --- launch buttons -------------------------------------------------------------------------------------------------


def repository_url():
    """$ADLIB_REPOSITORY_URL without a trailing slash or .git, or ""."""
    return os.environ.get("ADLIB_REPOSITORY_URL", "").rstrip("/").removesuffix(".git")


def set_launch_buttons(app, config):
    """Binder and Colab buttons that open the tracked notebook; none without a repository to open it from."""
    url = repository_url()
    if url:
        if not re.fullmatch(r"https://(github|gitlab)\.com/[\w.-]+/[\w.-]+", url):
            raise ExtensionError(f"ADLIB_REPOSITORY_URL={url!r}: expected https://github.com/OWNER/NAME or gitlab.com")
        config.html_theme_options["repository_url"] = url
        config.html_theme_options["repository_branch"] = os.environ.get("ADLIB_REPOSITORY_BRANCH") or "main"
        buttons = {"notebook_interface": "classic", "binderhub_url": "https://mybinder.org"}
        if "github.com" in url:  # Colab opens notebooks from GitHub only
            buttons["colab_url"] = "https://colab.research.google.com"
        config.html_theme_options["launch_buttons"] = buttons


# --- downloads ------------------------------------------------------------------------------------------------------


def chapter_files(pagename):
    """The links of one chapter as (words, path in the site)."""
    slug = pagename.removeprefix("notebooks/")
    return [
        ("notebook", f"downloads/{slug}.clean.ipynb"),
        ("notebook with its outputs", f"_sources/{pagename}.ipynb"),
        ("results (JSON)", f"downloads/{slug}.results.json"),
    ]


def files_line(pagename, pathto):
    """One line of download links for a chapter page; on a published book also what Colab needs first."""
    links = [f'<a href="{escape(pathto(path, 1))}" download="{path.rsplit("/", 1)[1]}">{words}</a>'
             for words, path in chapter_files(pagename)]
    line = f'<p class="chapter-files">Download: {" · ".join(links)}</p>'
    if "github.com" in repository_url():
        install = f'%pip install -q "adlib-companion[book] @ git+{repository_url()}"'
        line += f'<p class="chapter-files">On Colab, run this cell first: <code>{escape(install)}</code></p>'
    return line


# --- cures for the stock theme --------------------------------------------------------------------------------------


def is_thebe(file):
    """The book loads sphinx-thebe always, which emits its script twice: a page error on every page. Nothing uses it."""
    return "sphinx-thebe" in str(file.filename or "") or "THEBE_JS_URL" in file.attributes.get("body", "")


def fix_page(app, pagename, templatename, context, doctree):
    for key in ("script_files", "css_files"):
        context[key] = [file for file in context[key] if not is_thebe(file)]
    body = context.get("body")
    if body is None:
        return
    # docutils gives its citation list roles that ARIA deprecates or forbids there.
    body = re.sub(r' role="(list|listitem)"(?= class="citation)|(?<=class="citation-list") role="list"', "", body)
    body = body.replace(' role="doc-biblioentry"', "")
    # A table may have nothing to say above its first column; a header cell may not.
    body = re.sub(r"<th([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>", r"<td\1></td>", body)
    if CHAPTER.fullmatch(pagename):
        body = body.replace("</h1>", "</h1>" + files_line(pagename, context["pathto"]), 1)
    context["body"] = body


def fix_files(app, exception):
    """Last pass over the finished site: things that no event or template of Sphinx reaches."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        old = page.read_text(encoding="utf-8")
        # Font preloads are blocked under file://; the icons come from the web font, so 1.5 MB of icon script go.
        new = re.sub(r'<link rel="preload" as="font"[^>]*>', "", old)
        new = re.sub(r'<script[^>]*fontawesome[^>]*></script>', "", new)
        new = re.sub(r'<link rel="preload" as="script" [^>]*fontawesome[^>]*>', "", new)
        # A box that scrolls must be reachable by keyboard; the theme sees to code and outputs, not to tables.
        box = '<div class="pst-scrollable-table-container"'
        new = new.replace(box, box + ' tabindex="0" role="group" aria-label="Table"')
        # Browsers open notebooks as text unless told to save them.
        new = re.sub(r'<a href="([^"]*_sources/[^"]*)" target="_blank"', r'<a href="\1" download', new)
        if new != old:
            page.write_text(new, encoding="utf-8")
    static = Path(app.outdir, "_static")
    for pattern in ("*.map", "fontawesome.js", "*webpack-macros.html"):
        for unused in static.rglob(pattern):
            unused.unlink()


# --- the package page ---------------------------------------------------------------------------------------------


def escape_docstring(app, what, name, obj, options, lines):
    """Our docstrings are plain text: `offset_`, |T| and *args are names and formulas there, not reStructuredText."""
    for i, line in enumerate(lines):
        parts = re.split(r"(:\w+:`[^`]*`|``.*?``|`[^`]*`)", line)  # odd parts are quoted
        parts[::2] = [re.sub(r"(?<=\w)_(?!\w)|[|*]", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def skip_member(app, what, name, obj, skip, options):
    """Fields of a named tuple carry a docstring that nobody wrote."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else skip


def forget_modules_without_source(app, env):
    """viewcode lists modules that it found no source for, such as those of named tuples, and links to nothing."""
    modules = getattr(env, "_viewcode_modules", {})
    for name in [name for name, entry in modules.items() if not entry]:
        del modules[name]
    return []


def setup(app):
    app.add_directive("claims", Claims)
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_directive("assignments", Assignments)
    app.add_role("claim", ClaimNumber())
    app.connect("config-inited", set_launch_buttons)
    app.connect("autodoc-process-docstring", escape_docstring)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("env-updated", forget_modules_without_source)
    app.connect("html-page-context", fix_page, priority=900)
    app.connect("build-finished", fix_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
