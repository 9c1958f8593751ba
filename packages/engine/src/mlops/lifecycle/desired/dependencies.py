"""What the code of a model imports, and whether the environments that run it on Azure have that.

One list says what a model needs beyond the lifecycle: the dependency group of pyproject.toml with the model's
name. `mlops add` writes it, the lock and every environment file.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.lifecycle.desired import environments, lockfile
from mlops.spec.settings import load_settings

_PROJECT, _LOCK = "pyproject.toml", "uv.lock"
_AT_HOME = ("load",)
"""Methods of a use case that run where a person is, never in a job."""
_OTHER_NAMES = {"sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow", "dateutil": "python-dateutil"}


def problems(root: Path, model: str) -> list[Problem]:
    """Imports of the model's code that the environment of its training job lacks."""
    _, settings = load_settings(root).model(model)
    folder = root / "pipelines" / model / "environment"
    conda = folder / "conda.yml"
    if not conda.is_file():
        return []
    pinned = {_plain(name) for name in environments.names(conda.read_text(encoding="utf-8"))}
    problems_here = []
    for module, place in sorted(imported(root / "src", settings.usecase).items()):
        if _plain(_OTHER_NAMES.get(module, module)) in pinned:
            continue
        packages = _distributions(module)
        if pinned & {_plain(name) for name in packages} or _comes_along(root, packages, pinned):
            continue
        what = packages[0] if packages else module
        problems_here.append(
            Problem(
                place,
                f"imports {module}, and {conda.relative_to(root).as_posix()} has no {what}: the step would "
                f"fail on Azure. Add it with: mlops add {what} --model {model}",
            )
        )
    return problems_here


def imported(source: Path, package: str) -> dict[str, str]:
    """Third-party modules that a job may import from `package`, each with the place of an import."""
    waiting, seen = [package], set[str]()
    places: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        file = _file(source, name)
        if name in seen or file is None:
            continue
        seen.add(name)
        try:
            named = _imports_of(file.read_text(encoding="utf-8"), name, file.name == "__init__.py")
        except (SyntaxError, ValueError):
            continue
        for module, line in named:
            top = module.partition(".")[0]
            if _file(source, top) is not None:
                waiting += [module, module.rpartition(".")[0]]
            elif top not in sys.stdlib_module_names and top != "mlops":
                places.setdefault(top, f"{file.relative_to(source.parent).as_posix()}:{line}")
    return places


def _file(source: Path, name: str) -> Path | None:
    path = source.joinpath(*name.split(".")) if name else source / "none"
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


@functools.lru_cache(maxsize=4096)
def _imports_of(text: str, own: str, is_package: bool) -> tuple[tuple[str, int], ...]:
    """By text: models that share a use case share its code."""
    return tuple(_imports(ast.parse(text), own, is_package))


def _imports(node: ast.AST, own: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Modules that are imported below `node`, but for those that only a type checker or `load` reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name in _AT_HOME and isinstance(node, ast.ClassDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                parts = own.split(".")
                up = parts[: len(parts) - child.level + (1 if is_package else 0)]
                base = ".".join([*up, *([child.module] if child.module else [])])
            yield base, child.lineno
            yield from ((f"{base}.{alias.name}", child.lineno) for alias in child.names)
        else:
            yield from _imports(child, own, is_package)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(module: str) -> Sequence[str]:
    return _installed().get(module, [])


@functools.lru_cache(maxsize=1)
def _installed() -> Mapping[str, list[str]]:
    """What brings each module along: to read it takes half a second, and a check asks for many modules."""
    return metadata.packages_distributions()


@functools.lru_cache(maxsize=2)
def _needs(lock: str) -> Mapping[str, frozenset[str]]:
    """What each package of a lock depends on."""
    return {
        _plain(p["name"]): frozenset(_plain(d["name"]) for d in p.get("dependencies", ()))
        for p in lockfile.parsed(lock)["package"]
    }


def _comes_along(root: Path, packages: Sequence[str], pinned: set[str]) -> bool:
    """Whether one of `packages` is installed with what is pinned, as the lock says."""
    try:
        needs = _needs((root / _LOCK).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return False
    reached, waiting = set[str](), list(pinned)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += needs.get(name, ())
    return bool(reached & {_plain(name) for name in packages})


def add(root: Path, model: str, packages: Sequence[str]) -> list[str]:
    """Put `packages` on the model's list, lock them, and write every environment file; those that changed.

    Raises `InvalidInput` for a model without environments, `TargetError` for what the package index refuses.
    """
    load_settings(root).model(model)
    folder = root / "pipelines" / model / "environment"
    if not any(folder.glob("*conda.yml")):
        raise InvalidInput(
            f"{folder.relative_to(root).as_posix()} has no conda file, so there is no environment"
        )
    before = _texts(root, folder)
    if packages:
        _lock(root, model, packages)
        environments.install(root, [model])
        _installed.cache_clear()
    known = tomllib.loads((root / _PROJECT).read_text(encoding="utf-8")).get("dependency-groups", {})
    if model not in known:
        raise InvalidInput(
            f"{_PROJECT} has no dependency group {model!r}; begin it with: mlops add PACKAGE --model {model}"
        )
    _write(folder, environments.pins(root, [model]), model)
    environments.write_image(root)
    after = _texts(root, folder)
    return [name for name, text in after.items() if before.get(name) != text]


def _texts(root: Path, folder: Path) -> dict[str, str]:
    files = [
        root / _PROJECT,
        root / _LOCK,
        root / "container" / "requirements.txt",
        *sorted(folder.rglob("*.yml")),
    ]
    return {f.relative_to(root).as_posix(): f.read_text(encoding="utf-8") for f in files if f.is_file()}


def _lock(root: Path, model: str, packages: Sequence[str]) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = [str(beside) if beside.is_file() else "uv", "add", "--group", model, *packages]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TargetError("uv is not on PATH; `make setup` installs it") from None
    if done.returncode:
        said = " ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise TargetError(f"uv cannot add {', '.join(packages)}: {said[-600:]}")


def _write(folder: Path, pins: Mapping[str, str], model: str) -> None:
    """Pins into the environments that load the model; what changed is a new version for Azure ML.

    It has the model's name too: a version of the same name may hold something else for another model.
    """
    changed = set()
    for conda in folder.rglob("*conda.yml"):
        text = conda.read_text(encoding="utf-8")
        if environments.loads_the_model(text) and (new := environments.add_pins(text, pins)) != text:
            conda.write_text(environments.named(new, model), encoding="utf-8")
            changed.add(conda)
    for file in folder.rglob("*.yml"):
        text = file.read_text(encoding="utf-8")
        named = re.search(r"(?m)^conda_file: (\S+)$", text)
        if named and (file.parent / named[1]) in changed:
            raised = re.sub(r'(?m)^version: "(\d+)"$', lambda m: f'version: "{int(m[1]) + 1}"', text, count=1)
            file.write_text(environments.named(raised, model), encoding="utf-8")
