"""The verb sign: a signature for a release that is there already."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli._app import JsonOption, ModelOption, app, out, print_json, state, verb


@app.command(epilog="Example: mlops sign 7")
@verb
def sign(
    version: Annotated[int, typer.Argument(min=1, help="A release of this checkout.", metavar="RELEASE")],
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a release's model, for example after the team changed its key; `mlops release` signs new ones."""
    from mlops.errors import InvalidInput
    from mlops.lifecycle.apply.sign import sign_release
    from mlops.lifecycle.desired.proven import vouch
    from mlops.spec.files import load_release
    from mlops.spec.settings import FILE

    name, _ = state.model(model)
    settings = state.settings.signing
    if not settings.used and not settings.records:
        raise InvalidInput(
            f"{FILE} says not whose signature counts; set signing.public_key or signing.identity, or "
            "signing.records for what the registry records"
        )
    # Whoever asks for a signature wants it or a reason, also where none is required.
    wanted = settings.model_copy(update={"required": settings.used})
    release = load_release(state.root, name, version)
    written = sign_release(state.root, state.target.registry, release, wanted)
    recorded = bool(settings.records) and vouch(state.target.registry, release)
    if as_json:
        files = [written] if written else []
        print_json({"model": name, "release": version, "written": files, "recorded": recorded})
        return
    if recorded:
        out().print(f"the record of release {version} of {name} is signed")
    if written:
        out().print(f"release {version} of {name} is signed: {written}; commit it")
    elif not recorded:
        out().print(f"nothing to do: the signature of release {version} of {name} is valid")
