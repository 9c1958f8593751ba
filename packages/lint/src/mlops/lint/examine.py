"""A call of the lint: which files, which rules count, what is silenced, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.lint import oracle
from mlops.lint.check import check_file, label_of
from mlops.lint.classify import kind_of
from mlops.lint.files import Files, yaml_files
from mlops.lint.finding import FileState, Finding, Verdict, ordered
from mlops.lint.interface import kind_of_node, reference_of
from mlops.lint.kinds import KINDS, UNREAD
from mlops.lint.memory import Memory
from mlops.lint.node import At, exists, is_file, shown, texts
from mlops.lint.references import is_remote
from mlops.lint.rules import RULES
from mlops.lint.silence import silenced
from mlops.spec.vm_sizes import Table, packaged

Here = Callable[[Path], Iterable[Problem]]


@dataclass(frozen=True)
class Options:
    """What a caller or `mlops.toml` chooses."""

    house: tuple[Path, ...] = ()
    """Folders whose files keep the house rules."""
    off: frozenset[str] = frozenset()
    """House rules that are off."""
    vm_sizes: frozenset[str] = frozenset()
    sizes: Table = field(default_factory=packaged)
    """When Azure retires sizes."""
    today: date | None = None
    """Tell sizes that ended by then, or will within a year; None: none."""
    azure: bool = True
    """Ask `azure-ai-ml` too, where it is installed."""
    memory: Path | None = None
    """Where its answers are kept, by content."""
    here: Here | None = field(default=None)
    """What this machine cannot run of a job."""
    listed: bool = False
    """A program listed the files, not a person: those that are not Azure ML's are passed over."""


def lint(path: Path) -> list[Problem]:
    """The errors of a file or folder, `azure-ai-ml` not asked: what a verb wants to know before it works."""
    verdict = examine([path], Options(azure=False))
    return [finding.problem for finding in verdict.findings if finding.level == "error"]


def examine(paths: Sequence[Path], options: Options | None = None) -> Verdict:
    """The verdict on files and folders. Raises `InvalidInput` when a path does not exist or has no YAML."""
    call = _Call(options or Options())
    for path in paths:
        if not exists(path):
            raise InvalidInput(Problem(shown(path), "does not exist; give an Azure ML YAML file or a folder"))
        files = [path] if is_file(path) else yaml_files(path)
        if not files:
            raise InvalidInput(Problem(shown(path), "has no YAML file below it"))
        call.chosen |= {shown(path)} if is_file(path) else set()
        for file in files:
            call.file(file, chosen=is_file(path) and not call.options.listed)
    return call.verdict()


