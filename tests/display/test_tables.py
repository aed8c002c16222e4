"""Tables as text, Markdown and LaTeX: what stays where room is short, and what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tracklake as tl
from tracklake.display.tables import Column, Sheet, text
from tracklake.errors import UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> tl.Lake:
    """Two settings of six seeds that differ in four columns with long names."""
    for i in range(12):
        names = ("learning_rate_of_the_encoder", "optimizer_of_the_decoder", "batch_size_a_device", "augmentation")
        config = dict(zip(names, (0.1 + i % 2, f"adam_with_warmup_{i % 2}", 32 << i % 2, "none crop"), strict=True))
        with tl.init("p", config=config | {"seed": i // 2}, dir=tmp_path, durability="buffered") as run:
            run.log({"val/accuracy": i % 2 + 0.01 * i})
    return tl.open(tmp_path)


def test_what_decides_is_shown_at_80_columns(lake: tl.Lake):
    """Difference, p and verdict are there, however long the keys are; these are shortened, but go on to differ."""
    found = lake.compare("val/accuracy", by="config - seed", goal="max")
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 80
    heading = next(line for line in lines if "verdict" in line)
    assert all(name in heading for name in ("difference", "p (Holm)", "verdict"))
    first, second = (line.split() for line in lines[lines.index(heading) + 1 :][:2])
    assert first[1] != second[1]


def test_columns_can_be_chosen(lake: tl.Lake):
    """Markdown and LaTeX take columns by their headings, in their order, and the form "mean ± std"."""
    found = lake.compare("val/accuracy", by="learning_rate_of_the_encoder", goal="max")
    columns = ["learning_rate_of_the_encoder", "mean ± std"]
    assert found.to_markdown(columns=columns).splitlines()[2] == "| **1.1** | **1.060 ± 0.037** |"
    assert r"\textbf{1.1} & \textbf{1.060 $\pm$ 0.037} \\" in found.to_latex(columns=columns)


def test_an_unknown_column_has_its_nearest(lake: tl.Lake):
    """A heading that is not there raises, and names the nearest."""
    with pytest.raises(UnknownNameError, match="did you mean 'mean ± std'"):
        lake.compare("val/accuracy", by="seed", goal="max").to_latex(columns=["mean±std"])


def test_words_do_not_break_in_the_middle():
    """Lines break between words; of a word longer than a line the middle is left out."""
    name = "config.a_long_name_of_a_setting_that_" + "goes_on_" * 8
    title = f"learning-rate-schedules and {name}"
    lines = text(Sheet(title, [Column("n", ["1"])], notes=("left out: 3 runs of lr-schedule",)), width=30).splitlines()
    assert lines[:2] == ["learning-rate-schedules and", "  config.a_…n_goes_on_goes_on_"]
    assert lines[-2:] == ["- left out: 3 runs of", "  lr-schedule"]
