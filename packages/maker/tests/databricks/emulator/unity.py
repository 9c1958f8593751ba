"""Unity Catalog: catalogs and grants, and registered models by the protocol of MLflow's store
`databricks-uc`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .http import Answer, Refused, Request
from .typed import of_mlflow, plain

if TYPE_CHECKING:
    from .server import Emulator

_ILLEGAL = re.compile(r"[.,\-=/:]|^ | $")
_TAGS, _KEY, _VALUE = 50, 255, 1000
_NAME = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
_FILTER = re.compile(r"name\s*=\s*'([^']+)'")


@dataclass
class Version:
    name: str
    version: int
    source: str
    run_id: str
    tags: dict[str, str]
    status: str = "PENDING_REGISTRATION"
    made: int = field(default_factory=lambda: int(time.time() * 1000))


@dataclass
class Model:
    name: str
    made: int
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    last: int = 0


class Unity:
    """`denied`: catalogs that the caller may not use; `readers`: catalogs that he may read alone."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.catalogs: set[str] = set()
        self.denied: set[str] = set()
        self.read_only: set[str] = set()
        self.models: dict[str, Model] = {}
        emulator.files.guards.append(self._guard)

    def may(self, name: str, write: bool = False) -> None:
        """Refuse what the grants of the name's catalog do not allow."""
        catalog = name.split(".", maxsplit=1)[0]
        if catalog not in self.catalogs:
            raise Refused(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{catalog}' does not exist.")
        if catalog in self.denied:
            raise Refused(403, "PERMISSION_DENIED", f"User does not have USE CATALOG on Catalog '{catalog}'.")
        if write and catalog in self.read_only:
            raise Refused(
                403, "PERMISSION_DENIED", f"User does not have CREATE MODEL VERSION on Model '{name}'."
            )

    def _guard(self, path: str, write: bool) -> None:
        parts = path.strip("/").split("/")
        if parts[0] == "WorkspaceInternal":
            return
        self.may(".".join(parts[1:4]), write)
        if parts[0] == "Models" and write:
            version = self.version(".".join(parts[1:4]), int(parts[4]))
            if version.status == "READY":
                raise Refused(403, "PERMISSION_DENIED", "a version that is READY cannot be written")

    def model(self, name: str) -> Model:
        if name not in self.models:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Registered Model '{name}' does not exist")
        return self.models[name]

    def version(self, name: str, version: int) -> Version:
        found = self.model(name).versions.get(int(version))
        if found is None:
            raise Refused(
                404, "RESOURCE_DOES_NOT_EXIST", f"Model Version '{name}' version {version} does not exist"
            )
        return found

    # --- one method a call; its name is that of the message, without Request and in lower case

    def create_registered_model(self, asked: Any) -> dict[str, Any]:
        if not _NAME.fullmatch(asked.name):
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"Invalid model name {asked.name}: specify all three levels"
            )
        self.may(asked.name, write=True)
        if asked.name in self.models:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Registered Model '{asked.name}' already exists")
        self.models[asked.name] = Model(asked.name, int(time.time() * 1000))
        return {"registered_model": _model(self.models[asked.name])}

    def get_registered_model(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name)
        return {"registered_model": _model(self.model(asked.name))}

    def create_model_version(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        model = self.model(asked.name)
        model.last += 1
        made = Version(asked.name, model.last, asked.source, asked.run_id, {})
        model.versions[model.last] = made
        for tag in asked.tags:
            _tag(made.tags, tag.key, tag.value)
        return {"model_version": self._row(made)}

    def finalize_model_version(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        found = self.version(asked.name, asked.version)
        place = self._emulator.files.root / self._place(found)
        if not any(place.rglob("MLmodel")):
            raise Refused(400, "INVALID_STATE", "the version has no file MLmodel")
        found.status = "READY"
        return {"model_version": self._row(found)}

    def get_model_version(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name)
        return {"model_version": self._row(self.version(asked.name, asked.version))}

    def get_model_version_download_uri(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name)
        return {"artifact_uri": f"/{self._place(self.version(asked.name, asked.version))}"}

    def delete_model_version(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        found, model = self.version(asked.name, asked.version), self.model(asked.name)
        if named := [alias for alias, version in model.aliases.items() if version == found.version]:
            raise Refused(400, "INVALID_STATE", f"version {found.version} has the alias {named[0]}")
        del model.versions[found.version]
        self._emulator.files.drop(self._place(found))
        return {}

    def search_model_versions(self, asked: Any) -> dict[str, Any]:
        name = _FILTER.fullmatch(asked.filter or "")
        if name is None:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Unsupported filter query: `{asked.filter}`")
        self.may(name[1])
        found = self.models.get(name[1])
        rows = sorted(found.versions.values(), key=lambda v: v.version) if found else []
        size = min(asked.max_results or 2, 2)  # small pages: clients have to turn them either way
        first = int(asked.page_token or 0)
        # Neither tags nor aliases: a search does not tell them.
        page = [{k: v for k, v in self._row(r).items() if k not in ("tags", "aliases")} for r in rows]
        more = {"next_page_token": str(first + size)} if first + size < len(rows) else {}
        return {"model_versions": page[first : first + size], **more}

    def set_model_version_tag(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        _tag(self.version(asked.name, asked.version).tags, asked.key, asked.value)
        return {}

    def delete_model_version_tag(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        if self.version(asked.name, asked.version).tags.pop(asked.key, None) is None:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"there is no tag {asked.key}")
        return {}

    def set_registered_model_alias(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        self.model(asked.name).aliases[asked.alias] = self.version(asked.name, asked.version).version
        return {}

    def delete_registered_model_alias(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name, write=True)
        self.model(asked.name).aliases.pop(asked.alias, None)
        return {}

    def emit_model_version_lineage(self, asked: Any) -> dict[str, Any]:
        self.may(asked.name)
        return {}

    def is_databricks_sdk_models_artifact_repository_enabled(self, asked: Any) -> dict[str, Any]:
        return {"is_databricks_sdk_models_artifact_repository_enabled": True}

    # --- helpers

    def files_of(self, name: str, version: int) -> Any:
        """The folder with the files of a version."""
        return self._emulator.files.root / self._place(self.version(name, version))

    def _place(self, version: Version) -> str:
        return f"Models/{version.name.replace('.', '/')}/{version.version}"

    def _row(self, version: Version) -> dict[str, Any]:
        model = self.model(version.name)
        return {
            "name": version.name,
            "version": str(version.version),
            "creation_timestamp": version.made,
            "last_updated_timestamp": version.made,
            "source": version.source,
            "run_id": version.run_id,
            "status": version.status,
            "storage_location": f"abfss://metastore@st.dfs.core.windows.net/{self._place(version)}",
            "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
            "aliases": [
                {"alias": alias, "version": str(number)}
                for alias, number in model.aliases.items()
                if number == version.version
            ],
        }


def _model(model: Model) -> dict[str, Any]:
    return {"name": model.name, "creation_timestamp": model.made, "last_updated_timestamp": model.made}


def _tag(tags: dict[str, str], key: str, value: str) -> None:
    """As Unity Catalog constrains them."""
    if _ILLEGAL.search(key) or not 0 < len(key) <= _KEY or len(value) > _VALUE:
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid tag: {key[:80]} = {value[:80]}")
    if key not in tags and len(tags) >= _TAGS:
        raise Refused(400, "RESOURCE_LIMIT_EXCEEDED", f"a securable has at most {_TAGS} tags")
    tags[key] = value


def install(emulator: Emulator) -> Unity:
    """A route for each call of MLflow's own service that is emulated; the others have none."""
    from mlflow.protos import databricks_uc_registry_messages_pb2 as messages
    from mlflow.protos.databricks_uc_registry_service_pb2 import UcModelRegistryService
    from mlflow.utils.rest_utils import _REST_API_PATH_PREFIX, extract_api_info_for_service

    unity = Unity(emulator)
    found = extract_api_info_for_service(UcModelRegistryService, _REST_API_PATH_PREFIX)
    for kind, (path, method) in found.items():
        asked = kind.DESCRIPTOR.name.removesuffix("Request")
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", asked).lower()
        if not hasattr(unity, name):
            continue
        answer = getattr(messages, f"{asked}Response")

        def handle(request: Request, kind: Any = kind, name: str = name, answer: Any = answer) -> Answer:
            from google.protobuf.json_format import ParseDict

            told = getattr(unity, name)(of_mlflow(kind, request))
            return Answer(200, plain(ParseDict(told, answer())))

        emulator.router.add(method, re.escape(path), handle)
    return unity
