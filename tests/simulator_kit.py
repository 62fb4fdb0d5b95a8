"""Files to send, and a run of the simulator in this process."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.options import StreamOptions
from simulator.retry import Backoff
from simulator.run import World, run
from simulator.stream import Pace
from tests.simulator_fake import EMAIL, PASSWORD, FakeServer

NAMES = ["time", "f_0", "f_1"]


def table(path: Path, rows: int, names: list[str] | None = None) -> list[dict[str, str]]:
    """Write a CSV of `rows` rows that can be told apart; gives them as the server stores them."""
    names = names or NAMES
    made = [
        {
            name: f"t{row}" if name == "time" else f"{row}.{place}0"
            for place, name in enumerate(names)
        }
        for row in range(rows)
    ]
    lines = [",".join(names), *(",".join(row.values()) for row in made)]
    path.write_text("\n".join(lines) + "\n")
    return made


@dataclass
class Played:
    """What a run in this process left behind."""

    status: int | None
    out: str
    err: str
    error: BaseException | None


QUICK = Backoff(first=0.01, cap=0.05, patience=5.0, first_contact=0.3)


def play(server: FakeServer, monitor: Path, backoff: Backoff = QUICK, **changes: Any) -> Played:
    """Run the simulator in this process, quickly; an error that ends it is given back."""
    given: dict[str, Any] = {
        "baseline_id": None if "baseline_file" in changes else 3,
        "monitor_file": monitor,
        "delay": 0.0,
        "api_url": server.url,
        "auth_email": EMAIL,
        "auth_password": PASSWORD,
    }
    out, err = io.StringIO(), io.StringIO()
    pace = changes.pop("pace", Pace(poll=0.01))
    world = World(out, err, changes.pop("environment", {}), backoff=backoff, pace=pace)
    status, error = None, None
    try:
        status = run(StreamOptions(**{**given, **changes}), world)
    except BaseException as caught:  # given back to be asserted on
        error = caught
    return Played(status, out.getvalue(), err.getvalue(), error)
