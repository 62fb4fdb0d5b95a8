"""Colours that the figures need. The style sheets hold those of everything else."""

from __future__ import annotations

from dataclasses import dataclass

BASELINE, MONITOR = "#1A73E8", "#DC2626"  # data colours, the same in both themes
ANOMALOUS = "#9333EA"  # of a density that holds anomalous points: told from red by any eye


@dataclass(frozen=True)
class Theme:
    """What of a figure changes between light and dark."""

    ink: str
    grid: str
    ring: str
    legend: str
    baseline_lines: str
    monitor_lines: str


THEMES = {
    "light": Theme(
        ink="#4A5361",
        grid="rgba(20, 24, 31, 0.08)",
        ring="#14181F",
        legend="rgba(255, 255, 255, 0.8)",
        baseline_lines="rgba(23, 78, 166, 0.55)",
        monitor_lines="rgba(153, 27, 27, 0.6)",
    ),
    "dark": Theme(
        ink="#B3BBC7",
        grid="rgba(232, 235, 240, 0.09)",
        ring="#F4F6F9",
        legend="rgba(23, 28, 35, 0.8)",
        baseline_lines="rgba(138, 180, 248, 0.6)",
        monitor_lines="rgba(252, 129, 129, 0.65)",
    ),
}


def rgb(colour: str) -> tuple[int, int, int]:
    """The parts of a colour.

    >>> rgb("#1A73E8")
    (26, 115, 232)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def theme(name: str | None) -> Theme:
    """The theme of that name; light for any other."""
    return THEMES.get(name or "", THEMES["light"])
