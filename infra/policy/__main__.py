"""Where `pulumi up --policy-pack infra/policy` starts the rules."""

from pathlib import Path

from pulumi_policy import PolicyPack

from mlops.infra.plan.accepted import accepted_by_program
from mlops.infra.plan.program import own_of
from mlops.infra.policy.pack import NAME, policies
from mlops.spec.vm_sizes import table

# The engine runs this file with `infra/policy` on the path.
ROOT = Path(__file__).resolve().parents[2]
PolicyPack(NAME, policies(accepted_by_program(ROOT), own_of(ROOT), table(ROOT)))
