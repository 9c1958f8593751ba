"""Online endpoints by unmodified clients against deployments that really serve."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlops.errors import Inconclusive, IntegrityError, InvalidInput, NotFound, TargetError
from mlops.serving.score import signing
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import tree_digest
from mlops.spec.online import Kubernetes, OnlineSettings
from mlops.spec.signing import SigningSettings, signature_path
from tests.azure.emulator import Answer, Emulator
from tests.azure.online_bench import IMAGE, AzureBench, settings_with
from tests.contracts.endpoints import (
    ENV,
    MODEL,
    EndpointsContract,
    ask,
    create,
    release,
    shares,
    write_artifacts,
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def bench(logged_in: Emulator, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> AzureBench:
    monkeypatch.setattr("mlops.targets.azure._metrics.PAUSE", 0.1)
    made = AzureBench(logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE)))
    logged_in.online.add(made.workspace.id, made.name)
    return made


class TestAzureEndpoints(EndpointsContract):
    """`AzureEndpoints`, with our container."""


def test_what_azure_is_told(bench: AzureBench) -> None:
    """Size, probes, limits, collector, rules and the identity of the release, in the official types."""
    online = OnlineSettings(
        image=IMAGE, instances=2, max_instances=5, request_seconds=3, concurrent_requests=9
    )
    bench.settings = settings_with(online)
    bench.__post_init__()
    create(bench, "blue", 1, "one")
    endpoint = f"{bench.workspace.id}/onlineEndpoints/{bench.name}"
    found = bench.emulator.arm.get(f"{endpoint}/deployments/blue")
    assert found is not None
    told = found["properties"]
    assert found["sku"]["capacity"] == 2
    assert told["instanceType"] == "Standard_DS3_v2"
    assert told["requestSettings"]["requestTimeout"] == "PT3S"
    assert told["requestSettings"]["maxConcurrentRequestsPerInstance"] == 9
    assert told["livenessProbe"]["failureThreshold"] == 60
    assert told["readinessProbe"]["period"] == "PT10S"
    assert told["environmentVariables"]["MLOPS_MODEL_DIGEST"] == tree_digest(bench.artifacts["one"])
    collections = told["dataCollector"]["collections"]
    assert collections.keys() == {"model_inputs", "model_outputs"}
    asset = bench.emulator.arm.get(collections["model_inputs"]["dataId"])
    path = f"datastores/captured/paths/modelDataCollector/{bench.name}/blue/model_inputs"
    assert asset is not None and str(asset["properties"]["dataUri"]).endswith(path)
    assert "/registries/" in str(told["model"])
    group = bench.workspace.id.partition("/providers/")[0]
    rules = bench.emulator.arm.get(
        f"{group}/providers/Microsoft.Insights/autoscalesettings/autoscale-{bench.name}-blue"
    )
    assert rules is not None
    profile = rules["properties"]["profiles"][0]
    assert (profile["capacity"]["minimum"], profile["capacity"]["maximum"]) == ("2", "5")
    assert {r["scaleAction"]["direction"] for r in profile["rules"]} == {"Increase", "Decrease"}
    assert rules["properties"]["targetResourceUri"] == f"{endpoint}/deployments/blue"
    bench.endpoints.stop(ENV, MODEL)
    assert bench.emulator.arm.get(rules["id"]) is None, "rules of a deployment that is gone"
    assert bench.emulator.online.running() == []


def test_azures_own_server_runs_the_scoring_script(
    logged_in: Emulator, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a container: the code of this repository is uploaded, and azmlinfsrv runs it."""
    monkeypatch.setattr("mlops.targets.azure._metrics.PAUSE", 0.1)
    bench = AzureBench(logged_in, artifacts, settings_with(OnlineSettings()))
    logged_in.online.add(bench.workspace.id, bench.name)
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    with pytest.raises(TargetError, match=r"answered 424 \(422 from the model\): .*carrier"):
        bench.endpoints.score(ENV, MODEL, {"data": [{"carrier": 1}]})
    (process,) = logged_in.online._serving.values()
    assert "azmlinfsrv" in str(process.process.args)


