"""`make bench-map`: measure the maps on public machines, print the tables, write MAP.md."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks import cases, report, tables
from benchmarks.cases import Case
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.suite import Suite
from dinsight import maps

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
HEADING = "The map, measured"
ABOUT = (
    "Written by `make bench-map`; do not edit. Goals are those of the design's page on the map. "
    "Given: a public case as it is. Held out: derived from one (half of its baseline, one fault at "
    "a time), so that nothing is tuned to it. Sample machine: simulated, in every condition. "
    "Figures are AUROCs, shares and ratios of times; seconds depend on the machine."
)
log = logging.getLogger("bench-map")


@dataclass(frozen=True)
class Options:
    """What to measure: names of cases (all if empty), layouts, how thoroughly, and where to."""

    data: Path
    cases: tuple[str, ...]
    layouts: tuple[str, ...]
    quick: bool
    output: Path | None

    @property
    def whole(self) -> bool:
        """Whether everything is measured: only that is written to MAP.md unasked."""
        return not self.quick and not self.cases and self.layouts == maps.LAYOUTS

    @property
    def effort(self) -> Effort:
        return QUICK if self.quick else FULL


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.map", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of cases (%(default)s)")
    parser.add_argument("--case", action="append", default=[], help="only this folder; repeatable")
    parser.add_argument("--layout", action="append", choices=maps.LAYOUTS, help="repeatable")
    parser.add_argument("--quick", action="store_true", help="one case, fewer draws, no long fits")
    parser.add_argument("--output", type=Path, help="write the report here (a whole run: MAP.md)")
    given = parser.parse_args(arguments)
    layouts = tuple(name for name in maps.LAYOUTS if name in (given.layout or maps.LAYOUTS))
    return Options(given.data, tuple(given.case), layouts, given.quick, given.output)


def found_cases(options: Options) -> list[Case]:
    """The given cases; says which are asked for and not there."""
    folders = list(cases.folders(options.data))
    names = {folder.name for folder in folders}
    for name in options.cases:
        if name not in names:
            log.warning("Skipped: there is no case %s in %s.", name, options.data)
    if not folders:
        log.warning("Skipped: there are no cases in %s; see --data.", options.data)
    wanted = [folder for folder in folders if not options.cases or folder.name in options.cases]
    return [cases.read(folder) for folder in (wanted[:1] if options.quick else wanted)]


def held_out(given: Iterable[Case], options: Options) -> list[Case]:
    """What is derived from the given cases, and the sample machine on a whole run."""
    found = [] if options.quick else [each for case in given for each in cases.variants(case)]
    if options.whole:
        found += cases.sample_machines()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    options = parse(arguments)
    started, busy = time.perf_counter(), os.getloadavg()[0]
    given = found_cases(options)
    suite = Suite(options.layouts, options.effort, log.info)
    with ThreadPoolExecutor(1) as beside, threadpool_limits(1, user_api="blas"):
        apart = None if options.quick else suite.start_apart(beside)
        suite.measure([*given, *held_out(given, options)])
        if apart:
            suite.finish_apart(apart)
            suite.measure_reference_rows()
        suite.measure_rows()
    about = report.opening(datetime.now(UTC), busy, [ABOUT, _took(started)])
    shown = tables.all_tables(suite.results, maps.DEFAULT)
    report.show(HEADING, about, shown)
    output = options.output or (HERE / "MAP.md" if options.whole else None)
    if output:
        output.write_text(report.markdown(HEADING, about, shown))
        log.info("Written to %s.", output)
    return 0


def _took(started: float) -> str:
    return f"The whole run took {time.perf_counter() - started:.0f} seconds."


if __name__ == "__main__":
    raise SystemExit(main())
