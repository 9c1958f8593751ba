"""What somebody may write into a stack file by mistake: the plan says file, line and field in a sentence, and
what is allowed. `pulumi preview` reads it by the same function; a test with the engine proves its words."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from graphs import ROOT
from mlops.errors import InvalidInput
from mlops.infra.load import StackFile, parse_stack, raw_stack_file
from mlops.infra.plan import api

_ZONES = ("blob", "file", "queue", "vault", "registry", "workspace", "notebooks")
_HUB = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub/providers/Microsoft.Network/"
    "privateDnsZones/privatelink.blob.core.windows.net"
)
_SAME = "{" + ", ".join(f"{z}: {_HUB}" for z in _ZONES) + "}"
BASE = """\
config:
  mlops:kind: environment
  mlops:location: westeurope
  mlops:shared_stack: organization/mlops/shared
  mlops:protect: false
  mlops:tags: {cost-centre: machine-learning}
  mlops:network: {isolation: approved_outbound, private_endpoints: true, address_space: 10.20.0.0/22,
    outbound: [pypi.org]}
  mlops:clusters: {nodes: {vm_size: Standard_D4ds_v5, max_nodes: 2}}
  mlops:github: {subject_prefix: "repo:OWNER/REPO", environments: {plan: dev-plan}}
  mlops:storage: {redundancy: GZRS}
  mlops:logs: {retention_days: 30, daily_quota_gb: 1}
  mlops:alerts: {emails: [ml@example.com], latency_ms: 1000}
  mlops:budget: {amount: 200, contacts: [ml@example.com]}
  mlops:events: {retrain: {types: [RunStatusChanged]}}
