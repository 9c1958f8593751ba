"""A profile as JSON, Markdown and a picture of its curves."""

from __future__ import annotations

import json
from pathlib import Path

from mlops.profile.model import OTHERS_LIMIT, Point, Profile, Recommendation, Wish

JSON, MARKDOWN, PLOT = "profile.json", "profile.md", "profile.png"


def write(
    folder: Path, profile: Profile, wish: Wish | None = None, recommended: Recommendation | None = None
) -> list[Path]:
    """Write the three files; answers their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    value = {
        "profile": profile.model_dump(mode="json"),
        "wish": wish.model_dump() if wish else None,
        "recommendation": recommended.model_dump() if recommended else None,
    }
    (folder / JSON).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(profile, wish, recommended), encoding="utf-8")
    plot(folder / PLOT, profile, wish)
    return [folder / name for name in (JSON, MARKDOWN, PLOT)]


def markdown(profile: Profile, wish: Wish | None, recommended: Recommendation | None) -> str:
    """For a pull request or an issue."""
    milliseconds = f"{wish.p99 * 1000:g} ms" if wish else ""
    lines = [
        f"# {profile.model} {profile.release} in {profile.environment}",
        "",
        f"{profile.rows} row(s) a request, {profile.body_bytes:,} bytes, {profile.seconds:g} s a point, "
        f"closed loop, on {profile.machine}, {profile.made:%Y-%m-%d %H:%M} UTC. Load generator and server "
        "share the machine.",
        "",
        "| connections | requests/s | p50 ms | p90 ms | p99 ms | worst ms | failures | CPU cores | MB |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(point) for point in profile.points),
        "",
    ]
    disturbed = max((point.others_cpu for point in profile.points), default=0.0)
    if disturbed > OTHERS_LIMIT:
        lines += [f"Others used up to {disturbed:.1f} cores of this machine meanwhile.", ""]
    if any(point.client_bound for point in profile.points):
        lines += ["\\* the load generator was at its limit: the server may take more.", ""]
    if wish is not None and recommended is not None:
        choice = recommended
        lines += [
            f"## For {wish.rate:g} requests/s at a p99 of {milliseconds}",
            "",
            f"**{choice.instances} instances of {choice.size}** "
            f"({choice.vcpus} vCPU, {choice.memory:g} GiB each): "
            f"{choice.capacity:g} requests/s, {choice.without_one:g} without one of them.",
            "",
            f"- `max_concurrent_requests_per_instance: {choice.max_concurrent_requests_per_instance}`",
            f"- quota to ask for: {choice.quota_vcpus} vCPU (20 % are reserved for upgrades)",
            f"- {choice.cpu_milliseconds:g} ms of CPU a request here, at {choice.based_on} connections; "
            f"an Azure vCPU is taken as {wish.vcpu_speed:g} of a core of this machine, "
            f"{wish.utilisation:.0%} busy",
            *(f"- {note}" for note in choice.notes),
            "",
        ]
    return "\n".join(lines)


def _row(point: Point) -> str:
    star = " *" if point.client_bound else ""
    cells = [
        str(point.connections),
        f"{point.rate:.0f}{star}",
        *(f"{seconds * 1000:.2f}" for seconds in (point.p50, point.p90, point.p99, point.worst)),
        str(point.failures),
        "" if point.cpu is None else f"{point.cpu:.2f}",
        "" if point.memory_bytes is None else f"{point.memory_bytes / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def plot(path: Path, profile: Profile, wish: Wish | None) -> None:
    """Throughput, latency, CPU and memory over concurrency."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharex=True)
    at = [p.connections for p in profile.points]
    axes[0, 0].plot(at, [p.rate for p in profile.points], marker="o")
    axes[0, 0].set(title="requests/s")
    limited = [p for p in profile.points if p.client_bound]
    if limited:
        axes[0, 0].plot(
            [p.connections for p in limited], [p.rate for p in limited], "x", color="black", markersize=10,
            label="load generator at its limit",
        )  # fmt: skip
        axes[0, 0].legend()
    for name in ("p50", "p90", "p99"):
        axes[0, 1].plot(at, [getattr(p, name) * 1000 for p in profile.points], marker="o", label=name)
    if wish is not None:
        axes[0, 0].axhline(wish.rate, linestyle="--", color="grey")
        axes[0, 1].axhline(wish.p99 * 1000, linestyle="--", color="grey", label="wished p99")
    axes[0, 1].set(title="latency, ms", yscale="log")
    axes[0, 1].yaxis.set_major_formatter("{x:g}")
    axes[0, 1].yaxis.set_minor_formatter("{x:g}")
    axes[0, 1].legend()
    for axis, title, values in (
        (axes[1, 0], "CPU cores of the server", [p.cpu for p in profile.points]),
        (
            axes[1, 1],
            "memory, MB",
            [p.memory_bytes / 1e6 if p.memory_bytes else None for p in profile.points],
        ),
    ):
        if all(value is not None for value in values):
            axis.plot(at, values, marker="o")
            axis.margins(y=0.15)
        else:
            axis.text(0.5, 0.5, "not known", ha="center", transform=axis.transAxes)
        axis.set(title=title, xlabel="connections")
        axis.set_ylim(bottom=0)
    for axis in axes.flat:
        axis.set_xscale("log", base=2)
        axis.set_xticks(at, [str(n) for n in at])
        axis.grid(alpha=0.3)
    figure.suptitle(
        f"{profile.model} {profile.release} in {profile.environment}, {profile.rows} row(s) a request"
    )
    figure.savefig(path, dpi=110)
