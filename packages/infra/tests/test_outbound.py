"""An environment that nobody can build is found by the plan, and not by the first deployment behind a private
registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphs import CLUSTERS, MODEL, ROOT, plan
from mlops.errors import InvalidInput
from mlops.infra.load import StackFile, parse_stack, raw_stack_file
from mlops.infra.outbound import conda_hosts, docker_hosts, image_hosts, lacking, needed, pip_hosts
from mlops.infra.plan import api
from mlops.spec.settings import load_settings

RULE = "machinelearningservices:ManagedNetworkSettingsRule"


def test_the_repository_needs_conda_and_pypi() -> None:
    hosts = {n.host for n in needed(ROOT)}
    assert {"conda.anaconda.org", "pypi.org", "files.pythonhosted.org"} <= hosts


@pytest.mark.parametrize(
    ("conda", "hosts"),
    [
        ({"channels": ["conda-forge"]}, {"conda.anaconda.org"}),
        ({"channels": ["conda-forge", "nodefaults"]}, {"conda.anaconda.org"}),
        ({"channels": ["defaults"]}, {"repo.anaconda.com"}),
        ({"dependencies": ["python=3.11"]}, {"repo.anaconda.com"}),
        ({"channels": ["https://conda.example.com/main"]}, {"conda.example.com"}),
        ({"channels": ["nodefaults"], "dependencies": ["pytorch::pytorch"]}, {"conda.anaconda.org"}),
        (
            {"channels": ["nodefaults"], "dependencies": ["pip", {"pip": ["numpy"]}]},
            {"pypi.org", "files.pythonhosted.org"},
        ),
    ],
)
def test_channels_and_pip_of_a_conda_file(conda: dict[str, object], hosts: set[str]) -> None:
    assert conda_hosts(conda) == hosts


@pytest.mark.parametrize(
    ("lines", "hosts"),
    [
        (["numpy"], {"pypi.org", "files.pythonhosted.org"}),
        (["--index-url https://index.example.com/simple", "numpy"], {"index.example.com"}),
        (["-i https://index.example.com/simple"], {"index.example.com"}),
        (
            ["--extra-index-url=https://download.pytorch.org/whl/cpu"],
            {"download.pytorch.org", "pypi.org", "files.pythonhosted.org"},
        ),
        (
            ["--index-url https://i.example.com", "x @ git+https://github.com/a/b"],
            {"i.example.com", "github.com"},
        ),
        (
            ["--index-url=https://i.example.com", "-f https://wheels.example.com/x.html"],
            {"i.example.com", "wheels.example.com"},
        ),
        (
            ["-i https://i.example.com", "https://files.example.com/a-1.0-py3-none-any.whl"],
            {"i.example.com", "files.example.com"},
        ),
        (
            ["-i https://u:p@i.example.com:8443/simple  # not https://elsewhere.example.com"],
            {"i.example.com"},
        ),
    ],
)
def test_indexes_of_pip(lines: list[str], hosts: set[str]) -> None:
    assert pip_hosts(lines) == hosts


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("mcr.microsoft.com/azureml/x:1", "mcr.microsoft.com"),
        ("ghcr.io/astral-sh/uv:1", "ghcr.io"),
        ("localhost:5000/x", "localhost"),
        ("python:3.11", "registry-1.docker.io"),
        ("library/python", "registry-1.docker.io"),
        ("docker.io/library/python", "registry-1.docker.io"),
    ],
)
def test_the_registry_of_an_image(image: str, host: str) -> None:
    assert host in image_hosts(image)


def test_a_dockerfile_asks_for_its_base_images_and_packages() -> None:
    text = "FROM ghcr.io/a/b AS made\nRUN pip install x\nFROM made\nFROM scratch\n"
    assert docker_hosts(text) == {"ghcr.io", "pypi.org", "files.pythonhosted.org"}
    assert docker_hosts("FROM ghcr.io/a/b\n") == {"ghcr.io"}


@pytest.mark.parametrize(
    ("lines", "hosts"),
    [
        ("COPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/", {"ghcr.io"}),
        ("COPY --from=0 /x /y", set()),
        ("COPY --from=base /x /y", set()),
        ("RUN curl -sSL https://get.example.com/x | sh", {"get.example.com"}),
        ("ADD https://data.example.com/x.tgz /x", {"data.example.com"}),
        ("# RUN curl https://nobody.example.com", set()),
        ("RUN pip install \\\n  -i https://i.example.com x", {"i.example.com"}),
        ("RUN conda install -y -c conda-forge lightgbm", {"conda.anaconda.org"}),
        ("RUN mamba env create -f env.yml", {"repo.anaconda.com"}),
    ],
)
def test_what_a_dockerfile_reads(lines: str, hosts: set[str]) -> None:
    assert docker_hosts(f"FROM scratch AS base\n{lines}\n") == hosts


def test_a_wildcard_lets_hosts_below_it_out_and_not_itself() -> None:
    needs = needed(ROOT)
    others = ["pypi.org", "files.pythonhosted.org", *(n.host for n in needs if "anaconda" not in n.host)]
    assert lacking(needs, ["*.anaconda.org", *others]) == {}
    assert set(lacking(needs, ["anaconda.org", *others])) == {"conda.anaconda.org"}


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_private_stack_has_a_cluster_that_builds_images(stack: str) -> None:
    assert plan(stack).named("workspace").inputs["imageBuildCompute"] == "cpu-cluster"


def test_azure_builds_where_the_registry_is_public() -> None:
    assert "imageBuildCompute" not in plan("dev").named("workspace").inputs


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("environments", "pipelines", "container"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    return tmp_path


def test_the_plan_blocks_an_image_that_cannot_be_built(repository: Path) -> None:
    assert api.plan(repository, stacks=["staging"], checkov=False).violations == ()
    path = repository / "environments/Pulumi.staging.yaml"
    path.write_text(path.read_text().replace("conda.anaconda.org, ", ""))
    (found,) = api.plan(repository, stacks=["staging"], checkov=False).violations
    assert (found.check, found.resource) == (api.UNREACHED, "workspace")
    assert "needs conda.anaconda.org when its image is built" in found.message


def test_our_own_server_is_built_only_where_a_model_wants_it(repository: Path) -> None:
    assert "registry-1.docker.io" not in {n.host for n in needed(repository)}
    settings = repository / "mlops.toml"
    settings.write_text(f"{settings.read_text()}\n[models.{MODEL}.online]\ncontainer = true\n")
    violations = api.plan(repository, stacks=["staging"], checkov=False).violations
    assert any("registry-1.docker.io" in v.message for v in violations)


@pytest.mark.parametrize(
    ("clusters", "named", "sentence"),
    [
        ("{gpu: {vm_size: Standard_NC4as_T4_v3, max_nodes: 1}}", "", "one without a GPU must build images"),
        ("{cpu: {vm_size: Standard_D4ds_v5, max_nodes: 1}}", "nowhere", "image_builds: must be one of cpu"),
    ],
)
def test_a_stack_without_a_builder_is_refused(
    repository: Path, clusters: str, named: str, sentence: str
) -> None:
    values, secret = raw_stack_file(repository, "staging")
    values["mlops:clusters"] = json.dumps(yaml.safe_load(clusters))
    if named:
        values["mlops:image_builds"] = named
    with pytest.raises(InvalidInput, match=sentence):
        parse_stack(values, secret, StackFile.of(repository, "staging"))


def test_a_named_builder_is_taken() -> None:
    more = {**CLUSTERS, "builds": {"vm_size": "Standard_D4ds_v5", "max_nodes": 1}}
    graph = plan("staging", clusters=more, image_builds="builds")
    assert graph.named("workspace").inputs["imageBuildCompute"] == "builds"


_CLOSED = {"isolation": "approved_outbound", "outbound": ["pypi.org"]}
_QUEUES = {"outbound-storage-queue", "outbound-storage-table"}


@pytest.mark.parametrize(
    ("network", "batch", "expected"),
    [
        (_CLOSED, True, _QUEUES),
        (_CLOSED, False, set()),
        ({"isolation": "internet_outbound", "private_endpoints": True}, True, _QUEUES),
        ({"isolation": "internet_outbound"}, True, set()),
        ({"isolation": "open"}, True, set()),
    ],
)
def test_batch_jobs_reach_queues_and_tables_of_a_closed_storage(
    network: dict[str, Any], batch: bool, expected: set[str]
) -> None:
    models = {name: {"batch": batch} for name in load_settings(ROOT).models}
    graph = plan("staging", network=network, endpoints=models)
    rules = [r for r in graph.of(RULE) if r.name.startswith("outbound-storage-")]
    assert {r.name for r in rules} == expected
    account = graph.named("storage")
    assert all(r.get("properties.destination.serviceResourceId") == account.id for r in rules)


def test_batch_jobs_reach_what_the_registry_keeps() -> None:
    hosts = plan("shared").exports["registry_hosts"]
    (rule,) = [r for r in plan("prod").of(RULE) if r.name == "outbound-registry-storage"]
    assert rule.get("properties.destination") in hosts.values()
    assert str(rule.get("properties.destination")).endswith(".blob.core.windows.net")
    assert [r for r in plan("dev").of(RULE) if r.name == "outbound-registry-storage"] == []


def test_a_replica_of_the_registry_is_read_where_it_is() -> None:
    hosts = plan("shared", replicas=["northeurope"]).exports["registry_hosts"]
    assert len(hosts) == 2
