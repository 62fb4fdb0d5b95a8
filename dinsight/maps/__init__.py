"""The fitted machine map: `fit(baseline) -> Map`, `Map.place(rows)`, `Map.explain(row)`."""

from dinsight.maps.explanation import Band, Explanation
from dinsight.maps.false_alarms import Expectation
from dinsight.maps.layouts import Guide
from dinsight.maps.learning import fit, warm_up
from dinsight.maps.levels import Level, LevelRule, LevelState, judge
from dinsight.maps.model import FORMAT, Map, Placement, coordinates, load, sha256
from dinsight.maps.registry import DEFAULT, LAYOUTS

__all__ = [
    "DEFAULT",
    "FORMAT",
    "LAYOUTS",
    "Band",
    "Expectation",
    "Explanation",
    "Guide",
    "Level",
    "LevelRule",
    "LevelState",
    "Map",
    "Placement",
    "coordinates",
    "fit",
    "judge",
    "load",
    "sha256",
    "warm_up",
]
