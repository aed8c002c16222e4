"""Name the tests that were skipped in every one of these JUnit reports; exit 1 if there are any.

`python .ci/always_skipped.py REPORT.xml ...`. What runs only with --long is excepted: it has a flag of its own.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

LONG = "runs only with --long"


def skipped(report: Path) -> dict[str, str]:
    """Return why each test of a report was skipped; a test that was run is not among them."""
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - as above
    reasons = {f"{case.get('classname')}::{case.get('name')}": case.find("skipped") for case in cases}
    return {name: str(reason.get("message")) for name, reason in reasons.items() if reason is not None}


def main(reports: list[Path]) -> int:
    """Print a line for each test that no environment ran."""
    by_report = [skipped(report) for report in reports]
    never_run = {name: reason for name, reason in by_report[0].items() if all(name in other for other in by_report)}
    faults = [f"{name}: {reason}" for name, reason in never_run.items() if LONG not in reason]
    print("\n".join(faults) or "every test ran in some environment")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
