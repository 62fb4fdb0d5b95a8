"""The benchmark of the maps: its measures on examples made by hand, and a whole small run."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

import benchmarks
from benchmarks import apart, cases, contenders, goals, map, measures, pictures, report, tennessee
from benchmarks.alarms import alarms
from benchmarks.contenders import OurMap, PlainPca
from benchmarks.effort import QUICK
from benchmarks.goals import Check, Standing
from benchmarks.measures import Circle, Pair
from benchmarks.pictures import Jitter, Picture, Steady
from benchmarks.results import Results
from benchmarks.scale_export import Export, table
from benchmarks.trials import blown_up, healthy_rows, shifts

MODULES = [f"benchmarks.{module.name}" for module in pkgutil.iter_modules(benchmarks.__path__)]
ROWS, WIDTH = 60, 6


def machine(rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(2, WIDTH))
    values = random.normal(size=(rows, 2)) @ mixing + random.normal(size=(rows, WIDTH))
    return (10.0 + values).astype(np.float32)


def case(name: str = "tiny") -> cases.Case:
    """30 healthy rows, then 30 far away, of which the first 5 are in transition."""
    monitor = machine(60, 2)
    monitor[30:, 0] += np.float32(40.0)
    labels = np.repeat([0, -1, 1], [30, 5, 25])
    return cases.Case(
        name=name,
        kind=cases.GIVEN,
        features=tuple(f"f_{number}" for number in range(WIDTH)),
        baseline=machine(ROWS, 1),
        monitor=monitor,
        labels=labels,
        life=np.linspace(0.5, 1.0, 60),
        fault=np.array(["0"] * 30 + ["7"] * 15 + ["12"] * 15),
    )


@pytest.fixture(scope="module")
def tiny() -> cases.Case:
    return case()


@pytest.fixture(scope="module")
def ours(tiny: cases.Case) -> OurMap:
    return OurMap.fit(tiny.baseline, tiny.features, "mspc")


# --- measures ---


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_auroc_counts_the_pairs_in_order_and_leaves_transitions_out() -> None:
    values = np.array([1.0, 3.0, 2.0, 4.0, 100.0])
    labels = np.array([0, 0, 1, 1, -1])
    assert measures.auroc(values, labels) == 3 / 4
    assert measures.auroc(-values, labels) == 1 / 4
    assert math.isnan(measures.auroc(values[:2], labels[:2]))


def test_the_distance_from_the_cloud_is_the_mean_of_the_ten_nearest() -> None:
    cloud = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
    assert measures.from_cloud(cloud, np.array([[-1.0, 0.0]])).tolist() == [5.5]
    assert measures.from_cloud(cloud[:2], np.array([[0.0, 2.0]])) == pytest.approx(
        [(2 + math.sqrt(5)) / 2]
    )


def test_the_circle_holds_99_of_100_points_and_is_centred_on_the_median() -> None:
    turns = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    cloud = 5.0 + np.stack([np.cos(turns), np.sin(turns)], axis=1)
    cloud[0] = (1_000.0, 5.0)
    circle = Circle.about(cloud)
    assert circle.centre == pytest.approx([5.0, 5.0], abs=0.1)
    assert circle.outside(cloud).sum() == 1
    assert circle.width == 2 * circle.radius


def test_trustworthiness_of_rows_in_the_baseline_is_that_of_scikit_learn() -> None:
    """Each row against the others: the same figure as its definition for one set of rows."""
    rows, plane = machine(30, 3), machine(30, 4)[:, :2]
    others = [np.delete(np.arange(30), row) for row in range(30)]
    found = [
        measures.trustworthiness(
            Pair(rows[rest], rows[row : row + 1]), Pair(plane[rest], plane[row : row + 1]), k=5
        )
        for row, rest in enumerate(others)
    ]
    assert np.mean(found) == pytest.approx(trustworthiness(rows, plane, n_neighbors=5))


def test_a_single_bit_makes_a_row_differ() -> None:
    some = np.ones((3, 2), dtype=np.float32)
    others = some.copy()
    others[1, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert measures.differing(some, others) == 1


# --- cases ---


def test_half_a_baseline_makes_the_other_half_unseen_healthy_rows(tiny: cases.Case) -> None:
    half = tiny.half()
    assert (len(half.baseline), len(half.monitor)) == (30, 90)
    assert (half.monitor[:30] == tiny.baseline[30:]).all()
    assert half.labels.tolist() == [0] * 30 + tiny.labels.tolist()
    assert np.isnan(half.life[:30]).all()
    assert half.kind == cases.HELD_OUT


def test_one_fault_at_a_time_follows_the_rows_of_no_fault(tiny: cases.Case) -> None:
    names = [each.name for each in cases.variants(tiny)]
    assert names == ["tiny, half", "tiny, fault 7", "tiny, fault 12"]
    fault = list(cases.variants(tiny))[2]
    assert fault.fault.tolist() == ["0"] * 30 + ["12"] * 15
    assert (fault.monitor == tiny.monitor[np.r_[:30, 45:60]]).all()


def test_a_case_is_read_as_it_was_written(tmp_path: Path, tiny: cases.Case) -> None:
    write(tmp_path / "tiny", tiny)
    (tmp_path / "no case").mkdir()
    (folder,) = cases.folders(tmp_path)
    found = cases.read(folder)
    assert (found.name, found.features) == ("tiny", tiny.features)
    assert (found.baseline == tiny.baseline).all()
    assert (found.monitor == tiny.monitor).all()
    assert (found.labels == tiny.labels).all()
    assert found.life == pytest.approx(tiny.life)
    assert (found.fault == tiny.fault).all()


def write(folder: Path, tiny: cases.Case) -> None:
    folder.mkdir()
    header = ",".join(tiny.features)
    for name, rows in (("baseline", tiny.baseline), ("monitor", tiny.monitor)):
        np.savetxt(folder / f"{name}.csv", rows, "%.9g", ",", header=header, comments="")
    lines = ["label,life_fraction,fault"]
    lines += [f"{a},{b},{c}" for a, b, c in zip(tiny.labels, tiny.life, tiny.fault, strict=True)]
    (folder / "labels.csv").write_text("\n".join(lines))


# --- topics ---


class Drifting:
    """A contender that is wrong in every way: what it says of a row depends on the batch."""

    name, slow = "drifting", False
    cloud = machine(ROWS, 1)[:, :2]

    def place(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[:, :2] + np.float32(len(rows)), dtype=np.float32)


def test_what_depends_on_its_batch_is_noticed(tiny: cases.Case) -> None:
    found = pictures.picture(tiny, Drifting(), QUICK).steady
    assert (found.rows, found.differing) == (60, 60)
    assert (found.baseline, found.elsewhere) == (60, 60)
    assert found.move > 1.0


def test_a_map_of_ours_is_steady_and_shows_what_is_far(tiny: cases.Case, ours: OurMap) -> None:
    found = pictures.picture(tiny, ours, QUICK)
    assert (found.steady.differing, found.steady.elsewhere, found.steady.move) == (0, 0, 0.0)
    assert (found.auroc, found.score_auroc, found.visible, found.over) == (1.0, 1.0, 1.0, 1.0)
    assert 0.0 < found.jitter.usual <= found.jitter.worst


def test_jitter_is_counted_in_widths_of_the_cloud(tiny: cases.Case) -> None:
    """Of a linear view it is known: 0.1 sigma in the plane, over the width."""
    pca = PlainPca.fit(tiny.baseline)
    found = pictures.jitter(tiny, pca, contenders.circle(pca), replace(QUICK, rows=60, draws=50))
    length = 0.1 * math.sqrt(-2 * math.log(0.01))  # 99 % of a plane's normal noise
    assert found.usual == pytest.approx(length / contenders.circle(pca).width, rel=0.1)


def test_the_first_alarm_has_its_row_life_and_label(tiny: cases.Case, ours: OurMap) -> None:
    (found,) = alarms(tiny, [ours, ours])
    assert (found.layouts, found.healthy_in_alarm, found.worn_in_alarm) == ("all", 0.0, 1.0)
    assert (found.first_row, found.first_label) == (34, -1)
    assert found.first_life == tiny.life[34]


def test_a_shifted_feature_is_seen_and_named(tiny: cases.Case, ours: OurMap) -> None:
    found = shifts(tiny, [ours], QUICK)
    assert [each.amount for each in found] == [0.0, 3.0, 5.0, 10.0]
    assert found[0].over < 0.1
    assert found[-1].over == 1.0
    assert found[-1].named > 0.9
    assert len(healthy_rows(tiny, 50)) == 50


def test_a_baseline_blown_up_moves_outward(tiny: cases.Case, ours: OurMap) -> None:
    found = blown_up(tiny, ours)
    assert found.in_order
    assert (found.distance_rises, found.radius_rises) == (1.0, 1.0)
    assert not replace(found, radii=(1.0, 3.0, 2.0, 4.0)).in_order


def test_only_the_tennessee_eastman_process_is_held_against_its_table(tiny: cases.Case) -> None:
    assert not tennessee.suits(tiny)
    assert tennessee.Missed("4", (0.960, 0.034), (0.956, 0.038)).reproduced
    assert not tennessee.Missed("4", (0.970, 0.038), (0.956, 0.038)).reproduced


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    found = apart.wide("mspc", (20, 300))
    assert (found.layout, found.shape) == ("mspc", (20, 300))
    assert 0 < found.before <= found.peak
    assert min(found.fit, found.row) > 0


def test_fits_are_timed_beside_umap_alone(fake_umap: None) -> None:
    (found,) = apart.measure_fits(["mspc"], [(30, 5)])
    assert found.shape == (30, 5)
    assert found.ratio("mspc") == found.ours["mspc"] / found.alone


# --- goals ---


def drawn(name: str, contender: str, **changes: object) -> Picture:
    """A picture that keeps every promise, but for the changes."""
    best = Picture(
        case=name,
        kind=cases.GIVEN,
        contender=contender,
        auroc=0.9,
        score_auroc=0.91,
        visible=0.8,
        false_visible=0.01,
        over=0.8,
        trust=0.8,
        steady=Steady(rows=10, differing=0, baseline=10, elsewhere=0, move=0.0),
        jitter=Jitter(usual=0.1, worst=0.2, baseline=0.2),
    )
    return replace(best, **changes)  # type: ignore[arg-type]


def judged(*mine: Picture, pca: float = 0.5, transform: float = 0.8) -> Results:
    others = [
        drawn(each.case, name, auroc=pca, trust=transform)
        for each in mine
        for name in (contenders.PCA_NAME, contenders.UMAP_NAME)
    ]
    layouts = tuple(dict.fromkeys(each.contender for each in mine))
    return Results(layouts, pictures=[*mine, *others])


@pytest.mark.parametrize(
    ("goal", "changes"),
    [
        (goals.NEAR_SCORE, {"score_auroc": 0.93}),
        (goals.NOT_BELOW_PCA, {"auroc": 0.49, "score_auroc": 0.5}),
        (goals.SEEN, {"visible": 0.7}),
        (goals.STEADY, {"steady": Steady(10, 1, 10, 0, 0.1)}),
        (goals.OWN_POINT, {"steady": Steady(10, 0, 10, 1, 0.0)}),
        (goals.TRUST, {"trust": 0.77}),
        (goals.JITTER, {"jitter": Jitter(0.1, 0.3, 0.2)}),
        (goals.OWN_JITTER, {"jitter": Jitter(0.1, 0.2, 0.3)}),
    ],
)
def test_a_goal_that_is_missed_is_said_to_be(goal: str, changes: dict[str, object]) -> None:
    assert all(check.met for check in goals.of_pictures(judged(drawn("a", "umap"))))
    checks = list(goals.of_pictures(judged(drawn("a", "umap", **changes))))
    assert [check.goal for check in checks if not check.met] == [goal]


def test_a_plane_of_two_distances_is_not_asked_to_be_near_the_score() -> None:
    (check,) = [
        check
        for check in goals.of_pictures(judged(drawn("a", "mspc", score_auroc=0.99)))
        if not check.met
    ]
    assert str(check) == "(not asked: 0.900 < 0.970)"


def test_a_machine_counts_once_however_many_cases_are_derived_from_it() -> None:
    missed = [Check(goals.TRUST, f"tep, fault {fault}", "umap", False, "") for fault in range(6)]
    found = goals.kept([*missed, Check(goals.TRUST, "cwru", "umap", True, "")])
    assert found == {goals.TRUST: 0.5}


def test_exactness_comes_before_any_other_promise() -> None:
    inexact = drawn("a", "umap", steady=Steady(10, 1, 10, 0, 0.1))
    results = judged(inexact, drawn("a", "distance", trust=0.1))
    assert [each.layout for each in goals.standings(results)] == ["distance", "umap"]


def test_points_are_the_weighted_share_of_what_is_asked() -> None:
    standing = Standing("umap", True, {goals.TRUST: 1.0, goals.JITTER: 0.0}, 0.9)
    assert standing.points == pytest.approx(1.0 / 1.5)


# --- the whole run ---


class FakeUmap:
    """Stands in for umap-learn, which takes ten seconds to compile."""

    def __init__(self, rows: np.ndarray) -> None:
        self._pca = PCA(2).fit(rows)
        self.embedding_ = self._pca.transform(rows)

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._pca.transform(rows))


@pytest.fixture
def fake_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (contenders, apart, importlib.import_module("benchmarks.speed")):
        monkeypatch.setattr(module, "umap_alone", FakeUmap)


@pytest.fixture
def run(tmp_path: Path, tiny: cases.Case, fake_umap: None) -> Callable[..., str]:
    def run(*options: str) -> str:
        data, output = tmp_path / "data", tmp_path / "report.md"
        data.mkdir()
        write(data / "tiny", tiny)
        layouts = ["--layout", "mspc", "--layout", "distance"]
        assert map.main(["--data", str(data), "--output", str(output), *layouts, *options]) == 0
        return output.read_text()

    return run


def test_a_quick_run_prints_and_writes_every_topic(
    run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = run("--quick")
    printed = capsys.readouterr().out
    for title in ("The layout that wins", "The picture", "The alarm logic", "One feature shifted"):
        assert f"## {title}\n" in page
        assert title in printed
    lines = page.splitlines()
    assert any(line.startswith("| tiny | UMAP.transform | ") for line in lines)
    assert any(line.startswith("| tiny (given) | met | met | ") for line in lines)
    assert "Goals of the picture: distance" in page


def test_a_whole_run_measures_what_is_held_out_and_what_needs_a_process(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (30, 8)
    monkeypatch.setattr(apart, "REFERENCE", shape)
    monkeypatch.setattr(apart, "fits", lambda layouts: apart.measure_fits(layouts, [shape]))
    monkeypatch.setattr(apart, "wide", lambda layout: apart.measure_wide(layout, shape))
    page = run()
    for name in ("tiny, half (held out)", "tiny, fault 7 (held out)", "tiny, fault 12 (held out)"):
        assert f"| {name} | " in page
    for title in ("Time to place and score a row", "Fits beside umap-learn alone", "A wide"):
        assert f"## {title}" in page
    assert "| one row within 0.7 ms | 30 × 8 | mspc | " in page


def test_a_case_that_is_not_there_is_skipped_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = map.parse(["--data", str(tmp_path), "--case", "tep_braatz"])
    assert map.found_cases(options) == []
    assert f"there is no case tep_braatz in {tmp_path}" in caplog.text


def test_only_a_whole_run_is_written_unasked() -> None:
    assert map.parse([]).whole
    partial = (["--quick"], ["--case", "a"], ["--layout", "umap"])
    assert [map.parse(arguments).whole for arguments in partial] == [False] * 3


def test_the_report_names_what_it_was_measured_with() -> None:
    said = report.versions()
    for name in ("Python", "dinsight", "numpy", "scipy", "umap-learn", "scikit-learn", "CPUs"):
        assert name in said


def test_a_table_is_markdown() -> None:
    table = report.Table("A title", "A note.", ("one", "two"), [("1", "a|b")])
    assert report.markdown("Heading", ["About."], [table]) == (
        "# Heading\n\nAbout.\n\n## A title\n\nA note.\n\n| one | two |\n| --- | --- |\n"
        "| 1 | a/b |\n"
    )


def test_the_table_of_exports_tells_speed_size_and_memory() -> None:
    one = Export("csv", 1_000_000, 0, first=0.5, seconds=20.0, size=85_000_000, memory=9_400_000)
    assert one.points_a_second == 50_000
    shown = table([one])
    assert len(shown.columns) == len(shown.rows[0])
    assert shown.rows[0] == ("csv", "1,000,000", "0", "50,000", "20.0", "0.50", "85", "9")
