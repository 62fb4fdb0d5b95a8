"""One run: every case through every measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from benchmarks import apart, measures, tennessee
from benchmarks.alarms import alarms, one_row
from benchmarks.cases import GIVEN, Case
from benchmarks.contenders import Contender, OurMap, PlainPca, UmapTransform
from benchmarks.effort import Effort
from benchmarks.pictures import picture
from benchmarks.results import Results
from benchmarks.speed import FitTime, machine, row_time
from benchmarks.trials import blown_up, shifts
from dinsight import maps


@dataclass(frozen=True)
class Fitted:
    """Every contender, fitted to one baseline, and how many seconds each took."""

    ours: list[OurMap]
    contenders: list[Contender]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Apart:
    """What is measured in other processes meanwhile."""

    fits: Future[list[FitTime]]
    wide: list[Future[apart.Wide]]


class Suite:
    """Measures case after case into `results`.

    Cases that share a baseline share the fits. What needs processes of its own (long fits, peak
    memory) runs beside the pictures, on another core; times of rows are taken when that is over.
    """

    def __init__(
        self, layouts: Sequence[str], effort: Effort, tell: Callable[[str], object]
    ) -> None:
        self.results = Results(tuple(layouts))
        self._effort, self._tell = effort, tell
        self._given: list[tuple[Case, Fitted]] = []

    def measure(self, cases: Iterable[Case]) -> None:
        """Pictures, alarms and trials of all cases."""
        for layout in self.results.layouts:
            maps.fit(machine(40, 6), layout)
        UmapTransform.fit(machine(40, 6)).place(machine(2, 6, seed=2))
        fits: dict[bytes, Fitted] = {}
        for case in cases:
            started = perf_counter()
            key = case.baseline.tobytes()
            if key in fits:
                self._measure(case, fits[key])
            else:
                fits[key] = self._fit(case)
                self._measure(case, fits[key])
                self._distrust(case, fits[key])
            self._tell(f"{case.name}: {perf_counter() - started:.0f} s")

    def _fit(self, case: Case) -> Fitted:
        fits: list[Callable[[], Contender]] = [
            partial(OurMap.fit, case.baseline, case.features, layout)
            for layout in self.results.layouts
        ]
        fits += [partial(PlainPca.fit, case.baseline), partial(UmapTransform.fit, case.baseline)]
        contenders, seconds = [], {}
        for fit in fits:
            started = perf_counter()
            contender = fit()
            seconds[contender.name] = perf_counter() - started
            contenders.append(contender)
        ours = [each for each in contenders if isinstance(each, OurMap)]
        return Fitted(ours, contenders, seconds)

    def _measure(self, case: Case, fitted: Fitted) -> None:
        results = self.results
        effort = self._effort if case.kind == GIVEN else self._effort.lighter()
        results.fits[case.name] = fitted.seconds
        results.pictures += [picture(case, each, effort) for each in fitted.contenders]
        results.alarms += alarms(case, fitted.ours)
        if (case.labels == measures.WORN).sum() == 1:
            results.one_row += [one_row(case, ours) for ours in fitted.ours]
        if case.kind == GIVEN:
            self._given.append((case, fitted))
            if tennessee.suits(case):
                results.missed += tennessee.missed(case)

    def _distrust(self, case: Case, fitted: Fitted) -> None:
        self.results.shifted += shifts(case, fitted.ours, self._effort)
        self.results.blown_up += [blown_up(case, ours) for ours in fitted.ours]

    def start_apart(self, beside: Executor) -> Apart:
        """Begin what needs processes of its own."""
        layouts = self.results.layouts
        fits = beside.submit(apart.fits, layouts)
        return Apart(fits, [beside.submit(apart.wide, layout) for layout in layouts])

    def finish_apart(self, running: Apart) -> None:
        """Wait for it."""
        self._tell("Waiting for the long fits ...")
        self.results.fit_times += running.fits.result()
        self.results.wide += [each.result() for each in running.wide]

    def measure_reference_rows(self) -> None:
        """Times a row for a baseline of the size that the goals are stated for."""
        rows, unseen = machine(*apart.REFERENCE), machine(1_000, apart.REFERENCE[1], seed=2)
        name = "{:,} × {:,}".format(*apart.REFERENCE)
        for layout in self.results.layouts:
            ours = OurMap(maps.fit(rows, layout))
            self.results.reference_rows.append(row_time(name, ours, unseen, self._effort))

    def measure_rows(self) -> None:
        """Times a row of every contender on the given cases."""
        for case, fitted in self._given:
            # A row that is in the baseline would be found, not placed.
            known = {row.tobytes() for row in case.baseline}
            fresh = np.array([row.tobytes() not in known for row in case.monitor])
            for contender in fitted.contenders:
                found = row_time(case.name, contender, case.monitor[fresh], self._effort)
                self.results.rows.append(found)
