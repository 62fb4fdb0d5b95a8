"""The fitted machine map: `fit(baseline) -> Map`, `Map.place(rows) -> Placement`."""

from dinsight.maps.levels import Level, LevelRule, LevelState, judge
from dinsight.maps.model import LAYOUTS, Map, Placement, fit, load, sha256, warm_up

__all__ = [
    "LAYOUTS",
    "Level",
    "LevelRule",
    "LevelState",
    "Map",
    "Placement",
    "fit",
    "judge",
    "load",
    "sha256",
    "warm_up",
]
