"""Batches to post: CSV of made-up spectra with metadata, as a sensor's gateway would send them."""

from __future__ import annotations

from benchmarks.cases import Floats32
from benchmarks.door import METADATA

BOUNDARY = "a-line-between-parts"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def csv(rows: Floats32) -> bytes:
    """Rows (n, d) with six metadata columns before them, one line each."""
    header = [f"meta_{number}" for number in range(METADATA)]
    lines = [",".join(header + [f"f_{number}" for number in range(rows.shape[1])])]
    for number, row in enumerate(rows):
        cells = [str(number), "A", "2026-01-01T00:00:00Z", "unit 7", "ok", f"{number * 3}.5"]
        lines.append(",".join(cells + [f"{value:.6f}" for value in row]))
    return ("\n".join(lines) + "\n").encode()


def form(content: bytes, field: str = "file") -> bytes:
    """The body of a multipart form with one file."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="rows.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
