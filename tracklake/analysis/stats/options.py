"""The words among which one chooses how runs are compared; apart, so that the help of a shell loads no statistics."""

from __future__ import annotations

from typing import Literal

Center = Literal["mean", "median", "iqm"]
"""What stands for many runs."""
Failed = Literal["exclude", "include"]
"""Whether runs count that failed or crashed."""
Diverged = Literal["count", "exclude", "fail"]
"""What becomes of runs whose metric ended in NaN or infinity: they count by what they logged before, are left out, or
count as failed."""
Test = Literal["auto", "t", "rank"]
"""The test of a difference: on the size of the numbers, on their ranks, or whichever suits them."""
Unit = Literal["run", "task"]
"""What counts as one observation."""
