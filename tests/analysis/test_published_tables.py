"""Answers about published tables are those that other software gives.

The figures: Demsar 2006 (JMLR 7), table 6, AUC of four variants of C4.5 on 14 data sets; Student's sleep data (Cushny
and Peebles 1905); survival of patients with advanced lung cancer (NCCTG, Loprinzi et al. 1994, a + is censored); the
Atari 100k benchmark (mean score a game; Micheli et al. 2023, table 1; single runs: atari_100k_runs.txt).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tracklake as tl

DEMSAR = """
    adult 0.763 0.768 0.771 0.798
    breast-cancer 0.599 0.591 0.590 0.569
    breast-cancer-wisconsin 0.954 0.971 0.968 0.967
    cmc 0.628 0.661 0.654 0.657
    ionosphere 0.882 0.888 0.886 0.898
    iris 0.936 0.931 0.916 0.931
    liver-disorders 0.661 0.668 0.609 0.685
    lung-cancer 0.583 0.583 0.563 0.625
    lymphography 0.775 0.838 0.866 0.875
    mushroom 1.000 1.000 1.000 1.000
    primary-tumor 0.940 0.962 0.965 0.962
    rheum 0.619 0.666 0.614 0.669
    voting 0.972 0.981 0.975 0.975
    wine 0.957 0.978 0.946 0.970
"""
VARIANTS = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")

SLEEP = {
    1: (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    2: (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
}

LUNG = {
    1: """
        306 455 1010+ 210 883 1022+ 218 166 170 71 567 144 613 707 88 301 624 371 394 574 118 390 12 26 533 53
        814 93 460 583 303 519 643 189 53 246 689 65 132 223 175 163 65 428 230 840+ 11 132 11 176 791 95 196+
        806+ 284 147 163 655 239 88 30 179 310 477 364 107 177 156 11 429 15 181 283 13 212 524 288 363 442 54
        558 207 92 60 202 353 267 387 457 337 404+ 222 458+ 353 163 31 229 444+ 156 329 291 179 292+ 142 413+
        320 181 285 301+ 197 303+ 180 300+ 284+ 259+ 110 286 270 81 131 225+ 269 225+ 279+ 135 59 105 237+ 221+
        185+ 13 222+ 183 197+ 116 188+ 191+ 174+""",
    2: """
        310 361 654 728 61 81 520 473 107 122 965+ 731 153 433 145 95 765 735 5 687 345 444 60 208 821+ 305 226
        426 705 363 167 641 740+ 245 588+ 166 559+ 450 529+ 351 201 524 199 550 551+ 543+ 293 511+ 511+ 371 201
        62 356+ 340 315+ 182 364+ 376+ 384+ 268 266+ 194 348 382+ 296+ 186 145 269+ 350 272+ 292+ 332+ 285 243+
        276+ 79 240+ 202+ 235+ 224+ 239 173+ 252+ 92+ 192+ 211+ 175+ 203+ 105+ 177+""",
}

ATARI = """
    Alien 227.8 7127.7 616.9 711.0 865.2 841.9 420.0
    Amidar 5.8 1719.5 74.3 113.7 137.8 179.7 143.0
    Assault 222.4 742.0 527.2 500.9 579.6 565.6 1524.4
    Asterix 210.0 8503.3 1128.3 567.2 763.6 962.5 853.6
    BankHeist 14.2 753.1 34.2 65.3 232.9 345.4 53.1
    BattleZone 2360.0 37187.5 4031.2 8997.8 10165.3 14834.1 13074.0
    Boxing 0.1 12.1 7.8 0.9 9.0 35.7 70.1
    Breakout 1.7 30.5 16.4 2.6 19.8 19.6 83.7
    ChopperCommand 811.0 7387.8 979.4 783.5 844.6 946.3 1565.0
    CrazyClimber 10780.5 35829.4 62583.6 9154.4 21539.0 36700.5 59324.2
    DemonAttack 152.1 1971.0 208.1 646.5 1321.5 517.6 2034.4
    Freeway 0.0 29.6 16.7 28.3 20.3 19.3 31.1
    Frostbite 65.2 4334.7 236.9 1226.5 1014.2 1170.7 259.1
    Gopher 257.6 2412.5 596.8 400.9 621.6 660.6 2236.1
    Hero 1027.0 30826.4 2656.6 4987.7 4167.9 5858.6 7037.4
    Jamesbond 29.0 302.8 100.5 331.0 349.1 366.5 462.7
    Kangaroo 52.0 3035.0 51.2 740.2 1088.4 3617.4 838.2
    Krull 1598.0 2665.5 2204.8 3049.2 4402.1 3681.6 6616.4
    KungFuMaster 258.5 22736.3 14862.5 8155.6 11467.4 14783.2 21759.8
    MsPacman 307.3 6951.6 1480.0 1064.0 1218.1 1318.4 999.1
    Pong -20.7 14.6 12.8 -18.5 -9.1 -5.4 14.6
    PrivateEye 24.9 69571.3 35.0 81.9 3.5 86.0 100.0
    Qbert 163.9 13455.0 1288.8 727.0 1810.7 866.3 745.7
    RoadRunner 11.5 7845.0 5640.6 5006.1 11211.4 12213.1 9614.6
    Seaquest 68.4 42054.7 683.3 315.2 352.3 558.1 661.3
    UpNDown 533.4 11693.2 3350.3 2646.4 4324.5 10859.2 3546.2
