"""Where `pulumi up --policy-pack infra/policy` starts the rules."""

import sys
from pathlib import Path

# The engine runs this file with `infra/policy` on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pulumi_policy import PolicyPack

from infra.policy.pack import NAME, policies, skipped_by_program

PolicyPack(NAME, policies(skipped_by_program))
