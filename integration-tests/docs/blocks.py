"""Runs the commands and snippets of a page of the documentation.

The blocks of a page run in order, in a folder of its own that has some files of trades, beside a server on free ports in
place of 8080 and 8815. Python blocks share a module, `sh` and `js` blocks are a process each, `toml` is a configuration
that a server must start with, `json` must parse. `text` and `mermaid` are no commands.

What cannot run says so in a comment on the line before the block:

    <!-- not run: reason -->          what it is, and why
    <!-- server -->                   it starts the server that the rest of the page uses
    <!-- background -->               it goes on until the page ends; it must print something first,
    <!-- background: table -->        or make this table
    <!-- file: path -->               it is a part of this file, which other tests run (an example in Rust runs here)

A block without a language that is known here fails, and so does a link to a file that does not exist.
"""

import dataclasses
import pathlib
import re
import tempfile
import textwrap

import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
MARKER = re.compile(r"<!-- (?P<kind>not run|server|background|file)(?:: (?P<text>[^\n]*?))? -->\n\s*$")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


class Wrong(Exception):
    """A block that fails, or cannot be run without saying so."""


@dataclasses.dataclass
class Block:
    language: str
    body: str
    line: int
    marker: str = ""
    text: str = ""


def blocks(text):
    for found in FENCE.finditer(text):
        marker = MARKER.search(text[: found.start()])
        yield Block(
            language=found["language"],
            body=textwrap.dedent(found["body"]),
            line=text.count("\n", 0, found.start()) + 1,
            marker=marker["kind"] if marker else "",
            text=(marker["text"] or "") if marker else "",
        )


def part_of(block):
    """The block is a part of a file that other tests run."""
    path = ROOT / block.text
    lines = lambda text: [line.strip() for line in text.splitlines() if line.strip()]
    whole, part = lines(path.read_text()), lines(block.body)
    if not any(whole[at : at + len(part)] == part for at in range(len(whole))):
        raise Wrong(f"is no part of {block.text}")


def run_block(page, block):
    """Whether it was run."""
    match block.marker, block.language:
        case "not run", _:
            if len(block.text) < 10:
                raise Wrong("`not run` needs a reason")
            return False
        case "file", _:
            part_of(block)
            if block.language == "rust":
                page.example(pathlib.Path(block.text).stem)
        case "server", "sh":
            page.restart(block.body)
        case "background", ("sh" | "js") as language:
            page.background(language, block.body, block.text)
        case "", "sh":
            page.shell(block.body)
        case "", "js":
            page.node(block.body)
        case "", "python":
            page.python(block.body)
        case "", "toml":
            page.configuration(block.body)
        case "", "json":
            page.json(block.body)
        case "", ("text" | "mermaid"):
            return False
        case marker, language:
            raise Wrong(f"has the language {language!r} and the marker {marker!r}: see {__file__}")
    return True


def check_links(path, text):
    for target in LINK.findall(re.sub(FENCE, "", text)):
        if not (path.parent / target).exists():
            raise Wrong(f"{path.name}: there is no {target}")


def run_page(path):
    """Runs a page's blocks and returns how many there were to run. The error names the line."""
    text = path.read_text()
    check_links(path, text)
    ran = 0
    with tempfile.TemporaryDirectory(prefix="proscenium-docs-") as folder, pages.Page(pathlib.Path(folder)) as page:
        for block in blocks(text):
            try:
                ran += run_block(page, block)
            except (Wrong, pages.Failed) as error:
                raise Wrong(f"{path.name}:{block.line}: the {block.language} block {error}") from None
    return ran
