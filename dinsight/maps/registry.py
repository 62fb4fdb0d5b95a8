"""The layouts there are, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from dinsight.maps.distance_layout import DistanceLayout
from dinsight.maps.exact import Floats
from dinsight.maps.layouts import Evidence, Layout
from dinsight.maps.mspc_layout import MspcLayout
from dinsight.maps.umap_layout import UmapLayout

# From the evidence, the scaled rows that the metric learnt from, and their product: the layout
# and the places of the baseline rows.
FIT: dict[str, Callable[[Evidence, Floats, Floats], tuple[Layout, Floats]]] = {
    UmapLayout.name: lambda known, *_: UmapLayout.fit(known),
    DistanceLayout.name: lambda known, *_: DistanceLayout.fit(known),
    MspcLayout.name: MspcLayout.fit,
}
LOAD: dict[str, Callable[[dict[str, NDArray[Any]]], Layout]] = {
    UmapLayout.name: UmapLayout.from_arrays,
    DistanceLayout.name: DistanceLayout.from_arrays,
    MspcLayout.name: MspcLayout.from_arrays,
}
LAYOUTS: tuple[str, ...] = tuple(FIT)
DEFAULT = DistanceLayout.name  # what `make bench-map` finds best, see benchmarks/MAP.md
