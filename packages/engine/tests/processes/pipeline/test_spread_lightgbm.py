"""One LightGBM model by two processes of a distributed step is the model of one process: with more machines
it must not become another."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from tiny_pipeline import Project

from mlops.errors import TargetError
from mlops.steps import meeting

BOOST = """\
import os, pathlib, sys
import lightgbm as lgb, numpy as np
from mlops.steps import meeting

rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
generator = np.random.default_rng(0)
rows = generator.integers(20, size=(2000, 4)).astype(float)
truth = (rows[:, 0] + rows[:, 1] * rows[:, 2] / 10 + generator.normal(0, 3, 2000) > 20).astype(float)
mine = np.arange(2000) % count == rank
params = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1, "seed": 1}
params |= meeting.lightgbm()
model = lgb.train(params, lgb.Dataset(rows[mine], truth[mine], params=params), num_boost_round=10)
if rank == 0:
    out = pathlib.Path(sys.argv[1])
    np.save(out / "predictions.npy", model.predict(rows))
    (out / "d.json").write_text("[]")
    (out / "processes").write_text(str(count))
"""


def trained(project: Project, processes: int) -> np.ndarray:
    out = project.run().outputs["right.out"]
    assert (out / "processes").read_text() == str(processes)
    return np.load(out / "predictions.npy")


def test_two_processes_train_the_model_of_one(project: Project) -> None:
    (project.root / "src" / "boost.py").write_text(BOOST)
    project.edit(
        "components/right.yml",
        "python steps.py right --source ${{inputs.data}} --out ${{outputs.out}}",
        "python boost.py ${{outputs.out}} $[[${{inputs.data}}]]",
    )
    project.edit(
        "components/right.yml", "data: {type: uri_folder}", "data: {type: uri_folder, optional: true}"
    )
    one = trained(project, 1)
    project.edit(
        "pipeline.yml",
        "resources: {instance_count: 1}",
        "distribution: {type: pytorch, process_count_per_instance: 2}\n    resources: {instance_count: 1}",
    )
    two = trained(project, 2)
    assert np.ptp(one) > 0.5
    np.testing.assert_allclose(two, one, atol=1e-6)


def test_a_single_process_has_nobody_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert meeting.lightgbm() == {}


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_waits_in_vain_says_so(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {
        "RANK": rank,
        "WORLD_SIZE": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(TargetError, match=f"process {rank} of 2 did not meet the others"):
        meeting.lightgbm(patience=0.3)
