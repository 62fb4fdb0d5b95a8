"""The layouts there are, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from dinsight.maps.calibration import Calibration
from dinsight.maps.distance_layout import DistanceLayout
from dinsight.maps.exact import Floats
from dinsight.maps.layouts import Evidence, Layout
from dinsight.maps.mspc_layout import MspcLayout
from dinsight.maps.umap_layout import UmapLayout

# From the evidence and calibration, the scaled rows that the metric learnt from, and their product.
FIT: dict[str, Callable[[Evidence, Calibration, Floats, Floats], Layout]] = {
    UmapLayout.name: lambda known, limits, *_: UmapLayout.fit(known, limits.blend()),
    DistanceLayout.name: lambda known, limits, *_: DistanceLayout.fit(known, limits.blend()),
    MspcLayout.name: lambda known, _, rows, product: MspcLayout.fit(known, rows, product),
}
LOAD: dict[str, Callable[[dict[str, NDArray[Any]]], Layout]] = {
    UmapLayout.name: UmapLayout.from_arrays,
    DistanceLayout.name: DistanceLayout.from_arrays,
    MspcLayout.name: MspcLayout.from_arrays,
}
LAYOUTS: tuple[str, ...] = tuple(FIT)