def test_without_a_pulumi_endpoint(logged_in: Emulator, artifacts: dict[str, Path]) -> None:
    bench = AzureBench(logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE)))
    with pytest.raises(NotFound, match=rf"list {MODEL} under `endpoints` of .*Pulumi\.prod\.yaml"):
        create(bench, "blue", 1, "one")


def test_kubernetes_by_a_setting(logged_in: Emulator, artifacts: dict[str, Path]) -> None:
    online = OnlineSettings(image=IMAGE, kubernetes=Kubernetes(compute="aks-1"))
    bench = AzureBench(logged_in, artifacts, settings_with(online))
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    endpoint = logged_in.arm.get(f"{bench.workspace.id}/onlineEndpoints/{bench.name}")
    assert endpoint is not None
    assert endpoint["properties"]["compute"].endswith("aks-1")
    create(bench, "green", 2, "two")
    with pytest.raises(InvalidInput, match="a Kubernetes endpoint mirrors nothing"):
        bench.endpoints.set_traffic(ENV, MODEL, {"blue": 100}, {"green": 10})
    managed = AzureBench(logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE)))
    with pytest.raises(InvalidInput, match=r"is a Kubernetes one, but mlops\.toml says otherwise"):
        managed.endpoints.set_traffic(ENV, MODEL, {"blue": 100, "green": 0})


def test_without_a_registry_the_artifact_is_copied(logged_in: Emulator, artifacts: dict[str, Path]) -> None:
    bench = AzureBench(logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE), registry="none"))
    logged_in.online.add(bench.workspace.id, bench.name)
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    with pytest.raises(TargetError, match="it is another model of the same number"):
        create(bench, "green", 1, "two")


def test_tokens_in_place_of_keys(logged_in: Emulator, artifacts: dict[str, Path]) -> None:
    bench = AzureBench(logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE)))
    logged_in.online.add(bench.workspace.id, bench.name, auth="AADToken")
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    assert bench.endpoints.key(ENV, MODEL).count(".") == 2, "a token of Entra ID"


def test_new_keys_are_noticed(bench: AzureBench) -> None:
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    bench.emulator.online._keys.clear()
    assert ask(bench) == "one", "the old key was refused, the new one was read"


def test_a_container_that_dies_says_why(bench: AzureBench) -> None:
    create(bench, "blue", 1, "one")
    with pytest.raises(
        TargetError, match=r"(?s)make the deployment green.*last lines of its log:.*model\.onnx"
    ):
        create(bench, "green", 2, "dead")


def test_quota(bench: AzureBench) -> None:
    message = "Not enough quota available for Standard_DS3_v2 in SubscriptionId x"
    body = {"error": {"code": "OutOfQuota", "message": message}}
    bench.emulator.fail("PUT", "/deployments/blue", Answer(400, body))
    with pytest.raises(TargetError, match="the quota of the subscription is used up"):
        create(bench, "blue", 1, "one")


