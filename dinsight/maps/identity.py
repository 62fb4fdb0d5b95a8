"""Which rows are the same row: by their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGEST = 16


def digests(rows: NDArray[np.float32]) -> Iterator[bytes]:
    """A 128-bit fingerprint of each row (m, d); 0.0 and -0.0 are one number.

    >>> len(set(digests(np.array([[0.0], [-0.0], [1.0]], dtype=np.float32))))
    2
    """
    positive = np.ascontiguousarray(rows, dtype="<f4") + np.float32(0.0)  # turns -0.0 into 0.0
    return (hashlib.blake2b(row, digest_size=DIGEST).digest() for row in positive)


class Identity:
    """The different rows of a baseline, in the order in which they came first.

    `of_row` (n,) says which one each baseline row is, `first` (u,) where each came first.

    >>> same = Identity.of(np.array([[1.0], [2.0], [1.0]], dtype=np.float32))
    >>> same.of_row.tolist(), same.first.tolist()
    ([0, 1, 0], [0, 1])
    >>> same.find(np.array([[5.0], [2.0]], dtype=np.float32)).tolist()
    [-1, 1]
    """

    def __init__(self, known: dict[bytes, int], of_row: NDArray[np.int64]) -> None:
        self._known = known
        self.of_row = of_row
        self.first: NDArray[np.int64] = np.unique(of_row, return_index=True)[1].astype(np.int64)

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Identity:
        known: dict[bytes, int] = {}
        of_row = [known.setdefault(digest, len(known)) for digest in digests(rows)]
        return cls(known, np.array(of_row, dtype=np.int64))

    def find(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """The different row that each of (m, d) is, -1 where it is none of them."""
        found = (self._known.get(digest, -1) for digest in digests(rows))
        return np.fromiter(found, dtype=np.int64, count=len(rows))

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        flat = np.frombuffer(b"".join(self._known), dtype=np.uint8)
        return {"identity_digests": flat.reshape(-1, DIGEST), "identity_of_row": self.of_row}

    @classmethod
    def from_arrays(cls, stored: dict[str, Any]) -> Identity:
        known = {digest.tobytes(): i for i, digest in enumerate(stored["identity_digests"])}
        return cls(known, stored["identity_of_row"])
