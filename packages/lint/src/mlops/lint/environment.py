"""Environments: image or build, the files that they name, and whether they are pinned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.machine import between
from mlops.lint.node import At, is_file, is_folder
from mlops.lint.references import check_asset, is_remote
from mlops.lint.shape import check_shape
from mlops.spec._yaml import plain_value


def check_environment(place: At, files: Files) -> Iterator[Finding]:
    """The `environment` of a job, component or deployment: written there, in a file, or in the workspace."""
    text = place.text
    if text is None:
        if isinstance(place.value, dict):
            yield from environment_fields(place)
        return
    if is_remote(text):
        yield from check_asset(place)
        return
    if not text.startswith("file:"):
        return  # the shape says what is allowed
    path = place.beside(text.removeprefix("file:"))
    if not is_file(path):
        yield place.says("missing-file", f"the environment {text!r} does not exist beside the file")
        return
    yield from files.told(path, _check_file)


def _check_file(top: At) -> Iterator[Finding]:
    yield from check_shape(top, "environment.anonymous")
    yield from environment_fields(top)


def environment_fields(place: At) -> Iterator[Finding]:
    """Problems of the fields of an environment."""
    image, build, conda = place["image"], place["build"], place["conda_file"]
    if "image" in place and "build" in place:
        yield build.says("image-and-build", "`image` and `build` exclude each other")
    elif "image" not in place and "build" not in place:
        yield place.says("image-and-build", "needs `image` or `build`")
    if image.text is not None and (why := _no_image(image.text.strip())):
        yield image.says("wrong-value", f"{image.value!r} is no name of an image; {why}")
    elif image.text is not None and (why := unpinned_image(image.text)):
        yield image.says("pin-image", why)
    if "name" in place and "version" not in place:
        name = place["name"].value
        yield place.says("pin-environment", f"the environment {name!r} has no `version`; give one")
    if conda.text is not None and not is_remote(conda.text) and not is_file(conda.beside(conda.text)):
        yield conda.says("missing-file", f"the file {conda.text!r} does not exist beside the file")
    yield from _conda(conda)
    if "conda_file" in place and not isinstance(conda.value, str | dict):
        yield conda.says("wrong-type", "must be the path of a conda file, or its content")
    if "conda_file" in place and "build" in place:
        yield conda.says("image-and-build", "`conda_file` belongs to `image`; a build has its Dockerfile")
    yield from _build(build)
    for route in ("liveness_route", "readiness_route", "scoring_route"):
        yield from between(place["inference_config"][route]["port"], 1, 65535, "out-of-range")


def _conda(conda: At) -> Iterator[Finding]:
    """What conda is given lists its dependencies."""
    content = conda.value
    if conda.text is not None and not is_remote(conda.text) and is_file(path := conda.beside(conda.text)):
        try:
            content = plain_value(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            said = str(error).splitlines()[0]
            yield conda.says("asset", f"{conda.text!r} cannot be read as YAML: {said}")
            return
        if content is not None and not isinstance(content, dict):
            yield conda.says("asset", f"{conda.text!r} is no conda file: it has no fields")
            return
    for why in _wrong_conda(content) if isinstance(content, dict) else ():
        yield conda.says("asset", why)


def _wrong_conda(content: dict[str, Any]) -> Iterator[str]:
    """What conda would refuse in its file."""
    for field in ("dependencies", "channels"):
        if not isinstance(content.get(field) or [], list):
            yield f"`{field}` of the conda file must be a list"
    dependencies = content.get("dependencies")
    for part in dependencies if isinstance(dependencies, list) else ():
        for key, packages in part.items() if isinstance(part, dict) else ():
            if key != "pip":
                yield f"a dependency of the conda file is a text, or `pip` with a list; got {key!r}"
            elif not isinstance(packages, list):
                yield "`pip` of the conda file must be a list"


def _no_image(image: str) -> str:
    """Why a text can't be the name of a container image; empty when it can, or is still to be filled."""
    if "${{" in image:
        return ""
    if re.search(r"\s", image):
        return "it has a space"
    if re.search(r"[<{$]", image):
        return ""
    if "://" in image:
        return "it begins with the host, without a scheme"
    path = image.partition("@")[0]
    head, slash, last = path.rpartition("/")
    host, _, folders = head.partition("/")
    if "." not in host and ":" not in host:
        folders = head
    repository = f"{folders}{slash}{last.partition(':')[0]}"
    return "" if repository == repository.lower() else "a repository has small letters only"


def _build(build: At) -> Iterator[Finding]:
    path = build["path"]
    if isinstance(build.value, dict) and "path" not in build:
        yield build.says("missing-field", "needs `path`, the folder with the Dockerfile")
    if path.text is None or is_remote(path.text):
        return
    folder = path.beside(path.text)
    if not is_folder(folder):
        yield path.says("missing-file", f"the folder {path.text!r} does not exist beside the file")
        return
    written = build["dockerfile_path"]
    name = written.text or "Dockerfile"
    if not is_file(folder / name):
        yield written.says("missing-file", f"there is no {name!r} in {path.text!r}")


def unpinned_image(image: str) -> str:
    """Why a container image is not pinned; empty when it has a tag other than `latest`, or a digest."""
    if "${{" in image:
        return ""
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    if not tag:
        return f"the image {image!r} has no tag; pin one, or a digest (…@sha256:…)"
    if tag == "latest":
        return f"the image {image!r} moves; pin a tag that does not, or a digest (…@sha256:…)"
    return ""
