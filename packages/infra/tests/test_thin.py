"""A plan loads what it uses of azure-native: the whole of it takes longer than everything else together."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from graphs import ROOT
from mlops.spec.sources import python_path


def _printed(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": python_path(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plan_loads_the_modules_that_it_uses() -> None:
    loaded = _printed(
        "import sys; from pathlib import Path\n"
        "from mlops.infra.plan.stacks import capture_stacks\n"
        "capture_stacks(Path.cwd(), ['staging'])\n"
        "print(*(m for m in sys.modules if m.startswith('pulumi_azure_native.') and m.count('.') > 1))"
    ).split()
    assert "pulumi_azure_native.network.private_endpoint" in loaded
    assert "pulumi_azure_native.network.application_gateway" not in loaded, "a fallback loads all"
    assert len(loaded) < 120, "the namespaces that it uses have 850"


def test_every_way_to_a_name_leads_to_the_same() -> None:
    assert (
        _printed(
            "import mlops.infra\n"
            "from pulumi_azure_native import machinelearningservices as ml, network\n"
            "import pulumi_azure_native.network.subnet as subnet\n"
            "from pulumi_azure_native.network import Subnet, SubnetArgs, outputs\n"
            "assert network.Subnet is Subnet is subnet.Subnet and network.outputs is outputs\n"
            "assert network.SubnetArgs is SubnetArgs\n"
            "assert ml.AmlComputeArgs is ml._inputs.AmlComputeArgs\n"
            "assert network.get_subnet_output is not None and network.ApplicationGatewaySkuName\n"
            "print(hasattr(network, 'Nothing'), network.Subnet is Subnet)"
        )
        == "False True"
    )


@pytest.mark.parametrize("first", ["get_client_config", "get_client_config_output", "RoleAssignment"])
def test_a_function_is_no_module_of_the_same_name(first: str) -> None:
    code = (
        "import mlops.infra\n"
        "from pulumi_azure_native import authorization\n"
        f"authorization.{first}\n"
        "print(callable(authorization.get_client_config), callable(authorization.get_client_config_output))"
    )
    assert _printed(code) == "True True"
