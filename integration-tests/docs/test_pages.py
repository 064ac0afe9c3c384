"""Every command and snippet of README.md and docs/ runs; blocks.py says how. `pytest docs -k feeding` runs one page."""

import pathlib
import re
import subprocess
import tomllib

import blocks
import pages
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_runs(path):
    blocks.run_page(path)


def test_the_summary_lists_every_page():
    listed = (ROOT / "docs/SUMMARY.md").read_text()
    names = {path.name for path in PAGES[1:]} - {"SUMMARY.md"}
    assert {name for name in names if f"({name})" not in listed} == set()


def test_commands_within_the_text_exist():
    """Those in a line of text are not run, but they are there."""
    aliases = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["alias"]
    cargo = {*aliases, "build", "clippy", "fmt", "fuzz", "run", "test"}
    known = {}
    for path in PAGES:
        for command in re.findall(r"`((?:cargo|proscenium) [^`]+)`", path.read_text()):
            program, *words = [word for word in command.split() if not word.startswith("+")]
            if program == "cargo":
                assert words[0] in cargo, f"{path.name}: {command}"
            elif words[0].islower():
                name = tuple(words[:2] if words[0] in {"data", "key", "user"} else words[:1])
                if name not in known:
                    asked = subprocess.run([pages.BINARY, *name, "--help"], capture_output=True, text=True)
                    known[name] = asked.stdout if asked.returncode == 0 else None
                assert known[name], f"{path.name}: {command}"
                for flag in re.findall(r"--[a-z-]+", command):
                    assert flag in known[name], f"{path.name}: {command}"


def page(folder, text):
    path = folder / "page.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("```sh\nfalse\n```\n", "page.md:1: the sh block ends with 1"),
        ("one\n\n```sh\nfalse; true | cat no-such-file | true\n```\n", "page.md:3: "),
        ("```sh\ncurl 127.0.0.1:8080/api/v1/tables/none\n```\n", "404"),
        ("```python\nimport no_such_module\n```\n", "No module named"),
        ("```js\nthrow new Error('no');\n```\n", "ends with 1"),
        ("```toml\nlisten = 8080\n```\n", "is no configuration"),
        ("```json\n{\n```\n", "is no JSON"),
        ("```\nls\n```\n", "has the language ''"),
        ("```fish\nls\n```\n", "has the language 'fish'"),
        ("<!-- not run: why -->\n```sh\nls\n```\n", "needs a reason"),
        ("<!-- server -->\n```sh\nproscenium serve --no-such-flag\n```\n", "starts no server"),
        ("<!-- background -->\n```sh\ntrue\n```\n", "ends"),
        ("<!-- file: README.md -->\n```rust\nfn main() {}\n```\n", "is no part of README.md"),
        ("[here](no-such-file.md)\n", "there is no no-such-file.md"),
    ],
)
def test_a_page_that_does_not_work_fails(tmp_path, text, complaint):
    with pytest.raises(blocks.Wrong) as wrong:
        blocks.run_page(page(tmp_path, text))
    assert complaint in str(wrong.value)


def test_blocks_run_in_order_in_one_folder_beside_one_server(tmp_path):
    text = """
```sh
echo '{"id": 1}' > one.json
curl -X PUT --data-binary @one.json '127.0.0.1:8080/api/v1/tables/one?format=json'
```

```python
import pathlib
name = pathlib.Path("one.json").stem
```

```python
import urllib.request
assert urllib.request.urlopen(f"http://localhost:8080/api/v1/tables/{name}").read() == b'[{"id":1}]'
```

<!-- not run: it would never end -->
```sh
sleep infinity
```
"""
    assert blocks.run_page(page(tmp_path, text)) == 3
