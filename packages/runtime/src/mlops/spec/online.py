"""How a model's online deployments run on Azure ML: `[models.<name>.online]` of mlops.toml."""

from __future__ import annotations

from pydantic import Field, model_validator

from mlops.spec._base import Spec


class Kubernetes(Spec):
    """A Kubernetes online endpoint in place of a managed one."""

    compute: str = Field(min_length=1)
    """The cluster's name in the workspace, as it was attached."""
    instance_type: str = "defaultinstancetype"
    """As the cluster's extension defines it."""
    cpu: str = "1"
    """Cores, as Kubernetes writes them."""
    memory: str = "1Gi"
    """As Kubernetes writes it."""


class OnlineSettings(Spec):
    """Measure first: docs/azure.md says how a size follows from a request rate."""

    container: bool = False
    """Our own server, in the container of container/environment.yml, which Azure ML builds. If not: Azure's
    inference server with `mlops.serving.azure.score`, in pipelines/<model>/environment/serving.yml."""
    image: str = ""
    """A container of our server that was built elsewhere."""
    instance_type: str = "Standard_DS3_v2"
    """A VM size of managed online endpoints."""
    instances: int = Field(default=1, ge=1, le=50)
    """How many; the fewest, with `max_instances`."""
    max_instances: int = Field(default=1, ge=1, le=50)
    """More than `instances`: one is added above `scale_out_cpu`, and taken away below `scale_in_cpu`."""
    scale_out_cpu: int = Field(default=70, ge=2, le=99)
    """Percent, the average of five minutes."""
    scale_in_cpu: int = Field(default=25, ge=1, le=98)
    """Percent, the average of twenty minutes."""
    request_seconds: float = Field(default=10.0, gt=0, le=180)
    """Azure gives up on a request after this; 180 s is its limit."""
    concurrent_requests: int = Field(default=32, ge=1)
    """Of one instance; Azure's own default of 1 would leave it idle."""
    start_seconds: int = Field(default=600, ge=10, le=3600)
    """A deployment that is not ready by then has failed."""
    kubernetes: Kubernetes | None = None
    """None: a managed endpoint."""

    @model_validator(mode="after")
    def _ordered(self) -> OnlineSettings:
        if self.max_instances > 1 and self.max_instances < self.instances:
            raise ValueError("max_instances must not be less than instances")
        if self.scale_in_cpu >= self.scale_out_cpu:
            raise ValueError("scale_in_cpu must be less than scale_out_cpu")
        return self

    @property
    def scales(self) -> bool:
        """Whether the number of instances follows the load."""
        return self.kubernetes is None and self.max_instances > self.instances
