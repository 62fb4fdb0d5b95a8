"""The examples in the docstrings of the map and of the density hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from dinsight import density, maps

MODULES = [density.__name__] + [
    f"{maps.__name__}.{module.name}" for module in pkgutil.iter_modules(maps.__path__)
]
# They join what has examples of its own, and are held by the tests of every layout.
WITHOUT_EXAMPLES = {"distance_layout", "model", "mspc_layout", "outward", "registry"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    if name.rsplit(".", 1)[-1] not in WITHOUT_EXAMPLES:
        assert result.attempted > 0
