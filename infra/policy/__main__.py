"""Where `pulumi up --policy-pack infra/policy` starts the rules."""

import sys
from pathlib import Path

from pulumi_policy import PolicyPack

from mlops.infra.plan.accepted import accepted_by_program
from mlops.infra.policy.pack import NAME, policies

# The engine runs this file with `infra/policy` on the path.
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

PolicyPack(NAME, policies(accepted_by_program(ROOT)))
