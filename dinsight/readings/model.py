"""What readings are, and how large they may be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

FIELD_CEILING = 131_072  # the csv module's own limit, in characters


@dataclass(frozen=True)
class Limits:
    """The largest file that is read; more is `TooLarge`.

    `rows` and `columns` count data rows and columns of one file. `field` is the longest cell in
    characters (at most 131,072) and `row_bytes` the longest row in bytes: they bound the memory
    that one row can take.
    """

    rows: int
    columns: int
    field: int = FIELD_CEILING
    row_bytes: int = 2 * 1024 * 1024

    def __post_init__(self) -> None:
        if not 0 < self.field <= FIELD_CEILING:
            raise ValueError(f"field must be 1 to {FIELD_CEILING:,}, not {self.field:,}")


@dataclass(frozen=True, eq=False)
class Readings:
    """Rows of one machine, before they are placed.

    `values` is float32 (rows, features), C-contiguous and finite; `features` names its columns.
    `metadata` holds one dict a row with every other column of the file, as text, unchanged.
    """

    features: tuple[str, ...]
    values: Values
    metadata: list[dict[str, str]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.metadata)


@dataclass(frozen=True)
class Columns:
    """The column names of a file by role: features in the order of their values, and the rest."""

    features: tuple[str, ...]
    metadata: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Rows of a file, in order: float32 (rows, features), a dict for each, the lines they fill."""

    values: Values
    metadata: list[dict[str, str]]
    lines: int = 0
