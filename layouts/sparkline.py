"""The trend of a score as one small path: scores in, SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 99, 80  # of the view box; a hundred points are one unit apart
LIMIT = 32  # where the alarm limit is drawn, from the top, on every sparkline
MOST = 30.0  # times the limit, at the very top


def path(shares: Sequence[float]) -> str:
    """The path of scores, each as a share of its alarm limit, the oldest first; empty for none.

    The newest is at the right edge. Up to the limit the scale is linear, above it logarithmic, so
    that the limit is at the same height for every machine and a score of twice it is seen as well
    as one of twenty times.

    >>> path([0.0, 1.0, 30.0])
    'M97 80L98 32 99 0'
    """
    shown = shares[-(WIDTH + 1) :]
    if not shown:
        return ""
    start = WIDTH + 1 - len(shown)
    places = [f"{start + i} {height(share)}" for i, share in enumerate(shown)]
    return f"M{places[0]}L{' '.join(places[1:] or places)}"


def height(share: float) -> int:
    """How far below the top a score is drawn.

    >>> [height(share) for share in (0.0, 0.5, 1.0, 5.5, 1e30)]
    [80, 56, 32, 16, 0]
    """
    if share <= 1.0:
        return round(HEIGHT - max(0.0, share) * (HEIGHT - LIMIT))
    return round(LIMIT * (1 - min(1.0, math.log(share) / math.log(MOST))))


def words(shares: Sequence[float]) -> str:
    """The same for those who do not see it.

    >>> words([0.5, 0.824, 12.3])
    'Score of the last 3 points: 0.50 to 12.30 of its alarm limit, now 12.30'
    """
    if not shares:
        return "No score yet"
    many = f"the last {len(shares)} points" if len(shares) > 1 else "the one point"
    low, high = min(shares), max(shares)
    return f"Score of {many}: {low:.2f} to {high:.2f} of its alarm limit, now {shares[-1]:.2f}"
