"""The engine's runtime as a wheel that a job takes along: its files are those that this checkout has.

No build is needed for what is pure Python and already in place; a fork has the engine installed, and no
sources of it. A wheel is a zip with three small files beside the package.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path

from mlops.spec import engine
from mlops.spec.digest import tree_digest

PACKAGE, ENTRY = "gitops-ml-runtime", "mlops-step"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def wheel(root: Path) -> tuple[str, bytes]:
    """File name and content; the same files make the same bytes."""
    folder = engine.export(root) / engine.STEPS
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    # A version of its own for each content: what is installed is then never an older one of that name.
    version = f"{engine.version() or '0'}+{tree_digest(folder, files).removeprefix('sha256:')[:12]}"
    stem = f"{PACKAGE.replace('-', '_')}-{version}"
    contents = {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
    info = f"{stem}.dist-info"
    contents |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: mlops\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": (
            f"[console_scripts]\n{ENTRY} = mlops.steps.on_databricks:entry\n".encode()
        ),
    }
    record = [f"{name},sha256={_hash(content)},{len(content)}" for name, content in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    return f"{stem}-py3-none-any.whl", packed(contents)


def packed(files: dict[str, bytes]) -> bytes:
    """A zip of the files, by name; the same content makes the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
