"""Webhooks while the processes that send them are killed: the sweep of the tests, in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.report import Table

SWEEP = "tests/test_faults_notices.py"


def outbox() -> Table:
    """Run the sweep; RuntimeError if it lost anything, or changed an id."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow", SWEEP]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(ended.stdout[-2_000:] + ended.stderr[-2_000:])
    (said,) = [line for line in ended.stdout.splitlines() if " kills: " in line]
    kills, told = said.strip(". ").split(" kills: ")
    note = (
        f"`pytest -m slow {SWEEP}`: processes that raise alerts and tell three receivers of them "
        "are killed one after another, at any moment; then one that lives sends what is left."
    )
    return Table("Webhook outbox", note, ("kills", "what came of it"), [(kills, told)])
