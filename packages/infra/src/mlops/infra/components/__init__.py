"""One component a module: a props dataclass of plain typed data and a `pulumi.ComponentResource`."""
