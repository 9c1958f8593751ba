"""Where `pulumi up` starts (`main: infra` in Pulumi.yaml)."""

import sys
from pathlib import Path

# Pulumi runs this file with `infra/` on the path; the program is the package that holds it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pulumi

from infra.program import main
from mlops.errors import MlopsError

try:
    main(Path(__file__).resolve().parents[1])
except MlopsError as error:
    # Of everything else Pulumi prints the trace, which hides the sentence.
    raise pulumi.RunError(str(error)) from None
