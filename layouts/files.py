"""The files of a page, named by the version of the program: a browser need not ask for them again.

Dash names them by the time of their last change, which in an image that is built reproducibly is
always the same.
"""

from __future__ import annotations

import re

from dinsight.version import version

OURS = re.compile(r'(/assets/[^"?]+)(?:\?[^"]*)?"')


def named(page: str) -> str:
    """The page's HTML with the version in the address of each of our files."""
    return OURS.sub(rf'\g<1>?v={version()}"', page)