"""
ATARI_RUNS = Path(__file__).with_name("atari_100k_runs.txt")
AGENTS = ("SimPLe", "CURL", "DrQ", "SPR", "IRIS")


def lake_of(folder: Path, rows: list[dict[str, Any]], *, step: str | None = None) -> tl.Lake:
    """Return a lake with a run a row: "value" is logged, at the step if there is one; the others are config."""
    lake = tl.open(folder, create=True)
    config = [name for name in rows[0] if name not in ("value", step)]
    frame = pl.DataFrame(rows).with_row_index("run").with_columns(pl.col("run").cast(pl.String))
    frame = frame if step else frame.with_columns(pl.lit(0).alias("at"))
    lake.import_table(frame, run_columns=["run"], config_columns=config, step=step or "at", metrics={"value": "value"})
    return lake


def table_rows(text: str, names: tuple[str, ...], *, skip: int = 0) -> list[tuple[str, str, list[float]]]:
    """Return (row, column, the skipped numbers and the value) of a table of figures."""
    lines = [line.split() for line in text.strip().splitlines()]
    return [
        (line[0], name, [*map(float, line[1 : 1 + skip]), float(value)])
        for line in lines
        for name, value in zip(names, line[1 + skip :], strict=True)
    ]


@pytest.mark.parametrize(
    ("variant", "p", "improvement"),
    [("C4.5+m+cf", 0.015874, 0.821), ("C4.5+m", 0.010757, 0.786), ("C4.5+cf", 0.861262, 0.536)],
)
def test_wilcoxon_over_data_sets(tmp_path: Path, variant: str, p: float, improvement: float):
    """Demsar's classifiers over 14 data sets: Wilcoxon's p against C4.5, and how often each is better."""
    rows = [{"data": data, "variant": name, "value": auc[0]} for data, name, auc in table_rows(DEMSAR, VARIANTS)]
    found = lake_of(tmp_path, rows).compare(
        "value", by="variant", task="data", unit="task", goal="max", baseline="C4.5", test="rank", draws=10
    )
    row = found.table.row(by_predicate=pl.col("config.variant") == variant, named=True)
    assert (row["test"], row["n_pairs"]) == ("Wilcoxon signed-rank", 14)
    assert (row["p"], row["p_improvement"]) == (pytest.approx(p, abs=5e-7), pytest.approx(improvement, abs=5e-4))


@pytest.mark.parametrize(("paired", "p"), [(False, 0.07939), (True, 0.002833)])
def test_t_tests_of_the_sleep_data(tmp_path: Path, paired: bool, p: float):
    """Student's sleep data: Welch's p where patients are not matched, the paired one where they are."""
    rows = [
        {"drug": drug, "patient": i if paired else i + 100 * drug, "value": hours}
        for drug, gains in SLEEP.items()
        for i, hours in enumerate(gains)
    ]
    found = lake_of(tmp_path, rows).compare("value", by="drug", over="patient", goal="max", test="t", baseline=1)
    row = found.table.row(by_predicate=pl.col("config.drug") == 2, named=True)
    assert (row["test"], row["p"]) == ("paired t" if paired else "Welch t", pytest.approx(p, rel=5e-4))
    assert row["difference"] == pytest.approx(1.58)


@pytest.fixture(scope="module")
def lung(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """A run a patient, which reaches 1 on the day of death."""
    rows = [
        {"sex": sex, "day": int(day.rstrip("+")), "value": float(not day.endswith("+"))}
        for sex, days in LUNG.items()
        for day in days.split()
    ]
    return lake_of(tmp_path_factory.mktemp("lung"), rows, step="day")


def test_median_survival_of_all_patients(lung: tl.Lake):
    """The median is 310 days, its interval 284 to 361 by log(-log)."""
    row = lung.time_to("value", 1, goal="max").table.row(0, named=True)
    assert (row["n"], row["n_reached"], row["median"]) == (228, 165, 310.0)
    assert (row["low"], row["high"]) == (284.0, 361.0)


def test_survival_by_sex(lung: tl.Lake):
    """Half of the men died within 270 days, half of the women within 426; log-rank p = 0.0013112."""
    found = lung.time_to("value", 1, goal="max", by="sex")
    assert found.table.select("config.sex", "median").rows() == [(1, 270.0), (2, 426.0)]
    assert found.p == pytest.approx(0.0013112, abs=5e-8)


def test_human_normalized_scores(tmp_path: Path):
    """Atari 100k over 26 games: mean and median of the human-normalized scores as published."""
    rows = [
        {"game": game, "agent": agent, "value": (score - random) / (human - random)}
        for game, agent, (random, human, score) in table_rows(ATARI, AGENTS, skip=2)
    ]
    found = lake_of(tmp_path, rows).compare("value", by="agent", task="game", unit="task", goal="max", draws=10)
    by_agent = {row["config.agent"]: row for row in found.table.iter_rows(named=True)}
    means, medians = ([by_agent[agent][center] for agent in AGENTS] for center in ("mean", "median"))
    assert means == pytest.approx([0.332, 0.261, 0.465, 0.616, 1.046], abs=6e-4)
    assert medians == pytest.approx([0.134, 0.092, 0.313, 0.396, 0.289], abs=8e-4)  # of rounded scores
    assert [row["n_tasks"] for row in by_agent.values()] == [26] * 5


def normalized_runs(agent: str) -> list[dict[str, Any]]:
    """Return a row of game, seed and human-normalized score for each run of an agent."""
    bounds = {game: numbers for game, name, numbers in table_rows(ATARI, AGENTS, skip=2) if name == agent}
    lines = [line.split() for line in ATARI_RUNS.read_text().splitlines()]
    rows = []
    for game, scores in ((line[1], line[2:]) for line in lines if line[0] == agent):
        random, human = (0.0, 1000.0) if agent == "CURL" else bounds[game][:2]
        values = [(float(score) - random) / (human - random) for score in scores]
        rows += [{"game": game, "seed": seed, "value": value} for seed, value in enumerate(values)]
    return rows


@pytest.mark.parametrize(
    ("agent", "n", "iqm"),
    [
        ("SimPLe", 130, 0.130),
        ("CURL", 2600, 0.113),
        ("DrQ", 2600, 0.280),
        ("SPR", 2600, 0.337),
        ("IRIS", 130, 0.501),
    ],
)
def test_interquartile_mean_over_runs(tmp_path: Path, agent: str, n: int, iqm: float):
    """Atari 100k: the interquartile mean is over all runs of the 26 games, not over the games' means."""
    lake = lake_of(tmp_path, normalized_runs(agent))
    found = lake.compare("value", by=[], task="game", center="iqm", goal="max", draws=10)
    row = found.table.row(0, named=True)
    assert (row["n"], row["n_tasks"]) == (n, 26)
    assert row["iqm"] == pytest.approx(iqm, abs=5e-4)
