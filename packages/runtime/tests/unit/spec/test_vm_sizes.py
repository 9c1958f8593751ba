"""A size that Azure has retired fails after half an hour of an `up`, at the cluster: the table says it
before."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.vm_sizes import (
    OWN,
    Table,
    ends_of_page,
    has_gpu,
    packaged,
    renewed,
    sentence,
    series_of,
    table,
    verdict,
)

TODAY = date(2026, 11, 29)
SIZES = packaged()
PAGE = """
|Series name        | Retirement Status |Retirement Announcement | Planned Retirement Date | Migration Guide |
|-------------------|-------------------|------------------------|-------------------------|-----------------|
| Dsv2-series       | **Announced**     | [03/31/25](https://x)  | 06/01/28                | [Guide](/a)     |
| B-series (V1)     | **Announced**     | [10/15/25](https://x)  | 11/15/28                | [Guide](/a)     |
| NCv3-NC24rs Series | **Retired**      | -                      | 30/9/25                 | [Guide](/a)     |
| NGv9-series       | **Announced**     | [10/15/29](https://x)  | 01/02/2031              | [Guide](/a)     |
"""


@pytest.mark.parametrize(
    ("size", "judged"),
    [
        ("Standard_NC6s_v3", "ended"),
        ("Standard_NC24rs_v3", "ended"),
        ("standard_nc12s_v3", "ended"),
        ("Standard_NV12s_v3", "ended"),
        ("Standard_NV8as_v4", "ended"),
        ("Standard_NC6", "ended"),
        ("Standard_A2", "ended"),
        ("Standard_A10", "ended"),
        ("Standard_A8_v2", "fine"),
        ("Standard_NC24_Promo", "ended"),
        ("Standard_NC24rs_v2", "ended"),
        ("Standard_ND24rs", "ended"),
        ("Standard_ND40rs_v2", "fine"),
        ("Standard_NV24_Promo", "ended"),
        ("Standard_H16mr", "ended"),
        ("Standard_DC8_v2", "ended"),
        ("Standard_DC2s_v2", "ended"),
        ("Standard_M192idms_v2", "soon"),
        ("Standard_M192is_v2", "soon"),
        ("Standard_M64s", "fine"),
        ("Standard_HB120rs_v2", "soon"),
        ("Standard_HC44-16rs", "soon"),
        ("Standard_M192ids_v2", "soon"),
        ("Standard_DS3_v2", "fine"),
        ("Standard_F4s_v2", "fine"),
        ("Standard_NC4as_T4_v3", "fine"),
        ("Standard_NC24ads_A100_v4", "fine"),
        ("Standard_D4ds_v5", "fine"),
        ("Standard_E8ds_v5", "fine"),
    ],
)
def test_the_table_knows_what_ends(size: str, judged: str) -> None:
    assert verdict(size, TODAY, SIZES) == judged
    assert bool(sentence(size, TODAY, SIZES)) == (judged != "fine")


@pytest.mark.parametrize(
    ("day", "judged"),
    [
        (date(2027, 4, 30), "fine"),
        (date(2027, 5, 2), "soon"),
        (date(2028, 4, 30), "soon"),
        (date(2028, 5, 1), "ended"),
    ],
)
def test_the_day_decides(day: date, judged: str) -> None:
    assert verdict("Standard_DS3_v2", day, SIZES) == judged


def test_the_sentence_names_series_day_and_what_to_take() -> None:
    assert sentence("Standard_NC6s_v3", TODAY, SIZES) == (
        "Standard_NC6s_v3 is of the series NCv3, which Azure retired on 30 September 2025; "
        "take for example Standard_NC4as_T4_v3"
    )


def test_no_size_that_is_proposed_ends_itself() -> None:
    ends = [s.instead for s in SIZES.series if s.instead and verdict(s.instead, TODAY, SIZES) != "fine"]
    assert ends == []


def test_whatever_ends_says_what_to_take_instead() -> None:
    assert [s.series for s in SIZES.series if s.ends and not s.instead] == []


@pytest.mark.parametrize(("size", "gpu"), [("Standard_NC4as_T4_v3", True), ("Standard_D4ds_v5", False)])
def test_a_size_with_an_accelerator_is_known(size: str, gpu: bool) -> None:
    assert has_gpu(size) == gpu
    assert bool((s := series_of(size, SIZES)) and s.gpu) == gpu


def test_the_page_gives_days_whichever_way_round() -> None:
    assert ends_of_page(PAGE) == {
        "Dsv2": date(2028, 6, 1),
        "B-V1": date(2028, 11, 15),
        "NCv3-NC24rs": date(2025, 9, 30),
        "NGv9": date(2031, 1, 2),
    }
    with pytest.raises(ValueError, match="holds no table"):
        ends_of_page("# moved")


def test_the_page_renews_days_and_tells_what_the_table_lacks(tmp_path: Path) -> None:
    text, lacking = renewed(SIZES, ends_of_page(PAGE), TODAY)
    assert lacking == ["NGv9"]
    own = write(tmp_path, text)
    assert own.read == TODAY
    then = {s.series: s for s in own.series}
    changed = [s for s in SIZES.series if then[s.series] != s]
    assert [s.series for s in changed] == ["Dsv2"]
    assert then["Dsv2"].ends == date(2028, 6, 1)
    assert [s.series for s in own.series] == [s.series for s in SIZES.series], "the first pattern counts"
    assert renewed(own, ends_of_page(PAGE), TODAY)[0] == text


def write(root: Path, text: str) -> Table:
    (root / OWN).parent.mkdir(exist_ok=True)
    (root / OWN).write_text(text, encoding="utf-8")
    return table(root)


NEW = 'series:\n  - {series: NGv9, sizes: "NG8s_v9", gpu: Z1, ends: 2026-01-01}\n'
LATER = '  - {series: NCv3, sizes: "NC6s_v3", gpu: V100, ends: 2031-01-01}\n'


def test_a_repositorys_own_table_is_read_before_the_packages(tmp_path: Path) -> None:
    assert table(tmp_path) == table(None) == SIZES
    own = write(tmp_path, f"read: 2030-01-01\n{NEW}{LATER}")
    assert verdict("Standard_NG8s_v9", TODAY, own) == "ended"
    assert verdict("Standard_NC6s_v3", TODAY, own) == "fine"
    assert verdict("Standard_HC44rs", TODAY, own) == "soon", "what it lacks the package knows"


def test_an_old_table_of_a_repository_does_not_hide_what_the_package_knows_better(tmp_path: Path) -> None:
    own = write(tmp_path, f"read: 2024-01-01\n{NEW}{LATER}")
    assert own.read == SIZES.read
    assert verdict("Standard_NC6s_v3", TODAY, own) == "ended"
    assert verdict("Standard_NG8s_v9", TODAY, own) == "ended", "a series of its own stays"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read: 2026-01-01\nseries:\n  - {series: X, sizes: 'N('}\n", "must be a regular expression"),
        ("read: soon\nseries: []\n", "vm_sizes.yaml:1"),
        ("read: 2026-01-01\nseries:\n  - {series: X, sizes: X1, end: 2027-01-01}\n", "vm_sizes.yaml:3"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        write(tmp_path, text)
