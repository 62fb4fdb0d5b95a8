"""A picture of few colours as a PNG file: the one kind of image that the server makes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SPEED = 6  # zlib's level: 512 x 512 in 3 ms
Colour = tuple[int, int, int, int]  # red, green, blue, alpha, each from 0 to 255


def encode(indices: NDArray[np.uint8], colours: Sequence[Colour]) -> bytes:
    """A PNG of an array (height, width), the top row first, of indices into at most 256 colours.

    >>> encode(np.zeros((2, 3), np.uint8), [(255, 0, 0, 128)])[:4]
    b'\\x89PNG'
    """
    height, width = indices.shape
    # Each line begins with its filter; 0 is none.
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = indices
    palette = np.array(colours, np.uint8).reshape(-1, 4)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette[:, :3].tobytes()),
            _chunk(b"tRNS", palette[:, 3].tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), SPEED)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
