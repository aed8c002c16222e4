"""Name the tests that were skipped in every one of these JUnit reports; exit 1 if there are any.

`python .ci/always_skipped.py [--excuse WORDS WHY] REPORT.xml ...`. What runs only with --long is excepted: it has a
flag of its own. A test whose reason has the WORDS of an excuse is named with why no environment ran it, and no fault.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

LONG = "runs only with --long"
EXCUSED = {
    "azurite-blob": "the emulator of Azure comes by npm, which is not on this machine or has no network",
    "needs Java": "Spark needs Java, which is not on this machine and could not be installed",
}
"""Why a test is skipped in every environment, and what keeps it from being run."""


def skipped(report: Path) -> dict[str, str]:
    """Return why each test of a report was skipped; a test that was run is not among them."""
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - as above
    reasons = {f"{case.get('classname')}::{case.get('name')}": case.find("skipped") for case in cases}
    return {name: str(reason.get("message")) for name, reason in reasons.items() if reason is not None}


def ran(report: Path) -> set[str]:
    """Return the tests of a report that were run."""
    names = {f"{case.get('classname')}::{case.get('name')}" for case in ET.parse(report).iter("testcase")}  # noqa: S314 - as above
    return names - skipped(report).keys()


def was_run(name: str, run: set[str]) -> bool:
    """Tell whether a test was run; where a whole module was skipped, whether any test of it was."""
    module, _, test = name.partition("::")
    return name in run or (not module and any(other.startswith(f"{test}::") for other in run))


def main(reports: list[Path], excuses: dict[str, str]) -> int:
    """Print a line for each test that no environment ran."""
    run = set().union(*map(ran, reports))
    never_run = {name: reason for name, reason in skipped(reports[0]).items() if not was_run(name, run)}
    long = {name for report in reports for name, reason in skipped(report).items() if LONG in reason}
    faults = []
    for name, reason in never_run.items():
        excuse = next((why for words, why in excuses.items() if words in reason), None)
        if excuse is not None:
            print(f"never run: {name} ({excuse})")
        elif name not in long:
            faults.append(f"{name}: {reason}")
    print("\n".join(faults) or "every other test ran in some environment")
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, nargs="+", metavar="REPORT.xml")
    parser.add_argument("--excuse", nargs=2, action="append", default=[], metavar=("WORDS", "WHY"))
    options = parser.parse_args()
    sys.exit(main(options.reports, EXCUSED | dict(options.excuse)))
