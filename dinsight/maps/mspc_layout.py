"""The `mspc` layout: Hotelling's T² against the squared prediction error, limits as lines."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.calibration import ALARM_SHARE, held_out_blocks, limit
from dinsight.maps.exact import Floats, grid, log, sum_in_order
from dinsight.maps.layouts import Evidence, Guide
from dinsight.maps.mspc import held_out_statistics

ROWS_A_COMPONENT = 5
FLOOR = 0.1  # of the limit: far below it the axes are linear, so that nothing is at minus infinity


class MspcLayout:
    """x is the logarithm of T² and y that of SPE, each over its limit.

    A figure v with limit L is drawn at log((v / L + 0.1) / 1.1): 0 at the limit, -2.4 at v = 0,
    and beyond the limit the natural logarithm of v / L to within .1, so that 1e38 is still on the
    paper. Units are not made robust: the origin is at both limits and one unit is a factor e on
    every machine, which is what lets two of them be compared.

    Components are the leading directions that vary more than a column does on average (Kaiser's
    rule; H. Kaiser, Educational and Psychological Measurement 20, 1960), at least one, at most
    those that there are and one for each five rows. Limits hold 99 % of baseline rows that the
    components did not see, in contiguous blocks of time; never chi-squared.

    `variances` (a,) along the components, `limits` (2,) of T² and SPE, positive.
    """

    name: ClassVar[str] = "mspc"

    def __init__(self, variances: Floats, limits: Floats) -> None:
        self._variances, self._limits = variances, limits

    @classmethod
    def fit(cls, evidence: Evidence, scaled: Floats, product: Floats) -> tuple[MspcLayout, Floats]:
        """Limits from scaled baseline rows (n', d) in the order of time, at least 3.

        `product` is their `smaller_product`; `evidence` is of all baseline rows, whose places
        (n, 2) come with the layout.
        """
        variances = np.einsum("ij,ij->j", evidence.lead, evidence.lead) / (len(evidence.lead) - 1)
        most = max(len(scaled) // ROWS_A_COMPONENT, 1)
        components = min(max(int((variances > 1.0).sum()), 1), most)
        blocks = held_out_blocks(len(scaled))
        unseen = held_out_statistics(scaled, product, components, blocks)
        least = 1e-9 * float(evidence.squared.mean())  # where nothing at all is left over
        limits = [max(limit(figure, ALARM_SHARE), least) for figure in unseen]
        layout = cls(variances[:components], np.array(limits))
        return layout, layout.place(evidence)

    def place(self, evidence: Evidence) -> Floats:
        """Rows (m, 2) at their T² and SPE: nothing else enters, not even the score."""
        along = grid(evidence.lead[:, : len(self._variances)])
        inside = along.whole * along.step[:, None]
        squares = inside * inside
        t2 = sum_in_order(squares / self._variances)
        spe = np.maximum(evidence.squared - sum_in_order(squares), 0.0)
        shares = np.stack([t2, spe], axis=1) / self._limits
        return log((shares + FLOOR) / (1.0 + FLOOR))

    def guides(self) -> tuple[Guide, ...]:
        """The two limits."""
        return Guide("x", 0.0, "T² limit"), Guide("y", 0.0, "SPE limit")

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {"mspc_variances": self._variances, "mspc_limits": self._limits}

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> MspcLayout:
        return cls(stored["mspc_variances"], stored["mspc_limits"])
