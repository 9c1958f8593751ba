"""What images need while they are built, compared with what the managed network lets out.

Read from the environments of Azure ML in `pipelines/` and `container/`: channels of conda, indexes of pip,
base images. Hosts of conda: MicrosoftDocs/azure-docs, includes/recommended-network-outbound.md. A base
image of `mcr.microsoft.com`, and the environment's own registry, are always reached: Azure's required rules
hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops.errors import InvalidInput
from mlops.spec._yaml import Document

CONDA = "conda.anaconda.org"
DEFAULTS = "repo.anaconda.com"
PYPI = ("pypi.org", "files.pythonhosted.org")
DOCKER_HUB = ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com")
_ALWAYS = ("mcr.microsoft.com", "azurecr.io", "data.mcr.microsoft.com")
_PIPELINES, _CONTAINER = "pipelines/*/**/*.yml", "container/*.yml"


@dataclass(frozen=True, order=True)
class Need:
    """One host, and the file that makes a build ask for it."""

    host: str
    file: str


def needed(root: Path, *, container: bool = False) -> list[Need]:
    """Every host that building the repository's images asks for, sorted; `container`: our own server's too.

    Raises `InvalidInput` for a file that is no YAML.
    """
    patterns = (_PIPELINES, *([_CONTAINER] if container else []))
    needs: set[Need] = set()
    for path in sorted({p for pattern in patterns for p in root.glob(pattern)}):
        name = path.relative_to(root).as_posix()
        for environment in _environments(Document.read(path, name).value):
            needs |= {Need(host, file) for host, file in _hosts(environment, path, root)}
    return sorted(n for n in needs if not _allowed(n.host, _ALWAYS))


def lacking(needs: Iterable[Need], outbound: Sequence[str]) -> dict[str, str]:
    """Of each host that the network does not let out, one file that needs it."""
    missing: dict[str, str] = {}
    for need in needs:
        if not any(_matches(need.host, domain) for domain in outbound):
            missing.setdefault(need.host, need.file)
    return missing


def _environments(value: Any) -> Iterator[Mapping[str, Any]]:
    """Wherever one is written: a file of its own, or inside a component or deployment."""
    if isinstance(value, Mapping):
        if "conda_file" in value or "dockerfile_path" in (value.get("build") or {}) or _image(value):
            yield value
        for item in value.values():
            yield from _environments(item)
    elif isinstance(value, list):
        for item in value:
            yield from _environments(item)


def _image(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("image"), str) and "$schema" in value


def _hosts(environment: Mapping[str, Any], path: Path, root: Path) -> Iterator[tuple[str, str]]:
    name = path.relative_to(root).as_posix()
    if isinstance(image := environment.get("image"), str):
        yield from ((host, name) for host in image_hosts(image))
    conda = environment.get("conda_file")
    if isinstance(conda, str):
        file = path.parent / conda
        name = _inside(file, root)
        conda = Document.read(file, name).value
    if isinstance(conda, Mapping):
        yield from ((host, name) for host in conda_hosts(conda))
    build = environment.get("build")
    if isinstance(build, Mapping) and isinstance(build.get("path"), str):
        file = path.parent / build["path"] / str(build.get("dockerfile_path", "Dockerfile"))
        if file.is_file():
            name, text = _inside(file, root), file.read_text(encoding="utf-8")
            yield from ((host, name) for host in docker_hosts(text))


def conda_hosts(conda: Mapping[str, Any]) -> set[str]:
    """Hosts of a conda file: its channels, and what pip inside it asks."""
    hosts: set[str] = set()
    for channel in conda.get("channels") or ["defaults"]:
        text = str(channel)
        if "://" in text:
            hosts.add(urlsplit(text).hostname or "")
        elif text in {"defaults", "main", "r"} or text.startswith("pkgs/"):
            hosts.add(DEFAULTS)
        elif text != "nodefaults":
            hosts.add(CONDA)
    for item in conda.get("dependencies") or []:
        if isinstance(item, Mapping) and item.get("pip"):
            hosts |= pip_hosts(str(line) for line in item["pip"])
        elif "::" in str(item):
            hosts.add(DEFAULTS if str(item).startswith(("defaults::", "main::")) else CONDA)
    return hosts


def pip_hosts(lines: Iterable[str]) -> set[str]:
    """Hosts of pip's lines: PyPI unless another index takes its place, and every address in them."""
    hosts: set[str] = set()
    replaced = False
    for line in lines:
        words = re.sub(r"(^|\s)#.*", "", line)
        hosts |= _addresses(words)
        replaced = replaced or bool(re.search(r"(^|\s)(-i|--index-url)[ =]", words))
    return hosts if replaced else hosts | set(PYPI)


def docker_hosts(text: str) -> set[str]:
    """Hosts of a Dockerfile: base images, what is copied from others, every address that it reads, and PyPI
    or conda's where it installs packages. What `apt-get` asks depends on the image, and is not known here.
    """
    text = re.sub(r"(?m)^\s*#.*$", "", text).replace("\\\n", " ")
    stages = {s.lower() for s in re.findall(r"(?im)^FROM .* AS (\S+)", text)}
    hosts: set[str] = set()
    images = re.findall(r"(?im)^FROM (?:--\S+ )*(\S+)", text)
    images += [i for i in re.findall(r"(?im)^COPY .*--from=(\S+)", text) if not i.isdecimal()]
    for image in images:
        if image.lower() not in stages and image != "scratch" and "$" not in image:
            hosts |= image_hosts(image)
    for words in re.findall(r"(?im)^(?:RUN|ADD) (.*)$", text):
        hosts |= _addresses(words)
        if re.search(r"\b(pip3?|uv) (pip )?(install|sync)\b", words):
            hosts |= pip_hosts([words])
        if re.search(r"\b(conda|mamba|micromamba) (env )?(install|create|update)\b", words):
            hosts |= conda_hosts({"channels": re.findall(r"(?:-c|--channel)[ =](\S+)", words)})
    return hosts


def _addresses(words: str) -> set[str]:
    """Hosts of all addresses in a line, whatever option they belong to."""
    hosts = (urlsplit(url).hostname for url in re.findall(r"(?:https?|ssh)://[^\s\"',;)]+", words))
    return {host for host in hosts if host}


def image_hosts(image: str) -> set[str]:
    """The registry of an image; without a host it is Docker Hub\'s."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first):
        return {first.partition(":")[0]} if first != "docker.io" else set(DOCKER_HUB)
    return set(DOCKER_HUB)


def _inside(file: Path, root: Path) -> str:
    try:
        return file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise InvalidInput(f"{file} lies outside of the repository") from None


def _allowed(host: str, domains: Iterable[str]) -> bool:
    return not host or any(host == d or host.endswith(f".{d}") for d in domains)


def _matches(host: str, domain: str) -> bool:
    return host.endswith(domain[1:]) if domain.startswith("*.") else host == domain
