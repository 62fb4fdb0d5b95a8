"""Every fault between a sensor and the page has a test, and the table of them names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
TABLE = dict(ROW.findall((ROOT / "docs" / "faults.md").read_text()))


def test_the_table_is_of_all_faults_in_order() -> None:
    assert list(TABLE) == [str(number) for number in range(1, 42)]


@pytest.mark.parametrize("number", TABLE)
def test_a_fault_names_tests_that_exist(number: str) -> None:
    named = TEST.findall(TABLE[number])
    assert named
    for file, test in named:
        source = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^def {test}\(", source, re.MULTILINE), f"{file} has no {test}"
