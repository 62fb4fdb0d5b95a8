"""What is compared: every layout of ours, plain PCA, and UMAP's own transform."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Floats32
from benchmarks.measures import Circle, Floats
from dinsight import maps

SEED = 20_240_229
PCA_NAME, UMAP_NAME = "PCA(2)", "UMAP.transform"


@dataclass(frozen=True)
class Standard:
    """Every column less its baseline mean, over its baseline deviation (1 where it is constant)."""

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, baseline: Floats32) -> Standard:
        """From baseline rows (n, d)."""
        deviation = baseline.std(axis=0, dtype=np.float64)
        return cls(baseline.mean(axis=0, dtype=np.float64), deviation)

    def apply(self, rows: NDArray[Any]) -> Floats:
        """Rows (m, d) in these units."""
        return np.asarray((rows - self.mean) / np.where(self.deviation > 0, self.deviation, 1.0))


class Contender(Protocol):
    """Something that draws a baseline and places rows.

    `name`; `cloud` (n, 2) float32 the places of the baseline rows; `slow` says that a row takes
    it many milliseconds, so that fewer are asked of it.
    """

    @property
    def name(self) -> str: ...

    @property
    def cloud(self) -> Floats32: ...

    @property
    def slow(self) -> bool: ...

    def place(self, rows: Floats32) -> Floats32:
        """Places and, where there is one, the score: (m, 2) or (m, 3)."""


@dataclass(frozen=True)
class OurMap:
    """A layout of `dinsight.maps`."""

    fitted: maps.Map
    slow: bool = False

    @classmethod
    def fit(cls, baseline: Floats32, features: Sequence[str], layout: str) -> OurMap:
        return cls(maps.fit(baseline, layout, features=features))

    @property
    def name(self) -> str:
        return self.fitted.layout

    @property
    def cloud(self) -> Floats32:
        return self.fitted.coordinates

    def place(self, rows: Floats32) -> Floats32:
        found = self.fitted.place(rows)
        return np.stack([found.x, found.y, found.score], axis=1)


@dataclass(frozen=True)
class PlainPca:
    """The first two principal components of the standardised rows (scikit-learn)."""

    standard: Standard
    model: Any
    cloud: Floats32
    name: str = PCA_NAME
    slow: bool = False

    @classmethod
    def fit(cls, baseline: Floats32) -> PlainPca:
        from sklearn.decomposition import PCA

        standard = Standard.fit(baseline)
        model = PCA(2, svd_solver="full").fit(standard.apply(baseline))
        return cls(standard, model, model.transform(standard.apply(baseline)).astype(np.float32))

    def place(self, rows: Floats32) -> Floats32:
        places = self.model.transform(self.standard.apply(rows))
        return np.asarray(places, dtype=np.float32)


@dataclass(frozen=True)
class UmapTransform:
    """umap-learn as it comes: fitted to the standardised rows, and its own `transform`."""

    standard: Standard
    model: Any
    cloud: Floats32
    name: str = UMAP_NAME
    slow: bool = True  # 2 to 5 ms a row in a batch, 20 to 130 ms alone

    @classmethod
    def fit(cls, baseline: Floats32) -> UmapTransform:
        standard = Standard.fit(baseline)
        model = umap_alone(standard.apply(baseline).astype(np.float32))
        return cls(standard, model, np.asarray(model.embedding_, dtype=np.float32))

    def place(self, rows: Floats32) -> Floats32:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            places = self.model.transform(self.standard.apply(rows).astype(np.float32))
        return np.asarray(places, dtype=np.float32)


def umap_alone(rows: Floats32) -> Any:
    """umap-learn, fitted with a seed and otherwise as it comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap says that tensorflow is not there
        from umap import UMAP

        neighbours = min(15, len(rows) - 1)
        return UMAP(n_neighbors=neighbours, random_state=SEED, n_jobs=1).fit(rows)


def circle(contender: Contender) -> Circle:
    """The 99 % circle of its cloud."""
    return Circle.about(contender.cloud)