def test_somebody_else_changes_the_endpoint(bench: AzureBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops.targets.azure.endpoints._PAUSE", 0.1)
    body = {"error": {"code": "Conflict", "message": "another operation is in progress"}}
    bench.emulator.fail("PUT", f"onlineEndpoints/{bench.name}", Answer(409, body), times=1)
    create(bench, "blue", 1, "one")
    assert shares(bench) == {"blue": 100}


def test_a_deployment_that_another_process_began(bench: AzureBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while Azure builds: the next one waits for it, and makes nothing twice."""
    monkeypatch.setattr("mlops.targets.azure.endpoints._PAUSE", 0.1)
    create(bench, "blue", 1, "one")
    path = f"{bench.workspace.id}/onlineEndpoints/{bench.name}/deployments/blue"
    resource = bench.emulator.arm.get(path)
    assert resource is not None
    resource["properties"]["provisioningState"] = "Creating"
    threading.Timer(0.5, lambda: resource["properties"].update(provisioningState="Succeeded")).start()
    puts = len(bench.emulator.calls("PUT", "/deployments/blue"))
    folder = bench.artifacts["one"]
    bench.again().create(ENV, "blue", release(1, tree_digest(folder)), folder)
    assert len(bench.emulator.calls("PUT", "/deployments/blue")) == puts


def test_metrics_that_may_not_be_read_are_no_verdict(bench: AzureBench) -> None:
    create(bench, "blue", 1, "one")
    bench.emulator.monitor.refuse = True
    with pytest.raises(
        Inconclusive, match=r"cannot be read.*lacks the right Microsoft\.Insights/metrics/read"
    ):
        bench.endpoints.sample(ENV, MODEL, "blue")


class Signed:
    """A repository whose models must be signed by a key of the team."""

    def __init__(self, logged_in: Emulator, artifacts: dict[str, Path]) -> None:
        signing_ = SigningSettings(required=True, public_key="team.pub")
        self.bench = AzureBench(
            logged_in, artifacts, settings_with(OnlineSettings(image=IMAGE), signing=signing_)
        )
        logged_in.online.add(self.bench.workspace.id, self.bench.name)
        self.private = self.key("team")

    def key(self, name: str) -> Path:
        made, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
        private, public = self.bench.root / f"{name}.pem", self.bench.root / f"{name}.pub"
        plain, public_form = (
            serialization.PrivateFormat.PKCS8,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        private.write_bytes(made.private_bytes(pem, plain, serialization.NoEncryption()))
        public.write_bytes(made.public_key().public_bytes(pem, public_form))
        return private

    def sign(self, version: int, artifact: str, key: Path) -> None:
        signature = self.bench.root / signature_path(MODEL, version)
        signing.sign(self.bench.artifacts[artifact], signature, key)


def test_a_managed_endpoint_verifies_signatures_as_the_local_one_does(
    logged_in: Emulator, artifacts: dict[str, Path]
) -> None:
    repository = Signed(logged_in, artifacts)
    bench = repository.bench
    with pytest.raises(
        IntegrityError, match=rf"releases/{MODEL}/1\.sig does not exist.*nothing was deployed"
    ):
        create(bench, "blue", 1, "one")
    assert not logged_in.calls("PUT", "/deployments/")

    repository.sign(1, "one", repository.private)
    create(bench, "blue", 1, "one")
    assert ask(bench) == "one"
    repository.sign(2, "two", repository.key("stranger"))
    with pytest.raises(
        TargetError, match=r"(?s)make the deployment green.*is not signed by .*nothing was loaded"
    ):
        create(bench, "green", 2, "two")
    assert shares(bench) == {"blue": 100}, "the one whose signature is good serves on"


def test_what_settings_make_of_a_deployment_is_compared(bench: AzureBench) -> None:
    create(bench, "blue", 1, "one")
    state = bench.endpoints.state(ENV, MODEL)
    assert state.settings and not state.outdated(state.deployments[0])
    changes = [
        settings_with(OnlineSettings(image=IMAGE), capture=CaptureSettings(enabled=True, sample_rate=0.5)),
        settings_with(OnlineSettings(image=IMAGE), capture=CaptureSettings(enabled=False)),
        settings_with(OnlineSettings(image=IMAGE, instances=3)),
        settings_with(
            OnlineSettings(image=IMAGE), signing=SigningSettings(required=True, identity="somebody")
        ),
    ]
    for changed in changes:
        bench.settings = changed
        now = bench.again().state(ENV, MODEL)
        assert now.outdated(now.deployments[0])


def test_the_first_key_becomes_the_second_and_no_request_is_turned_away(bench: AzureBench) -> None:
    create(bench, "blue", 1, "one")
    before = bench.endpoints.key(ENV, MODEL)
    bench.endpoints.rotate(ENV, MODEL)
    client = bench.connection.client(ENV).online_endpoints
    found = client.get_keys(next(iter(client.list())).name)
    assert found.secondary_key == before
    assert found.primary_key == bench.endpoints.key(ENV, MODEL) != before
    assert ask(bench) == "one"
