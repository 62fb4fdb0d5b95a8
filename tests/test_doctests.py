"""The examples in the docstrings of our own modules hold; those of the map have theirs."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "api.rates",
        "api.schemas",
        "dinsight.diagnosis",
        "dinsight.minimap",
        "dinsight.models",
        "dinsight.readings.header",
        "dinsight.report_card",
        "dinsight.sensitivity",
        "layouts.baselines",
        "layouts.compare",
        "layouts.report_card",
        "layouts.streaming",
    ],
)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
