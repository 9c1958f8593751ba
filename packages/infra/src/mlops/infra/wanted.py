"""What a stack file amounts to, as pure functions: models to serve, grants. Trust is in `trust`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.infra import roles
from mlops.infra.config import Endpoint, EnvironmentStack
from mlops.infra.load import StackFile, parse_stack, raw_stack_file
from mlops.infra.naming import Names
from mlops.infra.sizes import fields_of
from mlops.infra.stack_names import stack_names
from mlops.infra.trust import federations
from mlops.spec.files import POLICY, load_policy
from mlops.spec.settings import Settings
from mlops.spec.vm_offers import region_problem, size_problem


def served_models(config: EnvironmentStack, settings: Settings, stack: str) -> dict[str, Endpoint]:
    """How each model of mlops.toml is served here; raises `InvalidInput` for one that is not there."""
    known = sorted(settings.models)
    if unknown := sorted(set(config.endpoints) - set(known)):
        raise InvalidInput(
            [
                Problem(
                    f"environments/Pulumi.{stack}.yaml",
                    f"mlops.toml has no model {name!r}; known: {', '.join(known)}",
                    f"endpoints.{name}",
                )
                for name in unknown
            ]
        )
    return {name: config.endpoints.get(name, Endpoint()) for name in known}


def check_endpoints(names: Names, models: Iterable[str]) -> None:
    """Raise `InvalidInput` when two models would get one endpoint: names in Azure ML are short."""
    for kind in ("online_endpoint", "batch_endpoint"):
        taken: dict[str, str] = {}
        for model in models:
            name = names.endpoint(kind, model).lower()
            if other := taken.get(name):
                sentence = (
                    f"{other} and {model} would share the endpoint {name} in {names.environment}: only "
                    "the first "
                    "letters of a long name fit; give one of them a name that begins differently"
                )
                raise InvalidInput(Problem("mlops.toml", sentence, f"models.{model}"))
            taken[name] = model


def check_sizes(config: EnvironmentStack, settings: Settings, stack: str) -> None:
    """Raise `InvalidInput` for a VM size that Azure does not have, or does not sell in this region."""
    vouched = frozenset(size.lower() for size in settings.lint.vm_sizes)
    problems = [
        Problem(f"environments/Pulumi.{stack}.yaml", said, f"{field}.vm_size")
        for field, size in fields_of(config).items()
        if (said := size_problem(size, vouched) or region_problem(size, config.location, vouched))
    ]
    if problems:
        raise InvalidInput(problems)


def check_apart(root: Path, config: EnvironmentStack, settings: Settings, stack: str) -> None:
    """Raise `InvalidInput` when another stack trusts the same workflow for more than it was approved for: for
    another duty, or as the same one in another environment on the way to production."""
    order = load_policy(root).order if (root / POLICY).is_file() else ()
    on_the_way = {*order, settings.azure.train}
    mine = {(f.issuer, f.subject.lower()): f for f in federations(config)}
    for name in stack_names(root):
        if name == stack or not mine:
            continue
        values, secret = raw_stack_file(root, name)
        other = parse_stack(values, secret, StackFile.of(root, name))
        if not isinstance(other, EnvironmentStack):
            continue
        for theirs in federations(other):
            found = mine.get((theirs.issuer, theirs.subject.lower()))
            if found and (found.duty != theirs.duty or {name, stack} <= on_the_way):
                field = "github.environments" if found.name == "github" else "azure_devops.subjects"
                sentence = (
                    f"{found.subject} is also trusted as {theirs.duty} of stack {name}: whoever may act in "
                    "one could act in both; give each stack its own"
                )
                raise InvalidInput(
                    Problem(f"environments/Pulumi.{stack}.yaml", sentence, f"{field}.{found.duty}")
                )


def check_shared(config: EnvironmentStack, project: str, shared: str, stack: str) -> None:
    """Raise `InvalidInput` when `shared_stack` is no stack of this repository: a plan has no others."""
    if config.shared_stack.partition("/")[2] == f"{project}/{shared}":
        return
    sentence = (
        f"must end with /{project}/{shared}, the stack that holds the registry; got {config.shared_stack!r}"
    )
    raise InvalidInput(Problem(f"environments/Pulumi.{stack}.yaml", sentence, "shared_stack"))


def check_training(config: EnvironmentStack, settings: Settings, stack: str) -> None:
    """Raise `InvalidInput` when `training_stack` is not the stack that mlops.toml trains in."""
    trains = settings.azure.train
    if config.training_stack is None or config.trains_in == trains != stack:
        return
    sentence = (
        "this stack trains itself (azure.train of mlops.toml); leave the field out"
        if stack == trains
        else f"must end with /{trains}, the stack that trains (azure.train of mlops.toml); "
        f"got {config.training_stack!r}"
    )
    raise InvalidInput(Problem(f"environments/Pulumi.{stack}.yaml", sentence, "training_stack"))


def check_readers(config: EnvironmentStack, settings: Settings, stack: str) -> None:
    """Raise `InvalidInput` when others are to take versions from a stack that numbers none."""
    trains = settings.databricks.train
    if config.unity_catalog and config.unity_catalog.readers and stack != trains:
        sentence = (
            f"versions are numbered in {trains} (databricks.train of mlops.toml), so nobody takes any from "
            f"here; name the client ids in environments/Pulumi.{trains}.yaml"
        )
        where = "options.databricks.unity_catalog.readers"
        raise InvalidInput(Problem(f"environments/Pulumi.{stack}.yaml", sentence, where))


def check_lifetime(stack: str, training: str, ttl: str | None) -> None:
    """Raise `InvalidInput` when a clock would destroy `training`, which trains for `stack`."""
    if ttl:
        sentence = (
            f"{stack} is trained for here (training_stack of its file), and the clock would destroy what its "
            "live traffic is compared with; leave the field out"
        )
        raise InvalidInput(Problem(f"environments/Pulumi.{training}.yaml", sentence, "ttl"))


def check_upstream(stack: str, before: str, ttl: str | None, *, own: str | None) -> None:
    """Raise `InvalidInput` when a clock would destroy `before`, the environment before `stack`, alone.

    `ttl` is that of `before`, `own` that of `stack`.
    """
    if before and ttl and not own:
        sentence = (
            f"{stack} comes after this environment (order of {POLICY}): what is promoted there is proven by "
            "the journal here, and its identities hold roles on it, which the clock would destroy; leave the "
            f"field out, or give {stack} one too"
        )
        raise InvalidInput(Problem(f"environments/Pulumi.{before}.yaml", sentence, "ttl"))


def trains_privately(root: Path, config: EnvironmentStack) -> bool:
    """Whether the stack that trains for this one is reached by private endpoints only, as its file says.

    Raises `InvalidInput` when that file is wrong.
    """
    if not config.trains_in or not (root / f"environments/Pulumi.{config.trains_in}.yaml").is_file():
        return False
    values, secret = raw_stack_file(root, config.trains_in)
    training = parse_stack(values, secret, StackFile.of(root, config.trains_in))
    return isinstance(training, EnvironmentStack) and training.network.private_endpoints


def stack_before(root: Path, stack: str) -> str:
    """The stack of the environment before this one in the policy, whose exports it reads; empty for none.

    None too where it has no file, and where an environment before trains in this stack: of two that read each
    other none could be made first. Raises `InvalidInput` when a file is wrong.
    """
    if not (root / POLICY).is_file():
        return ""
    policy = load_policy(root)
    before = policy.upstream(stack) if stack in policy.order else None
    if before is None or before not in stack_names(root):
        return ""
    earlier = policy.order[: policy.order.index(stack)]
    return "" if any(_trains_in(root, name) == stack for name in earlier) else before


def _trains_in(root: Path, stack: str) -> str:
    if stack not in stack_names(root):
        return ""
    values, secret = raw_stack_file(root, stack)
    config = parse_stack(values, secret, StackFile.of(root, stack))
    return config.trains_in if isinstance(config, EnvironmentStack) else ""


def granted(
    config: EnvironmentStack, *, privately: bool = False, before: str = ""
) -> tuple[roles.Grant, ...]:
    """The rows of the table in `mlops.infra.roles` that this stack needs; `privately`: `trains_privately`,
    `before`: `stack_before`."""
    settings: dict[roles.When, bool] = {
        "customer-managed keys": config.customer_managed_keys,
        "events": bool(config.events),
        "kubernetes with private endpoints": config.options.aks is not None
        and config.network.private_endpoints,
        "databricks": config.options.databricks is not None,
        "unity catalog": config.unity_catalog is not None,
        "data factory": config.options.data_factory is not None,
        "another stack trains": config.training_stack is not None,
        "a private stack trains": privately and config.network.isolation != "open",
        "an environment is before": bool(before),
        # Of the stack that trains, `train` and `plan` may read as much already.
        "an environment is before and does not train": before not in ("", config.trains_in),
    }
    return roles.grants(when for when, on in settings.items() if on)