"""
TAGS, NETWORK, CLUSTERS, LINES = 6, 7, 9, 15

# What is written instead of what, the line and field of the answer, and words of it.
WRONG: list[tuple[str, str, int, str, str]] = [
    ("location: westeurope", "location: westeuroppe", 3, "location", "did you mean 'westeurope'?"),
    ("location: westeurope", "location: West Europe", 3, "location", "did you mean 'westeurope'?"),
    ("location: westeurope", "location: usgovvirginia", 3, "location", "public region of Azure"),
    ("location: westeurope", "location:", 3, "location", "public region of Azure"),
    ("location: westeurope", "location: [westeurope]", 3, "location", "must be a text"),
    ("location: westeurope", "locatoin: westeurope", 3, "locatoin", "did you mean 'location'?"),
    ("location: westeurope", "location: westus", 11, "storage.redundancy", "must be LRS or GRS"),
    ("location: westeurope", "location: italynorth", 11, "storage.redundancy", "must be LRS or ZRS"),
    ("location: westeurope", "location: koreasouth", 11, "storage.redundancy", "no availability zones"),
    ("protect: false", "protect: nope", 5, "protect", "true or false"),
    ("protect: false", "protect: 2", 5, "protect", "true or false"),
    ("organization/mlops/shared", "mlops/shared", 4, "shared_stack", "must match"),
    ("cost-centre: machine-learning", "Cost Centre: x", TAGS, "tags.Cost Centre", "must match"),
    ("cost-centre: machine-learning", "cost-centre: 12", TAGS, "tags.cost-centre", "must be a text"),
    ("cost-centre: machine-learning", "azure-team: x", TAGS, "tags.azure-team", "no tag may begin"),
    ("cost-centre: machine-learning", "microsoft: x", TAGS, "tags.microsoft", "no tag may begin"),
    ("cost-centre: machine-learning", f"team: {'x' * 257}", TAGS, "tags.team", "256 characters"),
    ("cost-centre: machine-learning", f"{'t' * 129}: x", TAGS, f"tags.{'t' * 129}", "128 characters"),
    ("cost-centre: machine-learning", "environment: prod", TAGS, "tags.environment", "itself"),
    (
        "cost-centre: machine-learning",
        ", ".join(f"t{i}: x" for i in range(11)),
        TAGS,
        "tags",
        "private DNS zones take few",
    ),
    ("approved_outbound", "approved-outbound", NETWORK, "network.isolation", "'approved_outbound'"),
    ("private_endpoints: true", "private_endpoints: maybe", NETWORK, "network.private_endpoints", "true or"),
    (
        "private_endpoints: true",
        "private_endpoint: true",
        NETWORK,
        "network.private_endpoint",
        "did you mean",
    ),
    ("10.20.0.0/22", "10.20.0.1/22", NETWORK, "network.address_space", "host bits zero"),
    ("10.20.0.0/22", "10.20.0.0/28", NETWORK, "network.address_space", "between /16 and /22"),
    ("10.20.0.0/22", "8.8.0.0/22", NETWORK, "network.address_space", "private network"),
    ("10.20.0.0/22", "169.254.0.0/22", NETWORK, "network.address_space", "private network"),
    ("10.20.0.0/22", "127.0.0.0/16", NETWORK, "network.address_space", "private network"),
    ("10.20.0.0/22", "198.18.0.0/16", NETWORK, "network.address_space", "private network"),
    ("10.20.0.0/22", "240.0.0.0/16", NETWORK, "network.address_space", "private network"),
    ("10.20.0.0/22", "172.17.4.0/22", NETWORK, "network.address_space", "Docker"),
    ("10.20.0.0/22", "10.20.0.0/255.255.252.0", NETWORK, "network.address_space", "10.20.0.0/22"),
    ("approved_outbound", "open", NETWORK, "network.isolation", "internet_outbound or approved_outbound"),
    ("10.20.0.0/22", '"fd00::/48"', NETWORK, "network.address_space", "IPv4"),
    ("[pypi.org]", "[https://pypi.org/x]", NETWORK + 1, "network.outbound.0", "domain name"),
    ("[pypi.org]", '["*"]', NETWORK + 1, "network.outbound.0", "domain name"),
    ("[pypi.org]", "[10.0.0.1]", NETWORK + 1, "network.outbound.0", "domain name"),
    ("[pypi.org]", "[münchen.de]", NETWORK + 1, "network.outbound.0", "domain name"),
    ("[pypi.org]", "[pypi.org, pypi.org]", NETWORK + 1, "network.outbound", "has pypi.org twice"),
    ("[pypi.org]", '["*.a.org", any.a.org]', NETWORK + 1, "network.outbound", "share the rule any-a-org"),
    ("private_endpoints: true", "private_endpoints: true, dns: hub", NETWORK, "network.dns", "'existing'"),
    (
        "private_endpoints: true",
        "private_endpoints: true, dns: existing",
        NETWORK,
        "network.dns",
        "dns_zones",
    ),
    (
        "private_endpoints: true",
        f"private_endpoints: true, dns: existing, dns_zones: {_SAME}",
        NETWORK,
        "network.dns_zones.file",
        "the zone privatelink.file.core.windows.net",
    ),
    ("max_nodes: 2", "max_nodes: -2", CLUSTERS, "clusters.nodes.max_nodes", "greater than or equal to 1"),
    ("max_nodes: 2", "max_nodes: 101", CLUSTERS, "clusters.nodes.max_nodes", "less than or equal to 100"),
    ("max_nodes: 2", "max_nodes: 2.5", CLUSTERS, "clusters.nodes.max_nodes", "whole number"),
    ("max_nodes: 2", "max_nodes: two", CLUSTERS, "clusters.nodes.max_nodes", "whole number"),
    ("max_nodes: 2", "max_nodes: true", CLUSTERS, "clusters.nodes.max_nodes", "must be a number"),
    ("max_nodes: 2", "max_nodes: 2, min_nodes: 3", CLUSTERS, "clusters.nodes.min_nodes", "not exceed"),
    ("max_nodes: 2", "max_nodes: 2, idle_minutes: 0", CLUSTERS, "clusters.nodes.idle_minutes", "equal to 1"),
    ("max_nodes: 2", "max_nodes: 2, max_node: 2", CLUSTERS, "clusters.nodes.max_node", "did you mean"),
    ("Standard_D4ds_v5", "standard_d4ds_v5", CLUSTERS, "clusters.nodes.vm_size", "must match"),
    ("Standard_D4ds_v5", "Standard_Ď4", CLUSTERS, "clusters.nodes.vm_size", "must match"),
    ("{nodes:", '{"cpu nodes":', CLUSTERS, "clusters.cpu nodes", "3 to 24 letters"),
    ("{nodes:", "{knoten-ü:", CLUSTERS, "clusters.knoten-ü", "3 to 24 letters"),
    ("nodes: {vm_size", f"{'n' * 25}: {{vm_size", CLUSTERS, f"clusters.{'n' * 25}", "3 to 24 letters"),
    ("{nodes:", "{Nodes: {vm_size: Standard_D4ds_v5, max_nodes: 1}, nodes:", CLUSTERS, "clusters", "take"),
    ("repo:OWNER/REPO", "OWNER/REPO", 10, "github.subject_prefix", "repo:OWNER/REPO"),
    ("repo:OWNER/REPO", "https://github.com/a/b", 10, "github.subject_prefix", "repo:OWNER/REPO"),
    ("repo:OWNER/REPO", "repo:OWNER/*", 10, "github.subject_prefix", "without wildcards"),
    ("repo:OWNER/REPO", "repo:a/b:environment:dev", 10, "github.subject_prefix", "':environment'"),
    ("repo:OWNER/REPO", "repo:a/b:ref:refs/heads/main", 10, "github.subject_prefix", "':ref'"),
    ("plan: dev-plan", "plan: dev, apply: Dev", 10, "github.environments", "plan and apply share 'Dev'"),
    ("plan: dev-plan", "plans: dev-plan", 10, "github.environments.plans", "'apply'"),
    ("plan: dev-plan", "plan: dev plan", 10, "github.environments.plan", "must match"),
    ("redundancy: GZRS", "redundancy: RAGZRS", 11, "storage.redundancy", "'GZRS'"),
    ("redundancy: GZRS", "deleted_days: 366", 11, "storage.deleted_days", "less than or equal to 365"),
    ("retention_days: 30", "retention_days: 7", 12, "logs.retention_days", "greater than or equal to 30"),
    ("daily_quota_gb: 1", "daily_quota_gb: 0.5", 12, "logs.daily_quota_gb", "whole number"),
    ("emails: [ml@example.com]", "emails: []", 13, "alerts.emails", "1 or more"),
    ("emails: [ml@example.com]", "emails: ml@example.com", 13, "alerts.emails", "must be a list"),
    ("emails: [ml@example.com]", "emails: [ml]", 13, "alerts.emails.0", "e-mail address"),
    ("emails: [ml@example.com]", 'emails: ["a@b.cd, e@f.gh"]', 13, "alerts.emails.0", "e-mail address"),
    ("emails: [ml@example.com]", 'emails: ["mailto:a@b.cd"]', 13, "alerts.emails.0", "e-mail address"),
    ("latency_ms: 1000", "latency_ms: 1s", 13, "alerts.latency_ms", "whole number"),
    ("latency_ms: 1000", "errors_percent: .nan", 13, "alerts.errors_percent", "100"),
    ("amount: 200", "amount: -5", 14, "budget.amount", "greater than or equal to 1"),
    ("amount: 200", "amount: 200 EUR", 14, "budget.amount", "whole number"),
    ("amount: 200", "amount: 200, start: 2026-12-15", 14, "budget.start", "first day of a month"),
    ("amount: 200", "amount: 200, start: December", 14, "budget.start", "date such as"),
    ("amount: 200", "amount: 200, start: 20261201", 14, "budget.start", "date such as"),
    ("amount: 200", "amount: 200, thresholds: [50, 50]", 14, "budget.thresholds", "has 50 twice"),
    ("amount: 200", "amount: 200, thresholds: [1, 2, 3, 4, 5]", 14, "budget.thresholds", "at most 4"),
    ("amount: 200", "amount: 200, thresholds: [0]", 14, "budget.thresholds.0", "equal to 1"),
    ("[RunStatusChanged]", "[RunStatusChange]", 15, "events.retrain.types.0", "'RunStatusChanged'"),
    ("[RunStatusChanged]", "[RunCompleted, RunCompleted]", 15, "events.retrain.types", "twice"),
    ("retrain: {", "re_train: {", 15, "events.re_train", "must match"),
]
MORE: list[tuple[str, str, str]] = [
    ("ttl: 14", "ttl", "must be a text"),
    ("ttl: 14 d", "ttl", "hours or days"),
    ("ttl: 2w", "ttl", "hours or days"),
    ("ttl: P14D", "ttl", "hours or days"),
    ("ttl: 0d", "ttl", "hours or days"),
    ("ttl: -1d", "ttl", "hours or days"),
    ("ttl: 1000d", "ttl", "hours or days"),
    ("ttl: \N{ARABIC-INDIC DIGIT ONE}d", "ttl", "hours or days"),
    ("salt: ä", "salt", "must match"),
    ("salt: longer-than-twelve", "salt", "must match"),
    ("customer_managed_key: true", "customer_managed_key", "did you mean 'customer_managed_keys'?"),
    ("alert_webhook: https://x", "alert_webhook", "must be encrypted"),
    ("image_builds: other", "image_builds", "must be one of nodes"),
    ("endpoints: {flights: {auth: none}}", "endpoints.flights.auth", "'entra'"),
    ("options: {ask: {}}", "options.ask", "did you mean 'aks'?"),
    ("options: {aks: {vm_size: Standard_B2s}}", "options.aks.vm_size", "local disk of 128 GB"),
    ("options: {aks: {vm_size: Standard_D2ds_v5}}", "options.aks.vm_size", "four cores"),
    ("options: {aks: {vm_size: Standard_E8s_v5}}", "options.aks.vm_size", "a `d` in its name"),
    ("options: {aks: {compute: nodes}}", "options.aks.compute", "a cluster already"),
    ("options: {aks: {kubernetes_version: 1.33}}", "options.aks.kubernetes_version", "must be a text"),
    ("options: {aks: {kubernetes_version: '1.36.4'}}", "options.aks.kubernetes_version", "must match"),
    ("options: {aks: {kubernetes_version: '1.333'}}", "options.aks.kubernetes_version", "must match"),
    ("options: {aks: {min_nodes: 4}}", "options.aks.min_nodes", "not exceed"),
    ("options: {container_instance: {image: 'a:latest'}}", "options.container_instance.image", "must match"),
    ("options: {data_factory: {source: 'http://x'}}", "options.data_factory.source", "must match"),
    (
        f"options: {{container_instance: {{image: 'a@sha256:{'0' * 64}', memory_gb: 0.55}}}}",
        "options.container_instance.memory_gb",
        "one decimal at most",
    ),
    ("options: {aks: {compute: NODES}}", "options.aks.compute", "a cluster already"),
    (
        f"options: {{container_instance: {{image: 'cr.azurecr.io/a@sha256:{'0' * 64}'}}}}",
        "options.container_instance.image",
        "without a registry",
    ),
    *(
        (
            f"options: {{data_factory: {{source: '{url}', model: mm, cluster: nodes, start: 2026-01-01}}}}",
            "options.data_factory.source",
            said,
        )
        for url, said in (
            ("https://u:p@example.com/x.csv", "no user or password"),
            ("https://x.blob.core.windows.net/a/x.csv?sv=1&sig=abc", "leave out sig"),
            ("https://s3.example.com/x.csv?X-Amz-Signature=abc", "leave out X-Amz-Signature"),
        )
    ),
    (
        "azure_devops: {issuer: 'https://i.example', subjects: {plan: 'sc://a/b/c', apply: 'sc://a/b/c'}}",
        "azure_devops.subjects",
        "plan and apply share",
    ),
]
PROVIDER: list[tuple[str, str]] = [
    ("azure-native:subscriptionId: production", "must be a UUID"),
    ("azure-native:tenantId: contoso.onmicrosoft.com", "must be a UUID"),
    ("azure-native:useMsi: maybe", "must be true or false"),
    ("azure-native:useOidc: 1", "must be true or false"),
    ("azure-native:environment: usgovernment", "must be public"),
    ("azure-native:subscriptionID: 0", "did you mean 'subscriptionId'?"),
    ("azure-nativ:tenantId: 0", "did you mean azure-native:tenantId?"),
]


def _refused(tmp_path: Path, text: str) -> list[str]:
    """What the reader has against a stack file, a problem a line; empty when it takes it."""
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    try:
        values, secret = raw_stack_file(tmp_path, "dev")
        parse_stack(values, secret, StackFile.of(tmp_path, "dev"))
    except InvalidInput as error:
        return str(error).splitlines()
    return []


def test_the_right_file_is_taken(tmp_path: Path) -> None:
    assert _refused(tmp_path, BASE) == []


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[1])
def test_a_wrong_value_is_a_sentence(tmp_path: Path, case: tuple[str, str, int, str, str]) -> None:
    right, wrong, line, field, said = case
    assert right in BASE
    problems = _refused(tmp_path, BASE.replace(right, wrong, 1))
    place = f"environments/Pulumi.dev.yaml:{line}: {field}: "
    assert any(p.startswith(place) and said in p for p in problems), problems


@pytest.mark.parametrize(("key", "field", "said"), MORE)
def test_a_key_that_is_wrong_is_a_sentence(tmp_path: Path, key: str, field: str, said: str) -> None:
    problems = _refused(tmp_path, f"{BASE}  mlops:{key}\n")
    place = f"environments/Pulumi.dev.yaml:{LINES + 1}: {field}: "
    assert any(p.startswith(place) and said in p for p in problems), problems


@pytest.mark.parametrize(("line", "said"), PROVIDER)
def test_what_the_provider_would_refuse_is_a_sentence(tmp_path: Path, line: str, said: str) -> None:
    key = line.rpartition(":")[0]
    (problem,) = _refused(tmp_path, f"{BASE}  {line}\n")
    assert problem.startswith(f"environments/Pulumi.dev.yaml:{LINES + 1}: {key}: ")
    assert said in problem


def test_no_sentence_holds_the_secret_that_it_is_about(tmp_path: Path) -> None:
    source = "https://reader:hunter2@example.com/x.csv"
    option = f"{{data_factory: {{source: '{source}', model: mm, cluster: nodes, start: 2026-01-01}}}}"
    (problem,) = _refused(tmp_path, f"{BASE}  mlops:options: {option}\n")
    assert "hunter2" not in problem


@pytest.mark.parametrize("space", ["10.0.0.0/22", "10.0.252.0/22", "10.244.0.0/16", "10.244.8.0/22"])
def test_a_network_leaves_kubernetes_its_own(tmp_path: Path, space: str) -> None:
    text = BASE.replace("10.20.0.0/22", space)
    assert _refused(tmp_path, text) == []
    shutil.rmtree(tmp_path / "environments")
    (problem,) = _refused(tmp_path, f"{text}  mlops:options: {{aks: {{}}}}\n")
    assert problem.startswith("environments/Pulumi.dev.yaml:7: network.address_space: must not overlap ")


SIZES = [
    "Standard_D4ds_v5",
    "Standard_D8ads_v6",
    "Standard_E4ds_v4",
    "Standard_NC4as_T4_v3",
    "Standard_D8s_v3",
]


@pytest.mark.parametrize("size", SIZES)
def test_a_node_with_a_disk_of_its_own_is_taken(tmp_path: Path, size: str) -> None:
    assert _refused(tmp_path, f"{BASE}  mlops:options: {{aks: {{vm_size: {size}}}}}\n") == []


@pytest.mark.parametrize("given", ["2026-12-01", "'2026-12-01'", '"2026-12-01 00:00:00 +0000 UTC"'])
def test_a_day_is_read_however_pulumi_hands_it_over(tmp_path: Path, given: str) -> None:
    """Without quotes Pulumi hands over `2026-12-01 00:00:00 +0000 UTC`: seen with its own CLI."""
    assert _refused(tmp_path, BASE.replace("amount: 200", f"amount: 200, start: {given}")) == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    return tmp_path


@pytest.mark.parametrize(
    "case",
    [
        ("dev", "/shared$", "/shard", "shared_stack", "must end with /mlops/shared"),
        ("staging", "/dev$", "/devv", "training_stack", "the stack that trains"),
        (
            "dev",
            "mlops:protect:",
            "mlops:endpoints: {nobody: {}}\n  mlops:protect:",
            "endpoints.nobody",
            "no model",
        ),
        ("dev", "mlops:protect:", "mlops:ttl: 14d\n  mlops:protect:", "ttl", "is trained for here"),
        ("dev", "mlops:protect:", "mlops:own: {x: 1}\n  mlops:protect:", "own", "nothing in infra"),
        ("dev", "Standard_D4ds_v5", "Standard_D4ds_v55", "clusters.cpu-cluster.vm_size", "Standard_D4ds_v5?"),
        ("prod", "Standard_D8ds_v5", "Standard_D7ds_v5", "clusters.cpu-cluster.vm_size", "this series has"),
        ("dev", "westeurope", "norwayeast", "clusters.gpu-cluster.vm_size", "no price in norwayeast"),
        (
            "dev",
            "mlops:protect:",
            "mlops:options: {aks: {vm_size: Standard_D4ads_v55}}\n  mlops:protect:",
            "options.aks.vm_size",
            "Standard_D4ads_v5?",
        ),
        (
            "dev",
            "mlops:protect:",
            "mlops:options: {data_factory: {source: 'https://a.b/c', model: nobody, start: 2026-01-01}}\n"
            "  mlops:protect:",
            "options.data_factory.model",
            "no pipelines/nobody/ingest.yml",
        ),
        ("dev", "apply: dev,", "apply: prod,", "github.environments.apply", "as apply of stack prod"),
        ("dev", "plan: dev-plan", "plan: Staging", "github.environments.plan", "as apply of stack staging"),
    ],
)
def test_what_only_the_whole_repository_knows_has_its_line_too(
    repository: Path, capfd: pytest.CaptureFixture[str], case: tuple[str, str, str, str, str]
) -> None:
    stack, pattern, wrong, field, said = case
    path = repository / f"environments/Pulumi.{stack}.yaml"
    text, count = re.subn(pattern, wrong, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        api.plan(repository, stacks=[stack], checkov=False)
    assert re.match(rf"environments/Pulumi\.{stack}\.yaml:\d+: {re.escape(field)}: ", str(caught.value))
    assert said in str(caught.value)
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err


@pytest.mark.parametrize(("start", "told"), [("2099-01-01", True), ("2020-01-01", False)])
def test_a_budget_that_begins_too_late_is_told(repository: Path, start: str, told: bool) -> None:
    path = repository / "environments/Pulumi.dev.yaml"
    path.write_text(path.read_text().replace("    amount: 200\n", f"    amount: 200\n    start: {start}\n"))
    planned = api.plan(repository, stacks=["dev"], checkov=False)
    assert any("budget.start: " in note for note in planned.notes) is told


def test_an_organization_of_pulumi_cloud_is_planned(repository: Path) -> None:
    for path in (repository / "environments").glob("Pulumi.*.yaml"):
        path.write_text(path.read_text().replace("organization/", "acme-corp/"))
    planned = api.plan(repository, stacks=["staging"], checkov=False)
    assert [s.captured.stack for s in planned.stacks] == ["staging"]
