"""Which program this is, by which an open page notices an upgrade of its server."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("api", "assets", "callbacks", "dinsight", "layouts")
KINDS = {".py", ".js", ".css"}


@functools.cache
def version() -> str:
    """A name of the code that runs: instances of the same code share it."""
    return fingerprint(ROOT)


def fingerprint(root: Path) -> str:
    """Of the code below `root`: 12 hexadecimal digits, by content alone."""
    files = (path for part in PARTS for path in (root / part).rglob("*") if path.suffix in KINDS)
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]
