"""The documentation says what the program does: settings, options, targets and links."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dinsight.settings import Settings
from simulator import options

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DECISIONS = ROOT / "docs" / "decisions.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

LONG_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
SIMULATOR = re.compile(r"(?:python -m simulator|dinsight-simulator)\b([^\n`]*)")


# --- what the program has ---


def parser_of(parse: Callable[[Sequence[str]], Any]) -> argparse.ArgumentParser:
    """The parser that a function of `simulator.options` makes, caught as it is put to use."""
    caught: list[argparse.ArgumentParser] = []

    class Caught(Exception):
        pass

    def catch(self: argparse.ArgumentParser, *_: object) -> None:
        caught.append(self)
        raise Caught

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", catch)
        with pytest.raises(Caught):
            parse([])
    return caught[0]


STREAM, SAMPLE = parser_of(options.parse_stream), parser_of(options.parse_sample)
EXPORT = parser_of(options.parse_export)
COMMANDS = {"sample": SAMPLE, "export": EXPORT}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {"--help", *LONG_OPTION.findall(parser.format_usage())}


def targets() -> set[str]:
    """The targets of the Makefile that have a plain name."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


# --- what the documentation says ---


def code(text: str) -> list[str]:
    """Blocks of code, continued lines joined, and pieces of code inside lines."""
    fence = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    blocks = [block.replace("\\\n", " ") for block in fence.findall(text)]
    return [*blocks, *re.findall(r"`([^`\n]+)`", fence.sub("", text))]


def table(text: str, first: str) -> dict[str, str]:
    """First and second cell of the rows of the table whose head begins with `first`."""
    _, found, rest = text.partition(f"| {first} | default |")
    assert found, f"there is no table of {first}s"
    rows = rest.split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    return {row[1].strip("`"): row[2].strip("`") for row in cells}


def unknown_targets(text: str) -> set[str]:
    named = (re.findall(r"\bmake ([a-z][a-z-]*)", piece) for piece in code(text))
    return {target for found in named for target in found} - targets()


def unknown_options(text: str) -> set[str]:
    """What follows a simulator command, in code, and is no option of it."""
    unknown: set[str] = set()
    for words in (words for piece in code(text) for words in SIMULATOR.findall(piece)):
        parser = COMMANDS.get("".join(words.split()[:1]), STREAM)
        unknown |= set(LONG_OPTION.findall(words)) - options_of(parser)
    return unknown


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> set[str]:
    """The relative links and images that point nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return {link for link in links if "://" not in link and not leads_somewhere(page, link)}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


# --- held against each other ---


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    expected = {name: str(default) for name, default in Settings.names().items()}
    assert table(README.read_text(), "setting") == expected


def test_every_simulator_option_stands_in_the_readme_with_its_default() -> None:
    said = {row.split()[0]: default for row, default in table(README.read_text(), "option").items()}
    assert set(said) == options_of(STREAM)
    for option, default in said.items():
        value = STREAM.get_default(option.removeprefix("--").replace("-", "_"))
        if value not in {None, argparse.SUPPRESS} and not isinstance(value, bool):
            assert default == str(value), option


@pytest.mark.parametrize("option", sorted(options_of(SAMPLE)))
def test_every_option_of_sample_stands_in_the_readme(option: str) -> None:
    assert option in LONG_OPTION.findall(README.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text()
    assert (unknown_targets(text), unknown_options(text)) == (set(), set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text()) == set()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["test"]
    names = {re.split(r"[<>=!~; ]", requirement, maxsplit=1)[0] for requirement in needed}
    assert names - set(code(DECISIONS.read_text())) == set()


def test_what_does_not_exist_is_noticed() -> None:
    text = (
        "`make run`, `make coffee` and\n```sh\npython -m simulator --delay 0 \\\n  --faster\n"
        "python -m simulator sample --delay 1\n```\n[no page](nowhere.md), [no heading](#nowhere)\n"
    )
    assert unknown_targets(text) == {"coffee"}
    assert unknown_options(text) == {"--faster", "--delay"}
    assert broken_links(README, text) == {"nowhere.md", "#nowhere"}
