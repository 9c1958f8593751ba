"""Verbs between the template and its forks: init, update."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, app, changes_pending, err, out, print_json, state, verb
from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.template.plan import Plan
    from mlops.template.questions import Ask
    from mlops.template.update import Update


@app.command(
    epilog="Example: mlops init --project prices --contact ml@contoso.com --model prices --task regression"
)
@verb
def init(
    project: Annotated[str | None, typer.Option(help="Name of the project, in all names in Azure.")] = None,
    organisation: Annotated[
        str | None, typer.Option(help="Put in front of it: up to 12 lower-case letters and digits.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Azure region of all stacks.")] = None,
    forge: Annotated[str | None, typer.Option(help="local, github or azure-devops.")] = None,
    repository: Annotated[
        str | None, typer.Option(help="owner/name on GitHub, organization/project/name on Azure DevOps.")
    ] = None,
    contact: Annotated[str | None, typer.Option(help="E-mail address for alerts and the budget.")] = None,
    model: Annotated[str | None, typer.Option(help="The first model; it replaces the example.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="What it is made with; mlops new-model --help lists the kinds.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="What it answers: binary, multiclass or regression.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Where the engine comes from: git+URL of the template, index+URL of a package index, or a "
            "folder of wheels."
        ),
    ] = None,
    keep_example: Annotated[
        bool, typer.Option("--keep-example", help="Keep the example model; replace it later by hand.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen, change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a fresh clone of the template yours: names, region, forge, model. Asks what no option says."""
    from mlops.template.plan import plan
    from mlops.template.questions import gather

    if keep_example and (model or kind or task):
        raise InvalidInput("--keep-example and --model exclude each other")
    given = {
        "project": project, "organisation": organisation, "region": region, "forge": forge,
        "repository": repository, "contact": contact, "model": model, "kind": kind, "task": task,
        "engine": engine,
    }  # fmt: skip
    asking = None if as_json else _asking()
    answers = gather(state.root, given, keep_example=keep_example, ask=asking)
    with plan(state.root, answers) as planned:
        pending = planned.pending
        if as_json:
            print_json(_plain(planned))
        else:
            _show(planned, pending, dry_run)
        if not dry_run:
            planned.carry_out()
    if not as_json and pending and not dry_run:
        _next(planned)


def _asking() -> Ask | None:
    """A prompt, where a person is."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str, default: str) -> str:
        return str(typer.prompt(question, default=default, err=True, show_default=bool(default))).strip()

    return ask


def _show(made: Plan, pending: tuple[str, ...], dry_run: bool) -> None:
    if not pending:
        out().print("nothing to do: this repository is initialised as asked")
        return
    for title, paths in (("write", made.written), ("change", made.changed), ("remove", made.removed)):
        for line in _folded(paths):
            out().print(f"  {title:<7}{line}", markup=False)
    counts = f"{len(made.written)} written, {len(made.changed)} changed, {len(made.removed)} removed"
    out().print(f"{'would be' if dry_run else 'files:'} {counts}")
    for left in made.leftovers:
        err().print(f"[yellow]still names the template[/]: {left}")


def _folded(paths: tuple[str, ...], most: int = 4) -> list[str]:
    """Paths in order; a folder in which they are many is one line, with how many they are."""

    def lines(folder: str, inside: list[str]) -> list[str]:
        children: dict[str, list[str]] = {}
        for path in inside:
            children.setdefault(path[len(folder) :].partition("/")[0], []).append(path)
        each: list[str] = []
        for name, below in sorted(children.items()):
            is_file = below == [folder + name]
            each += below if is_file else lines(f"{folder}{name}/", below)
        return [f"{folder} ({len(inside)} files)"] if folder and len(each) > most else each

    return lines("", list(paths))


def _next(made: Plan) -> None:
    model = made.answers.model
    out().print("Next: look at git diff, then git add --all && git commit --message 'Initialise'; make setup")
    if model:
        out().print(f"then mlops train, and put your data into src/{model.replace('-', '_')}/data.py")


def _plain(made: Plan) -> dict[str, object]:
    return {
        "answers": made.answers.told(),
        "written": made.written,
        "changed": made.changed,
        "removed": made.removed,
        "pending": made.pending,
        "leftovers": [vars(left) for left in made.leftovers],
    }


@app.command(epilog="Example: mlops update --check; then: mlops update --dry-run; then: mlops update")
@verb
def update(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether there is a newer version; exit 2 when so.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, make no branch; exit 2 when anything.")
    ] = False,
    to: Annotated[str | None, typer.Option(help="A version; default: the newest.", metavar="VERSION")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Git URL of the template; default: template.toml, then the engine's source, then a remote.",
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="From now on the engine comes from here; as mlops init takes it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a newer version of the template into this fork, as a commit on a branch of its own."""
    from mlops.template import manifest, versions
    from mlops.template.update import plain, wanted_version
    from mlops.template.update import update as bring

    current = manifest.load(state.root)
    url = versions.source(state.root, current, source)
    wanted = wanted_version(state.root, url, to)
    if check:
        newer = wanted != current.version
        if as_json:
            print_json({"current": current.version, "newest": wanted, "newer": newer})
        else:
            out().print(
                f"version {wanted} is there; this fork has {current.version}" if newer else _none(wanted)
            )
        if newer:
            changes_pending()
        return
    done = bring(state.root, url, wanted, write=not dry_run, engine=engine)
    if as_json:
        print_json(plain(done))
    else:
        _tell(done, dry_run)
    if done.needed and (dry_run or done.conflicts):
        changes_pending()


def _none(version: str) -> str:
    return f"nothing to do: this fork has version {version}, and there is no newer one"


def _tell(done: Update, dry_run: bool) -> None:
    if not done.needed:
        out().print(_none(done.current))
        return
    if done.notes:
        out().print(done.notes, markup=False)
        out().print()
    for line in _folded(done.changed):
        out().print(f"  change {line}", markup=False)
    for line in done.migrations:
        out().print(f"  migrated: {line}", markup=False)
    for line in done.remarks:
        err().print(f"[yellow]note[/] {line}")
    for conflict in done.conflicts:
        err().print(f"[red]conflict[/] {conflict.path}: {conflict.why}")
    if dry_run:
        out().print(f"version {done.current} would become {done.wanted}, on the branch {done.branch}")
    elif done.conflicts:
        err().print(
            f"You are on {done.branch}. Edit these files, take out the conflict markers, then git add and "
            "git commit. To give up: git switch --force -, then "
            f"git branch --delete --force {done.branch}"
        )
    else:
        out().print(
            f"version {done.current} became {done.wanted} in one commit on {done.branch}, where you are"
        )
        out().print("Next: make setup lint test; git push; open a pull request")
