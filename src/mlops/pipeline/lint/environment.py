"""Environments must be pinned: what a run used has to be found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.models import Environment
from mlops.pipeline.read import Loc, Step, read_environment
from mlops.spec._yaml import Document


def check_environment(step: Step) -> Iterator[Problem]:
    """Problems of a step's environment, wherever it is written."""
    try:
        environment, document, loc, path = read_environment(step)
    except InvalidInput as error:
        yield from error.problems
        return
    if environment is None:
        reference = (step.node.environment or step.component.environment).reference or ""
        if why := unpinned_reference(reference):
            yield document.problem(loc, why)
        return
    yield from environment_problems(environment, document, loc, path)


def unpinned_reference(reference: str) -> str:
    """Why `azureml:<name>:<version>` or `azureml://…/versions/<n>` is not pinned; empty when it is."""
    if reference.startswith("azureml://"):
        pinned = "/versions/" in reference and bool(reference.rsplit("/versions/", 1)[1])
    else:
        _, _, version = reference.removeprefix("azureml:").partition(":")
        pinned = bool(version) and version != "latest"
    return (
        ""
        if pinned and "@" not in reference
        else f"{reference!r} names no version; pin one (azureml:<name>:<version>)"
    )


def unpinned_image(image: str) -> str:
    """Why a container image is not pinned; empty when it has a tag other than `latest`, or a digest."""
    if "@sha256:" in image:
        return ""
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    if not tag:
        return f"the image {image!r} has no tag; pin one, or a digest (…@sha256:…)"
    return (
        f"the image {image!r} moves; pin a tag that does not, or a digest (…@sha256:…)"
        if tag == "latest"
        else ""
    )


def environment_problems(
    environment: Environment, document: Document, loc: Loc, path: Path
) -> Iterator[Problem]:
    """Problems of the fields of an environment."""
    if environment.image is None and environment.build is None:
        yield document.problem(loc, "needs `image` or `build`")
    if environment.image is not None and environment.build is not None:
        yield document.problem((*loc, "build"), "`image` and `build` exclude each other")
    if environment.image is not None and (why := unpinned_image(environment.image)):
        yield document.problem((*loc, "image"), why)
    if environment.name is not None and environment.version is None:
        yield document.problem(loc, f"the environment {environment.name!r} has no `version`; give one")
    if isinstance(environment.conda_file, str) and not (path.parent / environment.conda_file).is_file():
        yield document.problem((*loc, "conda_file"), f"the file {environment.conda_file!r} does not exist")
    if environment.build is not None:
        folder = path.parent / environment.build.path
        if not folder.is_dir():
            yield document.problem(
                (*loc, "build", "path"), f"the folder {environment.build.path!r} does not exist"
            )
        elif not (folder / environment.build.dockerfile_path).is_file():
            message = f"there is no {environment.build.dockerfile_path!r} in {environment.build.path!r}"
            yield document.problem((*loc, "build", "dockerfile_path"), message)
