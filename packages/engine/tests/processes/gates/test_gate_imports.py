"""The report of the gates is read by CI: it starts without what draws tables."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_report_does_not_import_rich():
    code = "import sys, mlops.lifecycle.decide.report; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
