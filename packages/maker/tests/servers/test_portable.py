"""The same calls on SQLite, on an MLflow server and on what Azure ML answers: a call that only one of them
has works on the laptop and fails in the cloud, after an hour of training."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from azure_like_proxy import AzureLikeProxy

from mlops import tracking
from mlops.errors import NotFound, TargetError
from mlops.tracking import Dataset, ModelStore, PipelineTracker

DATASET = Dataset("nycfreight", "1", f"sha256:{'ab' * 32}", "2013-01..2013-03", "training")


def fresh(prefix: str = "m") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def tracker(uri: str, tmp_path: Path) -> PipelineTracker:
    return PipelineTracker(uri, tmp_path / "artifacts" if uri.startswith("sqlite") else None)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "onnx" / "model.onnx").write_bytes(b"\x00\x01")
    return folder


def test_a_step_logs_to_its_own_run(tracker, artifact, monkeypatch):
    experiment = fresh("e")
    parent = tracker.create_parent(experiment, "training", {"mlops.commit": "c" * 40})
    child = tracker.create_child(parent, "train", {"mlops.step": "train"})
    for name, value in tracker.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_RUN_ID", child)

    tracking.log_params({f"p{i}": i for i in range(150)})
    tracking.log_metrics({"roc_auc": 0.7, "rows": 12.0})
    tracking.set_tags({"seen": "yes"})
    tracking.log_artifacts(artifact, "model")

    run = tracker.get(child)
    assert run.parent == parent
    assert (len(run.params), run.params["p149"]) == (150, "149"), "one request carries 100, the rest follow"
    assert run.metrics == {"roc_auc": 0.7, "rows": 12.0}
    assert run.tags["seen"] == "yes"
    assert [r.run_id for r in tracker.children(parent)] == [child]


def test_runs_end_and_are_found_by_tag_and_status(tracker):
    experiment = fresh("e")
    done = tracker.create_parent(experiment, "a", {"mlops.pid": "1"})
    tracker.finish(done, "FINISHED")
    tracker.finish(done, "FINISHED")
    dead = tracker.create_parent(experiment, "b", {"mlops.pid": "2"})

    assert [r.run_id for r in tracker.find_runs(experiment, status="RUNNING")] == [dead]
    assert [r.run_id for r in tracker.find_runs(experiment, {"mlops.pid": "1"})] == [done]
    assert tracker.find_runs(fresh("absent")) == []


def test_a_reused_step_carries_its_results(tracker):
    parent = tracker.create_parent(fresh("e"), "a", {})
    first, again = tracker.create_child(parent, "train", {}), tracker.create_child(parent, "train", {})
    tracker.log(first, {"depth": 3}, {"loss": 0.5})
    tracker.copy_results(first, again)
    assert (tracker.get(again).params, tracker.get(again).metrics) == ({"depth": "3"}, {"loss": 0.5})
    with pytest.raises(NotFound):
        tracker.copy_results("0" * 32, again)


def test_a_version_is_registered_once_with_tags_and_comes_back_whole(tracker, uri, artifact, tmp_path):
    model, store = fresh(), ModelStore(uri)
    run = tracker.create_parent(fresh("e"), "a", {})
    tracker.log_artifacts(run, artifact, "model")
    assert store.versions(model) == []

    made = store.register(model, run, "model", "sha256:1", {"mlops.commit": "c1"})
    again = store.register(model, run, "model", "sha256:1", {"mlops.commit": "c2"})

    assert (made.version, again.version) == (1, 1)
    assert again.tags == {"mlops.commit": "c1", "mlops.digest": "sha256:1"}
    (tmp_path / "out").mkdir()
    store.download(model, 1, tmp_path / "out")
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")) == [
        "MLmodel",
        "onnx",
        "onnx/model.onnx",
    ]


def test_versions_compare_as_numbers(tracker, uri):
    model, store = fresh(), ModelStore(uri)
    run = tracker.create_parent(fresh("e"), "a", {})
    for number in range(1, 11):
        store.register(model, run, "model", f"sha256:{number}", {})
    assert [v.version for v in store.versions(model)] == list(range(10, 0, -1))


def test_tags_are_set_and_removed_again_and_again(tracker, uri):
    model, store = fresh(), ModelStore(uri)
    store.register(model, tracker.create_parent(fresh("e"), "a", {}), "model", "sha256:1", {})
    for _ in range(2):
        store.tag(model, 1, {"mlops.env.prod": "live", "mlops.gate": "pass"})
        assert store.get(model, 1).tags["mlops.env.prod"] == "live"
    for _ in range(2):
        store.tag(model, 1, {"mlops.env.prod": None})
        assert set(store.get(model, 1).tags) == {"mlops.digest", "mlops.gate"}
    with pytest.raises(NotFound, match="no version 7"):
        store.tag(model, 7, {"a": "b"})
    store.delete(model, 1)
    with pytest.raises(NotFound):
        store.get(model, 1)


def test_aliases_are_a_mirror_where_the_server_has_them(tracker, uri, request):
    model, store = fresh(), ModelStore(uri)
    store.register(model, tracker.create_parent(fresh("e"), "a", {}), "model", "sha256:1", {})
    has = "azure-like" not in request.node.callspec.params["uri"]
    assert store.mirror_alias(model, "prod", 1) is has
    assert store.mirror_alias(model, "prod", None) is has


def test_data_sets_are_inputs_where_the_server_has_them(tracker, request):
    run = tracker.create_parent(fresh("e"), "a", {})
    assert tracker.log_input(run, DATASET) is (request.node.callspec.params["uri"] != "azure-like")


def test_a_lost_answer_makes_exactly_one_version(azure_like: AzureLikeProxy):
    """The version is made, its answer is lost; MLflow's own retry would make a second one."""
    tracker, model, store = PipelineTracker(azure_like.url), fresh(), ModelStore(azure_like.url)
    run = tracker.create_parent(fresh("e"), "a", {})
    azure_like.drop_next("model-versions/create")
    made = store.register(model, run, "model", "sha256:1", {"mlops.commit": "c1"})
    assert [v.version for v in store.versions(model)] == [made.version] == [1]
    assert sum(path.endswith("model-versions/create") for path in azure_like.seen) == 1


def test_a_refused_registration_fails_loudly(azure_like: AzureLikeProxy):
    with pytest.raises(TargetError, match="cannot register"):
        ModelStore(azure_like.url).register(fresh(), "0" * 32, "model", "sha256:1", {})


def test_nothing_that_azure_lacks_is_called(azure_like: AzureLikeProxy, artifact, tmp_path):
    """What MLflow's client itself probes may be refused; a call of ours must not be."""
    tracker, model, store = PipelineTracker(azure_like.url), fresh(), ModelStore(azure_like.url)
    run = tracker.create_parent(fresh("e"), "a", {})
    tracker.log(run, {"p": 1}, {"m": 1.0})
    tracker.log_artifacts(run, artifact, "model")
    store.register(model, run, "model", "sha256:1", {})
    (tmp_path / "out").mkdir()
    store.download(model, 1, tmp_path / "out")
    tracker.finish(run, "FINISHED")
    probes = ("/server-info", "/logged-models/search")
    assert [path for path in azure_like.refused if not path.endswith(probes)] == []
