"""A misspelt size, or one that a region does not sell, fails after half an hour of an `up`: the table knows
both before."""

from __future__ import annotations

import pytest

from mlops.spec.vm_offers import region_problem, size_problem
from mlops.spec.vm_sizes import packaged


@pytest.mark.parametrize(
    "size",
    [
        "Standard_DS3_v2",
        "standard_ds3_v2",
        "STANDARD_D2S_V3",
        "Standard_E4-2s_v3",
        "Standard_NC24ads_A100_v4",
        "Standard_NC4as_T4_v3",
        "Standard_NC24rs_v3",
        "Basic_A1",
        "Standard_NC6_Promo",
        "Standard_F4s_v2",
        "${{parent.inputs.size}}",
        "Standard_ND96amsr_A100_v4",
        "Standard_D4nds_v6",
        "Standard_M176ds_4_v3",
        "Standard_NC32ds_xl_RTXPRO6000BSE_v6",
    ],
)
def test_sizes_that_azure_has(size: str) -> None:
    assert size_problem(size) == ""


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("Standard_D3s", "no series"),
        ("Standard_DS3v2", "did you mean Standard_DS3_v2?"),
        ("Standard_DS3_v9", "no series"),
        ("Standard_DS9_v2", "this series has"),
        ("Standard_NC5as_T4_v3", "this series has"),
        ("Standard_NC4as_A100_v3", "no series"),
        ("DS3_v2", "is no size"),
        ("Standard_", "is no size"),
        ("Standard_E4-4s_v3", "this series has 2, 4, 4-2"),
        ("Standard_D8-4ds_v5", "this series has"),
        ("Standard_D4ds_v55", "did you mean Standard_D4ds_v5?"),
        ("Standard_NC4as_T4_v33", "did you mean Standard_NC4as_T4_v3?"),
        ("Standard_D3ds_v5", "this series has 2, 4"),
        ("Standard_NC24ads_v4", "no series"),
    ],
)
def test_sizes_that_azure_does_not_have(size: str, why: str) -> None:
    assert why in size_problem(size)


def test_a_size_may_be_vouched_for() -> None:
    assert size_problem("Standard_Z1", frozenset({"standard_z1"})) == ""


@pytest.mark.parametrize(
    ("size", "region", "sold"),
    [
        ("Standard_NC4as_T4_v3", "westeurope", True),
        ("Standard_NC4as_T4_v3", "norwayeast", False),
        ("standard_nc4as_t4_v3", "norwayeast", False),
        ("Standard_NC24ads_A100_v4", "swedencentral", True),
        ("Standard_NC24ads_A100_v4", "canadaeast", False),
        ("Standard_ND40rs_v2", "westeurope", True),
        ("Standard_ND40rs_v2", "uksouth", False),
        ("Standard_NC4as_T4_v3", "belgiumcentral", True),
        ("Standard_Z1", "norwayeast", True),
    ],
)
def test_a_region_without_a_price_does_not_sell_the_size(size: str, region: str, sold: bool) -> None:
    assert (region_problem(size, region) == "") == sold


def test_a_size_that_somebody_vouches_for_is_sold() -> None:
    assert region_problem("Standard_NC4as_T4_v3", "norwayeast", {"standard_nc4as_t4_v3"}) == ""


def test_what_is_recommended_instead_of_a_retired_size_exists() -> None:
    assert [s.instead for s in packaged().series if s.instead and size_problem(s.instead)] == []
