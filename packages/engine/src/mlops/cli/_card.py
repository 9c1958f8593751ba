"""`mlops card`: the model card of a version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import ModelOption, VersionArgument, app, out, state, verb


@app.command(epilog="Example: mlops card 7; then: mlops card 7 --out card.html")
@verb
def card(
    version: VersionArgument = None,
    model: ModelOption = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write to this file (.md or .html); default: Markdown here.")
    ] = None,
) -> None:
    """Say what a version learned from, how good it is and where it is not, and who let it in."""
    import sys

    from mlops.board import gather
    from mlops.board.card import card_of, markdown
    from mlops.board.site import card_page
    from mlops.errors import InvalidInput
    from mlops.lifecycle.train.evidence import find_version

    if file is not None and file.suffix not in (".md", ".html"):
        raise InvalidInput(f"--out {file}: a card is written as .md or .html")
    name, _ = state.model(model)
    chosen = find_version(state.target.registry, name, version).version
    facts = gather(state.root, state.target, state.settings, (name,), only=chosen)
    page = card_of(facts.models[0], facts.models[0].versions[0])
    if file is None:
        sys.stdout.write(markdown(page))
        return
    text = card_page(facts, page) if file.suffix == ".html" else markdown(page)
    file.write_text(text, encoding="utf-8")
    out().print(f"the card of {page.title} is in {file}", markup=False)
