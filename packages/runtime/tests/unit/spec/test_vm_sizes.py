"""A size that Azure has retired fails after half an hour of an `up`, at the cluster: the table says it
before."""

from __future__ import annotations

from datetime import date
from importlib.resources import files

import pytest

from mlops.spec.vm_sizes import ends_of_page, has_gpu, renewed, sentence, series_of, table, verdict

TODAY = date(2026, 11, 29)
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
    assert verdict(size, TODAY) == judged
    assert bool(sentence(size, TODAY)) == (judged != "fine")


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
    assert verdict("Standard_DS3_v2", day) == judged


def test_the_sentence_names_series_day_and_what_to_take() -> None:
    assert sentence("Standard_NC6s_v3", TODAY) == (
        "Standard_NC6s_v3 is of the series NCv3, which Azure retired on 30 September 2025; "
        "take for example Standard_NC4as_T4_v3"
    )


def test_no_size_that_is_proposed_ends_itself() -> None:
    ends = {s.series: s.instead for s in table().series if s.instead and verdict(s.instead, TODAY) != "fine"}
    assert ends == {}


def test_whatever_ends_says_what_to_take_instead() -> None:
    assert [s.series for s in table().series if s.ends and not s.instead] == []


@pytest.mark.parametrize(("size", "gpu"), [("Standard_NC4as_T4_v3", True), ("Standard_D4ds_v5", False)])
def test_a_size_with_an_accelerator_is_known(size: str, gpu: bool) -> None:
    assert has_gpu(size) == gpu
    assert bool((s := series_of(size)) and s.gpu) == gpu


def test_the_page_gives_days_whichever_way_round() -> None:
    assert ends_of_page(PAGE) == {
        "Dsv2": date(2028, 6, 1),
        "B-V1": date(2028, 11, 15),
        "NCv3-NC24rs": date(2025, 9, 30),
        "NGv9": date(2031, 1, 2),
    }
    with pytest.raises(ValueError, match="holds no table"):
        ends_of_page("# moved")


def test_the_page_renews_days_and_tells_what_the_table_lacks() -> None:
    text = files("mlops.spec").joinpath("vm_sizes.yaml").read_text(encoding="utf-8")
    new, lacking = renewed(text, ends_of_page(PAGE), TODAY)
    assert lacking == ["NGv9"]
    changed = [line for line in new.splitlines() if line not in text.splitlines()]
    assert [c for c in changed if "Dsv2" not in c and not c.startswith("read:")] == []
    assert any("series: Dsv2," in c and "ends: 2028-06-01, instead: " in c for c in changed)
    assert renewed(new, ends_of_page(PAGE), TODAY)[0] == new
