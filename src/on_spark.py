"""Entry of Spark jobs: `on_spark.py <module> <options>` runs a module on the job's session.

Spark puts the folder of the entry script on the path, so this script lies beside the use cases.
"""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
