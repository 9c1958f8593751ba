"""A stack file is refused before anything is planned, with file, line, path and what is allowed: a key that
is silently ignored is an environment without the budget or the network that somebody believes it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.errors import InvalidInput
from mlops.infra.config import EnvironmentStack, SharedStack
from mlops.infra.load import StackFile, check_file, parse_stack, raw_stack_file

ROOT = Path(__file__).resolve().parents[3]
FILE = StackFile(ROOT / "environments" / "nothing.yaml", "environments/Pulumi.dev.yaml")


def _config(**changes: Any) -> dict[str, str]:
    """A small valid environment, as Pulumi hands it over, with some keys replaced or (None) removed."""
    whole: dict[str, Any] = {
        "kind": "environment",
        "location": "westeurope",
        "shared_stack": "organization/mlops/shared",
        "protect": False,
        "network": {"isolation": "open"},
        "clusters": {"cpu": {"vm_size": "Standard_D4ds_v5", "max_nodes": 2}},
        "alerts": {"emails": ["a@example.com"]},
        "budget": {"amount": 10, "start": "2026-01-01", "contacts": ["a@example.com"]},
    } | changes
    return {
        f"mlops:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in whole.items() if v is not None
    }


def _refusal(**changes: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_stack(_config(**changes), (), FILE)
    return str(caught.value)


@pytest.mark.parametrize("stack", ["shared", "dev", "staging", "prod"])
def test_the_files_of_the_repository_are_valid(stack: str) -> None:
    values, secret = raw_stack_file(ROOT, stack)
    parsed = parse_stack(values, secret, StackFile.of(ROOT, stack))
    assert isinstance(parsed, SharedStack if stack == "shared" else EnvironmentStack)


def test_the_defaults_are_the_safe_ones() -> None:
    parsed = parse_stack(_config(protect=None), (), FILE)
    assert isinstance(parsed, EnvironmentStack)
    assert parsed.protect
    assert parsed.clusters["cpu"].min_nodes == 0
    assert parsed.options.aks is None
    assert not parsed.options.model_fields_set


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"budgett": {}}, "budgett: unknown field; allowed: .*budget.*did you mean 'budget'"),
        (
            {"network": {"isolation": "open", "fqdns": []}},
            "network.fqdns: unknown field; allowed: .*outbound",
        ),
        ({"clusters": {"cpu": {"vm_size": "Standard_D2_v3"}}}, "clusters.cpu.max_nodes: required"),
        ({"clusters": {"cpu-1": {"vm_size": "Standard_D2_v3", "max_nodes": 1}}}, "must be 3 to 24 letters"),
        ({"clusters": {}}, "clusters: "),
        (
            {"clusters": {"cpu": {"vm_size": "Standard_D2_v3", "max_nodes": True}}},
            "clusters.cpu.max_nodes: must be a number; got True",
        ),
        (
            {"budget": {"amount": 10, "contacts": ["a@b.de"], "thresholds": [50, True]}},
            "budget.thresholds: must be a number",
        ),
        (
            {"alerts": {"emails": ["a@b.de"], "errors_percent": False}},
            "alerts.errors_percent: must be a number; got False",
        ),
        ({"clusters": {"cpu": {"vm_size": "D2", "max_nodes": 1}}}, "clusters.cpu.vm_size: "),
        (
            {"clusters": {"cpu": {"vm_size": "Standard_D2_v3", "max_nodes": 1, "min_nodes": 2}}},
            "min_nodes: must not exceed max_nodes",
        ),
        ({"location": "mars"}, "location: must be a public region of Azure, one of .*westeurope"),
        ({"network": {"isolation": "none"}}, "network.isolation: .*approved_outbound"),
        (
            {"network": {"isolation": "open", "outbound": ["pypi.org"]}},
            "only with `isolation: approved_outbound`",
        ),
        (
            {"network": {"isolation": "approved_outbound", "outbound": ["https://pypi.org"]}},
            "network.outbound.0: must be a domain name",
        ),
        ({"network": {"isolation": "open", "address_space": "10.0.0.0/24"}}, "between /16 and /22"),
        ({"network": {"isolation": "open", "address_space": "8.8.0.0/16"}}, "must be a private network"),
        ({"network": {"isolation": "open", "address_space": "10.0.0.1/16"}}, "its host bits zero"),
        ({"network": {"isolation": "open", "dns": "existing"}}, "needs `dns_zones` for blob, file"),
        ({"budget": {"amount": 10, "start": "2026-01-15", "contacts": ["a@b.de"]}}, "first day of a month"),
        ({"budget": {"amount": 10, "start": "2026-01-01", "contacts": []}}, "budget.contacts: "),
        ({"alerts": {"emails": ["nobody"]}}, "alerts.emails.0: must be an e-mail address"),
        ({"shared_stack": "shared"}, "shared_stack: "),
        ({"protect": True, "ttl": "14d"}, "ttl: needs `protect: false`"),
        ({"ttl": "two weeks"}, "ttl: "),
        (
            {"github": {"subject_prefix": "repo:o/r", "environments": {"serve": "prod"}}},
            "github.environments.serve",
        ),
        ({"github": {"subject_prefix": "", "environments": {"plan": "x"}}}, "github.subject_prefix: "),
        ({"events": {"retrain": {"types": ["Everything"]}}}, "events.retrain.types.0: .*RunCompleted"),
        ({"endpoints": {"freight": {"auth": "none"}}}, "endpoints.freight.auth: .*'entra' or 'key'"),
        ({"options": {"kubernetes": {}}}, "options.kubernetes: unknown field; allowed: aks"),
        ({"options": {"aks": {"compute": "cpu"}}}, "is the name of a cluster already"),
        ({"options": {"aks": {"min_nodes": 5, "max_nodes": 3}}}, "min_nodes: must not exceed max_nodes"),
        (
            {"options": {"container_instance": {"image": "score:latest"}}},
            "options.container_instance.image: ",
        ),
        (
            {"options": {"data_factory": {"source": "http://x.y/z", "model": "m", "start": "2026-01-01"}}},
            "data_factory.source: ",
        ),
        (
            {
                "options": {
                    "data_factory": {
                        "source": "https://x.y/z.csv",
                        "model": "freight",
                        "cluster": "cpu-cluster",
                        "start": "2026-01-01",
                    }
                }
            },
            "options.data_factory.cluster: must be one of cpu.*got 'cpu-cluster'",
        ),
        ({"kind": "production"}, "kind: must be one of environment, shared; got 'production'"),
        ({"kind": None}, "kind: must be one of environment, shared"),
        ({"salt": "Not legal"}, "salt: "),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(changes: dict[str, Any], sentence: str) -> None:
    refusal = _refusal(**changes)
    assert refusal.startswith("environments/Pulumi.dev.yaml")
    assert re.search(sentence, refusal), refusal


def test_every_problem_is_told_at_once() -> None:
    refusal = _refusal(location="mars", budgett={}, alerts={"emails": []})
    assert len(refusal.splitlines()) == 3


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    text = yaml.safe_dump(
        {"config": {k: json.loads(v) if v[0] in "{[tf" else v for k, v in _config().items()}}, sort_keys=False
    )
    (tmp_path / "environments" / "Pulumi.dev.yaml").write_text(text.replace("max_nodes", "max_node"))
    values, secret = raw_stack_file(tmp_path, "dev")
    with pytest.raises(InvalidInput) as caught:
        parse_stack(values, secret, StackFile.of(tmp_path, "dev"))
    line = next(n for n, content in enumerate(text.splitlines(), 1) if "max_nodes" in content)
    assert f"environments/Pulumi.dev.yaml:{line}: clusters.cpu.max_node: unknown field" in str(caught.value)


def test_the_webhook_must_be_encrypted() -> None:
    config = _config() | {"mlops:alert_webhook": "https://chat.example.com/hook/abc"}
    with pytest.raises(InvalidInput, match="alert_webhook: must be encrypted"):
        parse_stack(config, (), FILE)
    assert parse_stack(config, ["mlops:alert_webhook"], FILE)


def test_nothing_else_may_be_encrypted() -> None:
    with pytest.raises(InvalidInput, match="budget: only alert_webhook may be encrypted"):
        parse_stack(_config(), ["mlops:budget"], FILE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("azure-native:subscriptionId", "00000000-0000-0000-0000-00000000000a"),
        ("azure-native:useOidc", "true"),
        ("pulumi:tags", "x"),
    ],
)
def test_keys_that_a_provider_or_pulumi_reads_are_left_alone(key: str, value: str) -> None:
    assert parse_stack(_config() | {key: value}, (), FILE)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (
            "mlop:customer_managed_keys",
            r"nothing reads keys of 'mlop'.*did you mean mlops:customer_managed_keys\?",
        ),
        ("mlopsx:location", r"did you mean mlops:location\?"),
        ("MLOPS:ttl", r"did you mean mlops:ttl\?"),
        ("azure:protect", r"did you mean mlops:protect\?"),
        ("freight:clusters", r"known: azure-native, mlops, pulumi; did you mean mlops:clusters\?"),
        ("mlop:budgt", r"did you mean mlops:budget\?"),
        ("aws:region", r"nothing reads keys of 'aws'; known: azure-native, mlops, pulumi$"),
        ("plumi:tags", r"did you mean pulumi:tags\?"),
        ("azure-native:location", "takes its region from mlops:location"),
        ("azure-native:subscriptionID", "azure-native reads no such key; .*did you mean 'subscriptionId'"),
        ("azure-native:clientSecret", "must not be here"),
        ("pulumi:tag", "pulumi reads no such key; .*did you mean 'tags'"),
    ],
)
def test_a_key_that_nobody_reads_is_refused_with_its_line(tmp_path: Path, key: str, sentence: str) -> None:
    """Pulumi ignores it: prod without encryption, in a region that nobody chose."""
    (tmp_path / "environments").mkdir()
    config = {k: json.loads(v) if v[0] in "{[tf" else v for k, v in _config().items()}
    text = yaml.safe_dump({"config": {**config, key: "true"}}, sort_keys=False)
    (tmp_path / "environments/Pulumi.dev.yaml").write_text(text)
    values, secret = raw_stack_file(tmp_path, "dev")
    with pytest.raises(InvalidInput) as caught:
        parse_stack(values, secret, StackFile.of(tmp_path, "dev"))
    line = next(n for n, content in enumerate(text.splitlines(), 1) if key in content)
    assert str(caught.value).startswith(f"environments/Pulumi.dev.yaml:{line}: {key}: ")
    assert re.search(sentence, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ("cofig", "config"),
        ("secretprovider", "secretsprovider"),
        ("encryptedKey", "encryptedkey"),
        ("stack", ""),
    ],
)
def test_a_field_beside_config_that_pulumi_ignores_is_refused(tmp_path: Path, field: str, near: str) -> None:
    (tmp_path / "environments").mkdir()
    path = tmp_path / "environments/Pulumi.dev.yaml"
    path.write_text(f"config: {{mlops:kind: shared}}\n{field}: {{mlops:location: westeurope}}\n")
    with pytest.raises(InvalidInput) as caught:
        check_file(StackFile.of(tmp_path, "dev"))
    assert str(caught.value).startswith(f"environments/Pulumi.dev.yaml:2: {field}: Pulumi ignores this field")
    assert (f"did you mean {near!r}?" in str(caught.value)) == bool(near)


def test_what_pulumi_itself_writes_into_a_stack_file_is_fine(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    text = "secretsprovider: azurekeyvault://v\nencryptedkey: abc\nconfig: {mlops:kind: shared}\n"
    (tmp_path / "environments/Pulumi.dev.yaml").write_text(text)
    check_file(StackFile.of(tmp_path, "dev"))
    check_file(StackFile.of(tmp_path, "elsewhere"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("5: x", r"dev\.yaml:3: config\.5: must be a text"),
        ("kind: environment", r"dev\.yaml:3: config\.kind: is mlops:kind, which is given already"),
        ("mlops:kind: shared", r"dev\.yaml:3: .*given twice"),
    ],
)
def test_a_key_that_pulumi_would_not_read_so_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/Pulumi.dev.yaml").write_text(f"config:\n  mlops:kind: environment\n  {line}\n")
    with pytest.raises(InvalidInput, match=sentence):
        raw_stack_file(tmp_path, "dev")


@pytest.mark.parametrize("key", ["ttl", "training_stack", "github", "budget", "protect", "own"])
def test_a_key_without_a_value_is_refused_as_the_engine_does(tmp_path: Path, key: str) -> None:
    """Pulumi hands over an empty text; a plan that took it for nothing would pass, and the update fail."""
    (tmp_path / "environments").mkdir()
    config = {k: json.loads(v) if v[0] in "{[tf" else v for k, v in _config().items()}
    text = yaml.safe_dump({"config": {**config, f"mlops:{key}": None}}, sort_keys=False)
    (tmp_path / "environments/Pulumi.dev.yaml").write_text(text.replace(": null", ":"))
    values, secret = raw_stack_file(tmp_path, "dev")
    assert values[f"mlops:{key}"] == ""
    with pytest.raises(InvalidInput, match=rf"Pulumi\.dev\.yaml:\d+: {key}: must .*; got ''"):
        parse_stack(values, secret, StackFile.of(tmp_path, "dev"))


@pytest.mark.parametrize("text", ["", "config: []\n", "encryptedkey: x\n"])
def test_a_file_without_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"environments/Pulumi\.dev\.yaml:1: must be a mapping"):
        raw_stack_file(tmp_path, "dev")
