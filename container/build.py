"""What goes into the image, written from uv.lock, and a list of it.

    python container/build.py requirements
        container/requirements.txt: the groups of `image` in pyproject.toml, every file with its hash
    python container/build.py engine
        .mlops/engine: the installed engine, of which the image copies what serving needs
    python container/build.py sbom --output sbom.cdx.json
        CycloneDX of a fresh environment that is made from that file as the image makes it

Both give the same bytes for the same lock; a test keeps requirements.txt in step.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "container" / "requirements.txt"
HEADER = "# Written by: python container/build.py requirements. The groups {} of uv.lock.\n"


def groups() -> list[str]:
    """`image` of the section `[tool.mlops]`: a fork adds the groups of the libraries that its models need."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mlops"]["image"]
    return [str(name) for name in found]


def engine() -> list[str]:
    """Packages whose source may have no file to hash; the image copies what it needs of them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)["tool"]["uv"]["sources"]
    return sorted(name for name in found if name.startswith("gitops-ml-"))


def requirements() -> str:
    """The text of requirements.txt."""
    command = [
        tool("uv"),
        "export",
        "--locked",
        "--no-emit-workspace",
        "--no-header",
        "--quiet",
    ]
    command += [word for group in groups() for word in ("--only-group", group)]
    command += [word for name in engine() for word in ("--no-emit-package", name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv.lock cannot be exported: {done.stderr.strip()}")
    return HEADER.format(", ".join(groups())) + done.stdout


def install(environment: Path, python: str = sys.executable) -> Path:
    """A fresh environment as the image has it: hashes required, wheels only. Answers its Python."""
    subprocess.run([tool("uv"), "venv", "--quiet", "--python", python, str(environment)], check=True)
    inside = environment / "bin" / "python"
    command = [tool("uv"), "pip", "install", "--quiet", "--python", str(inside), "--require-hashes"]
    subprocess.run([*command, "--only-binary", ":all:", "--requirement", str(REQUIREMENTS)], check=True)
    return inside


def sbom() -> str:
    """CycloneDX 1.6 as JSON: every package of the image with version, licence and what needs it."""
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder) / "venv")
        command = [tool("cyclonedx-py"), "environment", "--output-reproducible", "--spec-version", "1.6"]
        done = subprocess.run(
            [*command, "--of", "JSON", str(python)], capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout)
    found["metadata"]["component"] = {
        "type": "container",
        "name": "mlops-serving",
        "bom-ref": "mlops-serving",
        "description": "Python packages of container/Dockerfile, without those of its base image",
    }
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def tool(name: str) -> str:
    """A program of the environment that runs this."""
    return str(Path(sys.executable).with_name(name))


def main() -> int:
    parser = argparse.ArgumentParser(prog="container/build.py", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("requirements", help="write container/requirements.txt")
    commands.add_parser("engine", help="copy the installed engine to where the Dockerfile finds it")
    listed = commands.add_parser("sbom", help="write a CycloneDX list of the image's packages")
    listed.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.what == "requirements":
        REQUIREMENTS.write_text(requirements(), encoding="utf-8")
    elif options.what == "engine":
        from mlops.spec.engine import export

        export(ROOT)
    else:
        text = sbom()
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
