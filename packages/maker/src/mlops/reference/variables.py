"""Environment variables that the lifecycle reads. A test finds every name in the sources and compares."""

from __future__ import annotations

from mlops.reference.markdown import code, page, table

PERSON = {
    "MLOPS_TARGET": "`local` or `azure`; before `target` of `mlops.toml`, after `--target`.",
    "MLOPS_MODEL": "The model that verbs are about, as `--model` names it.",
    "MLOPS_DEBUG": "`1`: show the traceback of an error, not its sentence.",
    "MLOPS_SIGNING_KEY": "File of the private key that `mlops release` and `mlops sign` sign with.",
    "MLOPS_SIGNING_KEY_PASSWORD": "Its password, where it is encrypted.",
    "MLOPS_WEBHOOK_SECRET": "Key that webhooks of `[[events.sinks]]` are signed with, unless "
    "`secret_env` names another.",
    "MLOPS_DISPATCH_SECRET": "Key of the incoming webhook on Azure DevOps that `dispatch` calls.",
    "MLOPS_STATE": "For workflows: `kept` when the local target's state outlives a job.",
    "MLOPS_FORGE_FOLLOW": "`0`: a push to the local forge does not wait for the runs that it starts.",
}
"""Set by people and by CI."""

DEPLOYMENT = {
    "MLOPS_ENVIRONMENT": "Label of metrics and captured rows.",
    "MLOPS_MODEL": "The model's name.",
    "MLOPS_MODEL_VERSION": "The version that it serves.",
    "MLOPS_MODEL_DIGEST": "What the mounted artifact must be; other files are refused.",
    "MLOPS_PRETRAINED": "The folder of `asset:` files; the step `train` sets it from `--pretrained`.",
    "MLOPS_MODEL_SIGNATURE": "The artifact's signature, a Sigstore bundle; with the next ones it must "
    "verify.",
    "MLOPS_SIGNING_PUBLIC_KEY": "Whose key.",
    "MLOPS_SIGNING_IDENTITY": "Or which workflow, keyless.",
    "MLOPS_SIGNING_ISSUER": "And who certified it.",
    "MLOPS_DEPLOYMENT": "Its own name.",
    "MLOPS_CAPTURE": "The settings of `[models.<name>.capture]` as JSON.",
    "MLOPS_CAPTURE_DIR": "Where captured files go.",
    "MLOPS_HOST": "Address that the container listens on.",
    "MLOPS_PORT": "Its port.",
}
"""Set for a deployment, by `mlops apply` or by whoever runs the container."""

FORGE = {
    "MLOPS_WARM": "`off`: `mlops train` keeps no process for the next one. Else where a server listens "
    "that steps and jobs are forked from.",
    "MLOPS_FORGE": "The bare repository of the local forge.",
    "MLOPS_FORGE_PYTHON": "The Python that jobs use.",
    "MLOPS_FORGE_RUN": "The run's number.",
    "MLOPS_FORGE_TOKEN": "Stands for the job's token, so that a push with it starts nothing.",
}
"""Set by the lifecycle for what it starts itself; not to be set by hand."""


def variables() -> str:
    """The page."""
    parts = []
    for title, names in (
        ("Set by people and CI", PERSON),
        ("Set for a deployment", DEPLOYMENT),
        ("Set by mlops for steps and jobs, never by hand", FORGE),
    ):
        rows = [(code(name), meaning) for name, meaning in names.items()]
        parts += [f"## {title}", table(("variable", "meaning"), rows)]
    return page(
        "Environment variables",
        *parts,
        "Azure's and the forges' own variables (`AZURE_CLIENT_ID`, `GITHUB_TOKEN`, `SYSTEM_ACCESSTOKEN` "
        "…) mean what "
        "they mean there; [the target azure](../azure.md#who-you-are) says which logins are taken.",
    )