class _Call:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.files = Files(vm_sizes=options.vm_sizes, sizes=options.sizes, today=options.today)
        self.findings: list[Finding] = []
        self.states: dict[str, FileState] = {}
        self.asked = ""
        self.version = oracle.installed() if options.azure else ""
        self.memory = Memory(options.memory, self.version, self.files)
        self.done: set[Path] = set()
        self.chosen: set[str] = set()
        self.used: set[str] = set()
        """Files that others name."""

    def verdict(self) -> Verdict:
        if self.options.azure and not self.version and any(s.state == "read" for s in self.states.values()):
            where = next(state.file for state in self.states.values() if state.state == "read")
            message = "azure-ai-ml is not installed, so what it refuses itself is not part of this verdict"
            self.findings.append(Finding("azure-unasked", where, 1, "", message))
        kept = [f for f in silenced(ordered(self.findings)) if not self._unnamed(f)]
        told = [t for f in kept if (t := self._told(f)) is not None]
        return Verdict(tuple(ordered(told)), tuple(self.states.values()), self.asked)

    def _unnamed(self, finding: Finding) -> bool:
        """A component that another file uses runs without its name, whatever that is. One that was chosen may
        be there to be registered."""
        state = self.states.get(finding.file)
        component = state is not None and state.kind.endswith("component")
        used = component and finding.file in self.used - self.chosen
        return used and (finding.field == "name" or finding.message == "needs `name`")

    def _told(self, finding: Finding) -> Finding | None:
        """House rules count in the folders that keep them, unless they are off."""
        if finding.level != "rule":
            return finding
        path = Path(finding.file).resolve()
        inside = any(path == folder or folder in path.parents for folder in self.options.house)
        if finding.id in self.options.off:
            return None
        note = RULES[finding.id].outside
        return finding if inside else replace(finding, id=note) if note else None

    def file(self, path: Path, *, chosen: bool, expected: str = "") -> None:
        """One file, and the files that it names. `expected`: the kind, when the file does not say it."""
        if path.resolve() in self.done:
            return
        self.done.add(path.resolve())
        opened = self.files.open(path)
        name = shown(path)
        if isinstance(opened, list):
            ours = _says_azure(path)
            self.states[name] = FileState(name, "unread" if ours else "other", "broken YAML" if ours else "")
            # A broken file of another program is not this lint's to judge.
            if chosen or ours:
                self.findings += opened
            return
        kind = (kind_of(opened.value) or expected) if isinstance(opened.value, dict) else ""
        if not kind:
            self._other(opened, name, chosen=chosen)
        elif kind not in KINDS or kind == "component.data_transfer":
            self.states[name] = FileState(name, "unread", kind)
            message = f"an Azure ML file, but {UNREAD.get(kind.lstrip('?'), kind.lstrip('?'))} are not read"
            self.findings.append(opened.says("not-read", message))
        else:
            self._read(opened, kind, name)

    def _other(self, opened: At, name: str, *, chosen: bool) -> None:
        self.states[name] = FileState(name, "other", "")
        if chosen:
            message = (
                "is no Azure ML file that is known here: it has no $schema of Azure ML and no such fields"
            )
            self.findings.append(opened.says("not-read", message))

    def _read(self, opened: At, kind: str, name: str) -> None:
        self.states[name] = FileState(name, "read", label_of(kind))
        own = list(check_file(opened, kind, self.files))
        self.findings += own
        if self.version:
            self.asked = self.version
            self.findings += self.memory.ask(opened, kind, own)
        if self.options.here is not None and kind in ("job.pipeline", "job.command", "job.sweep"):
            self._here(opened, own)
        for path, expected in _named(opened):
            self.used.add(shown(path))
            self.file(path, chosen=False, expected=expected)

    def _here(self, opened: At, own: list[Finding]) -> None:
        """What Azure ML takes and this machine cannot run; nothing more of a file that is wrong anyway."""
        if self.options.here is None or any(f.level == "error" for f in own):
            return
        for problem in self.options.here(opened.path):
            file, _, line = problem.where.rpartition(":")
            known = (file, int(line)) if line.isdecimal() else (problem.where, 1)
            self.findings.append(Finding("not-here", *known, problem.field, problem.message))


def _named(top: At) -> Iterator[tuple[Path, str]]:
    """Components, trials, environments and jobs that a file names: what is wrong there breaks it too."""
    places = {"job.command": [top["create_job"], top.at("create_job", "job")]}
    places["component.pipeline"] = [top["component"]]
    for _, node in top["jobs"].fields():
        kind = {"sweep": "command"}.get(kind_of_node(node), kind_of_node(node))
        places.setdefault(f"component.{kind}", []).append(reference_of(node))
    for expected, named in places.items():
        for place in named:
            if (path := _file(place)) is not None:
                yield path, expected if expected in KINDS else ""
    for place in texts(top):
        if place.word.startswith("file:") and (path := _file(place)) is not None:
            yield path, ""


def _file(place: At) -> Path | None:
    if place.text is None or is_remote(place.text):
        return None
    path = place.beside(place.text.removeprefix("file:"))
    return path if is_file(path) else None


def _says_azure(path: Path) -> bool:
    """Whether the text of a broken file says that it is Azure ML's."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "azuremlschemas" in text or ("$schema:" in text and "azureml" in text.lower())


def rule_names(names: Iterable[str]) -> frozenset[str]:
    """House rules by name; raises `InvalidInput` for one that does not exist."""
    chosen = frozenset(names)
    house = {name for name, rule in RULES.items() if rule.level == "rule"}
    if wrong := sorted(chosen - house):
        raise InvalidInput(f"{', '.join(wrong)} is no house rule; there is: {', '.join(sorted(house))}")
    return chosen
