"""What the pipeline of the data factory does after the copy: start the job, wait for it, publish its version.

Every call goes to Resource Manager with a token of the factory's own identity; no secret is in the pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pulumi_azure_native import datafactory

from mlops.infra.options.ingestion import API, NEXT, RUN, Ingestion

MANAGEMENT = "https://management.azure.com"
_ENDED = "createArray('Completed', 'Failed', 'Canceled')"
_STATUS = "activity('status').output.properties.status"
_FINAL = "activity('ended').output.properties.status"
"""Asked again after the loop: what is inside a loop cannot be relied on outside."""
_POLL_SECONDS = 60
_LONGEST = "0.06:00:00"
"""Days.hours:minutes:seconds until a job that does not end is given up on; it is then a person's."""


def expression(value: str) -> dict[str, str]:
    """Text that Data Factory evaluates."""
    return {"type": "Expression", "value": value}


def after_copy(
    ingestion: Ingestion, workspace_id: str, cluster: str, delivery: str, *, after: str
) -> Sequence[Any]:
    """The activities that follow the activity `after`, in order."""
    asset = f"{workspace_id}/data/{ingestion.asset}"
    job = f"{workspace_id}/jobs/ingest-{RUN}"
    newest = _call("newest", "GET", asset, after=[after], retry=3)
    # Not retried: the job may have started although no answer came, and its name is taken then.
    start = _call(
        "start", "PUT", job, after=["newest"], body=ingestion.job(workspace_id, cluster, delivery), retry=0
    )
    wait = datafactory.UntilActivityArgs(
        name="wait",
        type="Until",
        depends_on=_done("start"),
        timeout=_LONGEST,
        expression=datafactory.ExpressionArgs(type="Expression", value=f"@contains({_ENDED}, {_STATUS})"),
        activities=[
            datafactory.WaitActivityArgs(name="pause", type="Wait", wait_time_in_seconds=_POLL_SECONDS),
            _call("status", "GET", job, after=["pause"], retry=3),
        ],
    )
    ended = _call("ended", "GET", job, after=["wait"], retry=3)
    publish = _call("publish", "PUT", f"{asset}/versions/{NEXT}", after=[], body=ingestion.version(), retry=3)
    refuse = datafactory.FailActivityArgs(
        name="refuse",
        type="Fail",
        error_code="ingestion",
        message=expression(
            f"The Azure ML job ingest-{RUN} ended as @{{{_FINAL}}}; its log and its output quarantine say "
            f"why. No version of {ingestion.asset} was made."
        ),
    )
    judge = datafactory.IfConditionActivityArgs(
        name="judge",
        type="IfCondition",
        depends_on=_done("ended"),
        expression=datafactory.ExpressionArgs(type="Expression", value=f"@equals({_FINAL}, 'Completed')"),
        if_true_activities=[publish],
        if_false_activities=[refuse],
    )
    return [newest, start, wait, ended, judge]


def _call(
    name: str, method: str, path: str, *, after: Sequence[str], retry: int, body: Any = None
) -> datafactory.WebActivityArgs:
    return datafactory.WebActivityArgs(
        name=name,
        type="WebActivity",
        method=method,
        url=expression(f"{MANAGEMENT}{path}?api-version={API}"),
        headers={"Content-Type": "application/json"} if body is not None else None,
        # One text, because expressions inside an object are not evaluated in every place.
        body=expression(json.dumps(body)) if body is not None else None,
        authentication=datafactory.WebActivityAuthenticationArgs(type="MSI", resource=f"{MANAGEMENT}/"),
        depends_on=_done(*after) if after else None,
        policy=datafactory.ActivityPolicyArgs(
            retry=retry, retry_interval_in_seconds=60, timeout="0.00:10:00"
        ),
    )


def _done(*names: str) -> list[datafactory.ActivityDependencyArgs]:
    return [
        datafactory.ActivityDependencyArgs(activity=name, dependency_conditions=["Succeeded"])
        for name in names
    ]
