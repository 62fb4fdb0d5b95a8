"""axe-core in a page: what of it somebody cannot see, hear or reach."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from tests.browser import Page

RUN = """
const [done] = [...arguments].slice(-1);
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
axe.run(document, {runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]}).then(
  (found) => done(found), (error) => done({error: String(error)}));
"""
BAD = {"serious", "critical"}


@functools.cache
def source() -> str:
    """axe-core itself, out of the package that carries it."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[dict[str, Any]]:
    """The serious and critical violations of WCAG 2.1 A and AA, each with where it is."""
    page.driver.execute_script(source())
    page.driver.set_script_timeout(60)
    found = page.driver.execute_async_script(RUN)
    assert "error" not in found, found
    assert found["testEngine"]["name"] == "axe-core"
    return [
        {
            "rule": each["id"],
            "where": [node["target"] for node in each["nodes"]],
            "why": each["nodes"][0]["failureSummary"],
        }
        for each in found["violations"]
        if each["impact"] in BAD
    ]
