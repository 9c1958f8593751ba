"""The entry scripts that Azure ML loads by their path: this folder is the code of a deployment."""

from pathlib import Path

FOLDER = Path(__file__).parent
