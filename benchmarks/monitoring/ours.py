"""The verdict of `mlops monitor` on captured files, as one process: prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

began = time.perf_counter(), time.process_time()

from data import LENGTH, NUMBERS, START, WORDS  # noqa: E402

from mlops.monitoring import judge  # noqa: E402
from mlops.monitoring.distance import CORRECTIONS  # noqa: E402
from mlops.monitoring.profile import Profile, profile_file  # noqa: E402
from mlops.monitoring.scan import scan  # noqa: E402
from mlops.monitoring.thresholds import Rules  # noqa: E402
from mlops.spec.monitoring import TimeSpan  # noqa: E402
from mlops.spec.schema import Column, ModelSchema  # noqa: E402


def main() -> None:
    reference, captured, threshold, profile = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        float(sys.argv[3]),
        Path(sys.argv[4]),
    )
    columns = [Column(name=n, type="number", nullable=True) for n in NUMBERS]
    columns += [Column(name=n, type="string") for n in WORDS]
    schema = ModelSchema(model="bench", task="binary", columns=columns, classes=["0", "1"])
    if not profile.exists():  # made once, when the model is registered
        profile.write_text(profile_file(reference, columns, "reference").model_dump_json())
        return
    known = Profile.model_validate_json(profile.read_bytes())
    loaded = time.perf_counter(), time.process_time()
    window = TimeSpan(start=START, end=START + LENGTH)
    found = scan(sorted(captured.glob("*.parquet")), window, 1, schema, known)
    limit = {"population_stability_index": threshold}
    told = judge.drift(
        known, found.columns, Rules({"numerical": limit, "categorical": limit}), CORRECTIONS["holm"]
    )
    ended = time.perf_counter(), time.process_time()
    answer = {
        "rows": found.rows,
        "drifted": sorted(s.name for s in told if s.verdict == "breach"),
        "psi": {s.name: s.observed for s in told},
        "start": loaded[0] - began[0],
        "seconds": ended[0] - loaded[0],
        "cpu": ended[1] - loaded[1],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(answer))


main()
