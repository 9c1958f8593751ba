"""The recommendation is a promise about money and latency: each of its rules is shown to decide something."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.errors import Blocked, Inconclusive
from mlops.profile.model import Point, Profile, Size, Wish
from mlops.profile.recommend import recommend, sizes

ROOT = Path(__file__).parents[5]
SIZES = [
    Size(name="Standard_F2s_v2", vcpus=2, memory=4),
    Size(name="Standard_D2as_v4", vcpus=2, memory=8),
    Size(name="Standard_F4s_v2", vcpus=4, memory=8),
    Size(name="Standard_F16s_v2", vcpus=16, memory=32),
]
PLAIN = {"vcpu_speed": 1.0, "sidecar_vcpus": 0.0, "utilisation": 0.5}


def point(connections: int, rate: float, p99: float, cpu: float | None, **more: Any) -> Point:
    given = {"failures": 0, "p50": p99 / 3, "p90": p99 / 2, "worst": p99 * 2, "memory_bytes": 100 << 20}
    return Point(
        connections=connections, rate=rate, p99=p99, cpu=cpu,
        **{"workers": 1, "client_cpu": 0.3, **given, **more},
    )  # fmt: skip


CURVE = [
    point(1, 400, 0.004, 0.4),
    point(4, 900, 0.008, 0.9),
    point(16, 1000, 0.030, 1.0),
    point(64, 1010, 0.120, 1.0),
]
"""One millisecond of CPU a request; saturated from 16 connections on."""


def profile(points: list[Point], body_bytes: int = 500) -> Profile:
    return Profile(
        model="freight", environment="prod", release=1, rows=1, body_bytes=body_bytes, seconds=3,
        made=datetime.now(UTC), machine="2 x test", points=points,
    )  # fmt: skip


def wish(rate: float, p99: float, **more: Any) -> Wish:
    return Wish(rate=rate, p99=p99, **{**PLAIN, **more})


def test_vcpus_follow_from_cpu_time_a_request() -> None:
    # 2 vCPUs half busy at 1 ms a request take 1000/s: two instances for 1500/s.
    found = recommend(profile(CURVE), wish(1500, 0.05), SIZES)
    assert (found.size, found.instances, found.capacity) == ("Standard_F2s_v2", 2, 2000)
    assert (found.based_on, found.cpu_milliseconds) == (16, 1.0)
    assert found.quota_vcpus == 5, "4 vCPUs and 20 % for upgrades, whole ones"
    assert found.without_one == 1000
    assert any("when one instance is gone, 1000 requests/s remain" in note for note in found.notes)


def test_a_stricter_p99_takes_an_earlier_point_and_no_core_is_planned_busier_than_it_was_there() -> None:
    # Half busy is more than the 0.4 at which 5 ms were last kept.
    found = recommend(profile(CURVE), wish(1500, 0.005), SIZES)
    assert (found.based_on, found.instances, found.size) == (1, 2, "Standard_F2s_v2")
    assert found.capacity == pytest.approx(2 * 2 * 0.4 / 0.001)


def test_few_vcpus_win_then_little_memory_then_few_instances() -> None:
    # 9 vCPUs are needed: 5 of 2, 3 of 4 or 1 of 16 (with two at least: 32).
    found = recommend(profile(CURVE), wish(4500, 0.05), SIZES)
    assert (found.size, found.instances) == ("Standard_F2s_v2", 5)
    # 8 vCPUs: 4 of 2 and 2 of 4 have as many vCPUs and as much memory; two machines are less to look after.
    found = recommend(profile(CURVE), wish(4000, 0.05), SIZES)
    assert (found.size, found.instances) == ("Standard_F4s_v2", 2)


def test_instances_at_least_speed_and_sidecar_count() -> None:
    assert recommend(profile(CURVE), wish(1, 0.05, min_instances=3), SIZES).instances == 3
    slow = recommend(profile(CURVE), wish(1500, 0.05, vcpu_speed=0.5), SIZES)
    assert slow.instances * slow.vcpus == 6 + 0 or slow.capacity >= 1500
    assert slow.capacity == pytest.approx(slow.instances * slow.vcpus * 0.5 * 0.5 / 0.001)
    shared = recommend(profile(CURVE), wish(1500, 0.05, sidecar_vcpus=1.0), SIZES)
    assert shared.capacity == pytest.approx(shared.instances * (shared.vcpus - 1) * 0.5 / 0.001)


def test_memory_excludes_a_size() -> None:
    heavy = [p.model_copy(update={"memory_bytes": 2 << 30}) for p in CURVE]
    # 2 workers of 2 GiB and half as much again do not fit into 4 - 1 GiB, but into 8 - 1.
    assert recommend(profile(heavy), wish(100, 0.05), SIZES).size == "Standard_D2as_v4"
    huge = [p.model_copy(update={"memory_bytes": 20 << 30}) for p in CURVE]
    with pytest.raises(Blocked, match="more memory than any has"):
        recommend(profile(huge), wish(100, 0.05), SIZES)


def test_workers_share_what_was_measured() -> None:
    two = [p.model_copy(update={"workers": 2, "cpu": (p.cpu or 0) * 2, "rate": p.rate * 2}) for p in CURVE]
    one, both = (recommend(profile(c), wish(1500, 0.05), SIZES) for c in (CURVE, two))
    assert one.capacity == both.capacity
    assert both.max_concurrent_requests_per_instance == one.max_concurrent_requests_per_instance / 2


def test_points_with_failures_are_no_basis() -> None:
    failing = [*CURVE[:2], *(p.model_copy(update={"failures": 1}) for p in CURVE[2:])]
    assert recommend(profile(failing), wish(100, 0.05), SIZES).based_on == 4
    broken = [p.model_copy(update={"failures": 3, "reason": "answer 500"}) for p in CURVE]
    with pytest.raises(Inconclusive, match=r"every measurement had failures \(the first: answer 500"):
        recommend(profile(broken), wish(100, 0.05), SIZES)


def test_what_no_machine_can_help_is_blocked_and_what_is_not_known_is_no_verdict() -> None:
    with pytest.raises(Blocked, match=r"best p99 was 4.0 ms, at 1 connections; 1 ms was never kept"):
        recommend(profile(CURVE), wish(100, 0.001), SIZES)
    with pytest.raises(Blocked, match="more than 50 instances of every size"):
        recommend(profile(CURVE), wish(1e6, 0.05), SIZES)
    blind = [p.model_copy(update={"cpu": None}) for p in CURVE]
    with pytest.raises(Inconclusive, match="profile the same release on the local target"):
        recommend(profile(blind), wish(100, 0.05), SIZES)
    with pytest.raises(Inconclusive, match="nothing was measured"):
        recommend(profile([]), wish(100, 0.05), SIZES)


def test_a_load_generator_at_its_limit_is_said() -> None:
    limited = [p.model_copy(update={"client_cpu": 0.95}) for p in CURVE]
    assert any(
        "load generator was at its limit" in n for n in recommend(profile(limited), wish(1, 1), SIZES).notes
    )
    assert not any("load generator" in n for n in recommend(profile(CURVE), wish(1, 1), SIZES).notes)


def test_a_machine_that_others_used_is_said() -> None:
    disturbed = [p.model_copy(update={"others_cpu": 1.2}) for p in CURVE]
    assert any(
        "something else used 1.2 cores" in n for n in recommend(profile(disturbed), wish(1, 1), SIZES).notes
    )
    assert not any("something else" in n for n in recommend(profile(CURVE), wish(1, 1), SIZES).notes)


def test_the_table_is_sound_and_in_the_grammar_that_infra_allows() -> None:
    from mlops.infra.config import VmSize

    pattern = VmSize.__metadata__[0].metadata[0].pattern
    names = [size.name for size in sizes(None)]
    assert len(names) == len(set(names)) >= 10
    for size in sizes(None):
        assert re.fullmatch(pattern, size.name), size.name
        assert 1 <= size.memory / size.vcpus <= 8, f"{size.name}: GiB a vCPU"
        told = re.search(r"_[A-Z]+?(\d+)", size.name)
        assert told is not None
        if "DS" not in size.name:  # the old series counts otherwise
            assert int(told[1]) == size.vcpus, size.name


def test_the_table_says_where_its_figures_come_from() -> None:
    text = (ROOT / "packages/engine/src/mlops/profile/sizes.yaml").read_text()
    assert text.count("https://learn.microsoft.com/") >= 2
    assert yaml.safe_load(text)["sizes"]
