"""What makes the raw data: the code that `load` of a use case runs, read from its files and never run.

From `load` the names that it uses are followed through the modules below `src/`; what it does not use
(features, the contract, the estimator) may change without new raw data, and so may comments and docstrings.
Code that looks names up at run time cannot be followed: there the whole module counts.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

FILES = "files of the package"
_FRAMEWORK = "mlops"
_BLIND = frozenset(("globals", "getattr", "exec", "eval", "import_module", "vars", "__import__"))
_RESOURCES = frozenset(("__file__", "resources", "pkgutil", "get_data"))
_TOP = re.compile(rb"^([^/,\n]+)(?:/__init__)?\.py,", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def maker(source: Path, package: str) -> dict[str, str]:
    """Digest by place of everything that makes the raw data: `module.name`, versions of packages, data files.

    `source` is the folder `src`. A module that cannot be parsed counts as it is.
    """
    walk = _Walk(source)
    module = walk.module(package)
    if module is None:
        return {}
    classes = [n for n in module.tree.body if isinstance(n, ast.ClassDef)]
    owners: list[ast.Module | ast.ClassDef] = [module.tree, *classes]
    loads = [
        (owner, item)
        for owner in owners
        for item in owner.body
        if isinstance(item, _DEFINITIONS) and item.name == "load"
    ]
    for owner, item in loads:
        walk.member(module, owner, item)
    if not loads:
        for path in sorted((source / package).rglob("*.py")):
            walk.all_of(walk.module(_dotted(source, path)))
    digests = {f"{name}.{part}": _short(text) for (name, part), text in walk.parts.items()}
    digests |= {f"package {name}": version for name, version in _versions(walk.words)}
    if walk.reads_files:
        digests[FILES] = _files(source / package)
    return dict(sorted(digests.items()))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Places that differ, sorted."""
    return sorted(place for place in before.keys() | now.keys() if before.get(place) != now.get(place))


