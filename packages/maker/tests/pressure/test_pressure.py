"""Whatever happens to a process, a disk, a clock or a colleague: nothing is lost, the next run ends well."""

from __future__ import annotations

import pytest

from tests.pressure.table import ROWS, Row

pytestmark = pytest.mark.timeout(900)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_it_holds(row: Row) -> None:
    figures, _ = row.run(row.short)
    assert figures


@pytest.mark.parametrize("row", [row for row in ROWS if row.always], ids=lambda row: row.name)
def test_a_little_of_it_holds_always(row: Row) -> None:
    figures, _ = row.run(row.always)
    assert figures
