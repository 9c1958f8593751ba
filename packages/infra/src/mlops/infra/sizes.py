"""The VM sizes that the stack files name: clusters, and the nodes of a Kubernetes cluster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mlops.infra.config import EnvironmentStack
from mlops.infra.load import StackFile, parse_stack, raw_stack_file
from mlops.infra.stack_names import stack_names
from mlops.spec.vm_sizes import has_gpu, series_of, table


@dataclass(frozen=True)
class Named:
    """One field that names a size, and when Azure retires that; None where it is not known to end."""

    stack: str
    field: str
    size: str
    ends: date | None
    gpu: bool


def fields_of(config: EnvironmentStack) -> dict[str, str]:
    """Field to size."""
    fields = {f"clusters.{name}": cluster.vm_size for name, cluster in config.clusters.items()}
    if config.options.aks:
        fields["options.aks"] = config.options.aks.vm_size
    return fields


def named(root: Path) -> list[Named]:
    """Every size of every stack file, in the order of `stack_names`. Raises `InvalidInput` for a wrong
    file."""
    sizes_named, sizes = [], table(root)
    for stack in stack_names(root):
        values, secret = raw_stack_file(root, stack)
        config = parse_stack(values, secret, StackFile.of(root, stack))
        if not isinstance(config, EnvironmentStack):
            continue
        for field, size in fields_of(config).items():
            series = series_of(size, sizes)
            sizes_named.append(Named(stack, field, size, series.ends if series else None, has_gpu(size)))
    return sizes_named