class _Module:
    """One parsed file: what its top level defines and imports."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.tree = _parsed(path)
        self.defined: dict[str, list[ast.stmt]] = {}
        self.effects: list[ast.stmt] = []
        self.imports: list[ast.stmt] = []
        for statement in self.tree.body:
            if isinstance(statement, _IMPORTS):
                self.imports.append(statement)
            elif names := list(_names_of(statement)):
                for one in names:
                    self.defined.setdefault(one, []).append(statement)
            elif not _is_text(statement) and not _is_typing(statement):
                self.effects.append(statement)


class _Walk:
    """Follows names through modules: the source of what is used, and words that may name packages."""

    def __init__(self, source: Path) -> None:
        self.parts: dict[tuple[str, str], str] = {}
        self.words: set[str] = set()
        self.reads_files = False
        self._source = source
        self._modules: dict[str, _Module | None] = {}

    def module(self, name: str) -> _Module | None:
        """A module below `src`; None for everything else, and for the framework."""
        if name not in self._modules:
            self._modules[name] = None
            base = self._source.joinpath(*name.split("."))
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if not f"{name}.".startswith(f"{_FRAMEWORK}.") and path.is_file():
                    self._modules[name] = _Module(name, path)
                    break
        return self._modules[name]

    def all_of(self, module: _Module | None) -> None:
        if module is None or not self._new(module, "*", module.tree):
            return
        self._node(module, module.tree)

    def member(self, module: _Module, owner: ast.AST, item: ast.stmt) -> None:
        """A function, with what it uses of its class by `self`."""
        name = getattr(owner, "name", "")
        label = f"{name}.{getattr(item, 'name', '')}".strip(".")
        if not self._new(module, label, item):
            return
        self._node(module, item)
        if not isinstance(owner, ast.ClassDef):
            return
        for base in owner.bases:
            self._node(module, base)
        used = {
            node.attr
            for node in ast.walk(item)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        for other in owner.body:
            if used & set(_names_of(other)):
                if isinstance(other, _DEFINITIONS):
                    self.member(module, owner, other)
                elif self._new(module, f"{name}.{','.join(_names_of(other))}", other):
                    self._node(module, other)

    def _name(self, module: _Module, name: str) -> None:
        """What `name` means at the top level of a module."""
        for statement in module.defined.get(name, ()):
            if self._new(module, name, statement):
                self._node(module, statement)
        for statement in module.effects:
            if self._new(module, f"line {ast.unparse(statement)[:60]}", statement):
                self._node(module, statement)
        if name not in module.defined and (known := _bound(module, module.imports).get(name)):
            self._imported(known)

    def _imported(self, known: tuple[str, str], attribute: str = "") -> None:
        """An imported name: a module, or something in one; `attribute` is what is used of it."""
        where, what = known
        inner = self.module(f"{where}.{what}" if what else where)
        if inner is not None:
            if attribute:
                self._attribute(inner, attribute)
            else:
                self.all_of(inner)
            return
        outer = self.module(where) if what else None
        if outer is None:
            self.words.add(where.split(".")[0])
        elif what == "*":
            self.all_of(outer)
        else:
            self._name(outer, what)

    def _attribute(self, module: _Module, attribute: str) -> None:
        deeper = self.module(f"{module.name}.{attribute}")
        if deeper is not None and attribute not in module.defined:
            self.all_of(deeper)
        else:
            self._name(module, attribute)

    def _node(self, module: _Module, node: ast.AST) -> None:
        """Everything that a piece of code names."""
        local = _bound(module, [n for n in ast.walk(node) if isinstance(n, _IMPORTS)])
        top = _bound(module, module.imports)
        whole = {id(n.value): n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
        for known in local.values():
            if self.module(known[0]) is None:
                self._imported(known)
        for known in (*local.values(), *top.values()):
            if known[1] == "*":
                self._imported(known)
        for one in ast.walk(node):
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                self.words.add(one.value)
            elif isinstance(one, ast.Attribute):
                self.reads_files |= one.attr in _RESOURCES
            elif isinstance(one, ast.Name):
                self.reads_files |= one.id in _RESOURCES
                if one.id in _BLIND:
                    self.all_of(module)
                used = local.get(one.id) or (top.get(one.id) if one.id not in module.defined else None)
                if used is not None:
                    self._imported(used, whole.get(id(one), ""))
                elif one.id in module.defined:
                    self._name(module, one.id)

    def _new(self, module: _Module, part: str, node: ast.AST) -> bool:
        """Keep the source of a part; False when it was there."""
        text = _unparsed(node)
        before = self.parts.get((module.name, part), "")
        if text in before.split("\0"):
            return False
        self.parts[module.name, part] = f"{before}\0{text}" if before else text
        return True


def _bound(
    module: _Module, statements: list[ast.stmt] | list[ast.Import | ast.ImportFrom]
) -> dict[str, tuple[str, str]]:
    """Names that imports bind: to a module and what is taken from it ("" for the module itself)."""
    names = {}
    for statement in statements:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or name] = (name, "")
        elif isinstance(statement, ast.ImportFrom):
            where = _absolute(module, statement)
            for alias in statement.names:
                # A name of its own for each star: a module may have several.
                bound = f"*{where}" if alias.name == "*" else alias.asname or alias.name
                names[bound] = (where, alias.name)
    return names


def _absolute(module: _Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.name.split(".")
    if module.path.name == "__init__.py":
        parts.append("")
    base = parts[: -statement.level]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _names_of(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_typing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        # Importing it will say so; until then its bytes stand for it.
        text = path.read_bytes().decode("utf-8", "replace")
        return ast.Module(body=[ast.Expr(ast.Constant(value=text, kind=None))], type_ignores=[])


def _unparsed(node: ast.AST) -> str:
    """The source without comments and docstrings."""

    class Bare(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
            return None if _is_text(node) else node

    bare = Bare().visit(ast.parse(ast.unparse(node)))
    for inner in ast.walk(bare):
        if isinstance(inner, _DEFINITIONS) and not inner.body:
            inner.body = [ast.Pass()]
    return ast.unparse(bare)


def _dotted(source: Path, path: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _versions(words: set[str]) -> Iterator[tuple[str, str]]:
    """Installed packages that the code names, by import or by text: data may ship with one."""
    from importlib.metadata import PackageNotFoundError, version

    for word in sorted(words):
        if not word.isidentifier() or word in sys.stdlib_module_names or word == _FRAMEWORK:
            continue
        try:
            yield word, version(word)
        except PackageNotFoundError:
            if installed := _installed().get(word):
                yield word, installed


@cache
def _installed() -> Mapping[str, str]:
    """Version by module, of packages whose name is another than their module's (scikit-learn is sklearn)."""
    versions: dict[str, str] = {}
    for entry in map(Path, dict.fromkeys(sys.path)):
        # The files are searched as they are: to parse them all would take a second.
        for record in entry.glob("*.dist-info/RECORD"):
            version = record.parent.name.removesuffix(".dist-info").partition("-")[2]
            for module in _TOP.findall(record.read_bytes()):
                versions.setdefault(module.decode("utf-8", "replace"), version)
    return versions


def _files(folder: Path) -> str:
    """Digest of what lies beside the code, once the code looks at its own place."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
