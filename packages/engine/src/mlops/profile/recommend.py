"""From measured points and a wish to a VM size and instance count: one pure function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from mlops.errors import Blocked, Inconclusive
from mlops.profile.model import OTHERS_LIMIT, Point, Profile, Recommendation, Size, Wish
from mlops.spec.vm_sizes import table, verdict

QUOTA = 1.2
MEMORY_HEADROOM = 1.5
_GIB = 1 << 30
MAX_INSTANCES = 50
"""Of a managed online deployment."""


def sizes(root: Path | None) -> tuple[Size, ...]:
    """The table of `sizes.yaml`, without those that Azure retires within a year.

    Raises `InvalidInput` when the repository's own table of days is wrong."""
    import yaml

    text = files("mlops.profile").joinpath("sizes.yaml").read_text(encoding="utf-8")
    rows = (Size.model_validate(row) for row in yaml.safe_load(text)["sizes"])
    today, known = datetime.now(UTC).date(), table(root)
    return tuple(row for row in rows if verdict(row.name, today, known) == "fine")


def recommend(profile: Profile, wish: Wish, choice: Sequence[Size]) -> Recommendation:
    """The fewest vCPUs that hold the wish; among equals the least memory, then the fewest instances.

    The basis is the busiest point that kept the wished p99 without a failure: beyond its share of busy
    cores the promise was not kept, so no core is planned to be busier than that (nor than
    `wish.utilisation`). Raises `Blocked` when no machine can help: the model is too slow even for one
    client, or more than 50 of the largest would be needed; `Inconclusive` when CPU time is not known.
    """
    basis = _basis(profile, wish)
    cpu, workers, memory = _known(basis)
    cpu_seconds = cpu / basis.rate
    # A worker has one event loop, hence one core; how busy it was when the promise was last kept.
    busy = min(wish.utilisation, cpu / workers)
    per_worker = memory / workers
    candidates = []
    for size in choice:
        usable = size.vcpus - wish.sidecar_vcpus
        room = size.memory - wish.base_gigabytes
        need = (size.vcpus * per_worker * MEMORY_HEADROOM + profile.body_bytes) / _GIB
        if usable <= 0 or need > room:
            continue
        capacity = usable * busy * wish.vcpu_speed / cpu_seconds
        count = max(wish.min_instances, math.ceil(wish.rate / capacity))
        if count <= MAX_INSTANCES:
            candidates.append((count * size.vcpus, count * size.memory, count, size, capacity))
    if not candidates:
        raise Blocked(
            f"{wish.rate:g} requests/s need more than {MAX_INSTANCES} instances of every size in the table, "
            "or more memory than any has; make the model cheaper, or split the traffic among endpoints"
        )
    vcpus, _, count, size, capacity = min(candidates, key=lambda row: row[:3])
    return Recommendation(
        size=size.name,
        instances=count,
        vcpus=size.vcpus,
        memory=size.memory,
        capacity=round(capacity * count, 1),
        without_one=round(capacity * (count - 1), 1),
        max_concurrent_requests_per_instance=_concurrent(basis, workers, size),
        quota_vcpus=math.ceil(vcpus * QUOTA),
        cpu_milliseconds=round(cpu_seconds * 1000, 4),
        based_on=basis.connections,
        notes=_notes(profile, wish, basis, capacity * (count - 1)),
    )


def _basis(profile: Profile, wish: Wish) -> Point:
    if not profile.points:
        raise Inconclusive("nothing was measured")
    sound = [p for p in profile.points if p.failures == 0 and p.rate > 0]
    if not sound:
        worst = profile.points[0]
        raise Inconclusive(f"every measurement had failures (the first: {worst.reason}); nothing can be said")
    kept = [p for p in sound if p.p99 <= wish.p99]
    if not kept:
        best = min(sound, key=lambda p: p.p99)
        raise Blocked(
            f"the best p99 was {best.p99 * 1000:.1f} ms, at {best.connections} connections; "
            f"{wish.p99 * 1000:g} ms was never kept, and more machines make no single request faster"
        )
    return max(kept, key=lambda p: p.rate)


def _known(point: Point) -> tuple[float, int, int]:
    if not point.cpu or point.memory_bytes is None or not point.workers:
        raise Inconclusive(
            "CPU and memory of the server are not known here, and without them no size can be recommended; "
            "profile the same release on the local target"
        )
    return point.cpu, point.workers, point.memory_bytes


def _concurrent(basis: Point, workers: int, size: Size) -> int:
    """What one worker had at a time, for as many workers as the machine has vCPUs."""
    return max(1, math.ceil(basis.connections / workers)) * size.vcpus


def _notes(profile: Profile, wish: Wish, basis: Point, without_one: float) -> list[str]:
    notes = []
    if basis.client_bound:
        notes.append(
            f"the load generator was at its limit at {basis.connections} connections: the server may take "
            "more, and latencies hold the client's own waiting"
        )
    if basis.others_cpu > OTHERS_LIMIT:
        notes.append(
            f"something else used {basis.others_cpu:.1f} cores of this machine: the server got less than it "
            "would have taken, so this is more than is needed; measure again when it is quiet"
        )
    if basis.connections == max(p.connections for p in profile.points):
        notes.append("the last point still kept the p99; with more connections fewer vCPUs might do")
    if without_one < wish.rate:
        notes.append(
            f"when one instance is gone, {without_one:.0f} requests/s remain within the p99; "
            "give --min-instances one more to hold the rate"
        )
    return notes
