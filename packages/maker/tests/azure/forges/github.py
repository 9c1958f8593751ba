"""GitHub's settings of one repository (docs.github.com/rest, version 2022-11-28)."""

from __future__ import annotations

from typing import Any

from .server import Asked, Forge, No, strict

REPOSITORY = "contoso/flights"
PREFIX = "repo:contoso@4242/flights@777"
"""As newer repositories have it: GitHub adds numbers that never change."""
TOKEN = "secret"
USER = {"login": "ada", "id": 11}

_TEXT = {"type": "string", "minLength": 1}
_REVIEWERS = {
    "type": ["array", "null"],
    "maxItems": 6,
    "items": strict(["type", "id"], type={"enum": ["User", "Team"]}, id={"type": "integer"}),
}
_ENVIRONMENT = strict(
    [],
    wait_timer={"type": "integer", "minimum": 0, "maximum": 43200},
    prevent_self_review={"type": "boolean"},
    reviewers=_REVIEWERS,
    deployment_branch_policy={
        "oneOf": [
            {"type": "null"},
            {
                **strict(
                    ["protected_branches", "custom_branch_policies"],
                    protected_branches={"type": "boolean"},
                    custom_branch_policies={"type": "boolean"},
                )
            },
        ]
    },
)
_VARIABLE = strict(
    ["name", "value"], name={"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, value=_TEXT
)
_RULESET = strict(
    ["name", "enforcement"],
    name=_TEXT,
    target={"enum": ["branch", "tag", "push"]},
    enforcement={"enum": ["disabled", "active", "evaluate"]},
    conditions={"type": "object"},
    rules={"type": "array", "items": strict(["type"], type=_TEXT, parameters={"type": "object"})},
)


class FakeGitHub(Forge):
    """`environments`: what was written, by name. `variables[""]` are those of the repository."""

    def __init__(self) -> None:
        super().__init__()
        self.prefix: dict[str, Any] = {
            "use_default": True,
            "use_immutable_subject": True,
            "sub_claim_prefix": PREFIX,
        }
        self.environments: dict[str, dict[str, Any]] = {}
        self.branches: dict[str, list[str]] = {}
        self.variables: dict[str, dict[str, str]] = {"": {}}
        self.secrets: dict[str, list[str]] = {}
        self.rulesets: dict[int, dict[str, Any]] = {}
        self.protection: dict[str, Any] | None = None
        home = f"/repos/{REPOSITORY}"
        environment = rf"{home}/environments/(?P<name>[^/]+)"
        self.route("GET", home, lambda _: (200, {"full_name": REPOSITORY, "default_branch": "main"}))
        self.route("GET", "/user", lambda _: (200, USER))
        self.route("GET", r"/users/(?P<login>[^/]+)", self._user)
        self.route(
            "GET",
            r"/orgs/contoso/teams/(?P<team>[^/]+)",
            lambda a: (200, {"slug": a.groups["team"], "id": 99}),
        )
        self.route("GET", rf"{home}/actions/oidc/customization/sub", lambda _: (200, self.prefix))
        self.route("GET", rf"{home}/environments", self._list)
        self.route("PUT", environment, self._put, _ENVIRONMENT)
        self.route("DELETE", environment, self._delete)
        policies = rf"{environment}/deployment-branch-policies"
        self.route("GET", policies, self._branches)
        self.route(
            "POST", policies, self._allow, strict(["name"], name=_TEXT, type={"enum": ["branch", "tag"]})
        )
        self.route("GET", rf"{environment}/secrets", self._secrets)
        for where in (rf"{environment}", rf"{home}/actions"):
            self.route("GET", rf"{where}/variables", self._variables)
            self.route("POST", rf"{where}/variables", self._create, _VARIABLE)
            self.route("PATCH", rf"{where}/variables/(?P<variable>\w+)", self._update, _VARIABLE)
            self.route("DELETE", rf"{where}/variables/(?P<variable>\w+)", self._drop)
        self.route("GET", rf"{home}/rules/branches/main", self._rules)
        self.route("GET", rf"{home}/branches/main/protection", self._protection)
        self.route("GET", rf"{home}/rulesets", lambda a: (200, _page(a, list(self.rulesets.values()))))
        self.route("POST", rf"{home}/rulesets", self._ruleset, _RULESET)
        self.route("DELETE", rf"{home}/rulesets/(?P<number>\d+)", self._drop_ruleset)

    def admit(self, asked: Asked) -> None:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            raise No(401, "Bad credentials")
        if asked.headers.get("x-github-api-version") != "2022-11-28":
            self.wrong.append(f"{asked.path}: no api version")

    def _user(self, asked: Asked) -> tuple[int, Any]:
        known = {"ada": 11, "grace": 12}
        if asked.groups["login"] not in known:
            raise No(404, "Not Found")
        return 200, {"login": asked.groups["login"], "id": known[asked.groups["login"]]}

    def _list(self, asked: Asked) -> tuple[int, Any]:
        rows = _page(asked, [self._shown(name, body) for name, body in self.environments.items()])
        return 200, {"total_count": len(self.environments), "environments": rows}

    def _shown(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        rules: list[dict[str, Any]] = []
        if body.get("wait_timer"):
            rules.append({"id": 1, "type": "wait_timer", "wait_timer": body["wait_timer"]})
        if body.get("reviewers"):
            rows = [{"type": r["type"], "reviewer": {"id": r["id"]}} for r in body["reviewers"]]
            own = body.get("prevent_self_review", False)
            rules.append(
                {"id": 2, "type": "required_reviewers", "prevent_self_review": own, "reviewers": rows}
            )
        policy = body.get("deployment_branch_policy")
        if policy:
            rules.append({"id": 3, "type": "branch_policy"})
        return {"id": 1, "name": name, "protection_rules": rules, "deployment_branch_policy": policy}

    def _put(self, asked: Asked) -> tuple[int, Any]:
        name = asked.groups["name"]
        self.environments[name] = asked.body
        if not (asked.body.get("deployment_branch_policy") or {}).get("custom_branch_policies"):
            self.branches.pop(name, None)
        self.variables.setdefault(name, {})
        return 200, self._shown(name, asked.body)

    def _delete(self, asked: Asked) -> tuple[int, Any]:
        name = self._known(asked)
        del self.environments[name]
        self.variables.pop(name, None)
        self.branches.pop(name, None)
        return 204, None

    def _branches(self, asked: Asked) -> tuple[int, Any]:
        rows = [{"id": i, "name": n} for i, n in enumerate(self.branches.get(self._known(asked), []))]
        return 200, {"total_count": len(rows), "branch_policies": _page(asked, rows)}

    def _allow(self, asked: Asked) -> tuple[int, Any]:
        name = self._known(asked)
        policy = self.environments[name].get("deployment_branch_policy") or {}
        if not policy.get("custom_branch_policies"):
            raise No(404, "Not Found")
        self.branches.setdefault(name, []).append(asked.body["name"])
        return 200, {"id": 1, "name": asked.body["name"]}

    def _secrets(self, asked: Asked) -> tuple[int, Any]:
        rows = [{"name": n} for n in self.secrets.get(self._known(asked), [])]
        return 200, {"total_count": len(rows), "secrets": rows}

    def _home(self, asked: Asked) -> dict[str, str]:
        name = asked.groups.get("name", "")
        if name not in self.variables:
            raise No(404, "Not Found")
        return self.variables[name]

    def _variables(self, asked: Asked) -> tuple[int, Any]:
        rows = [{"name": n, "value": v} for n, v in self._home(asked).items()]
        return 200, {"total_count": len(rows), "variables": _page(asked, rows)}

    def _create(self, asked: Asked) -> tuple[int, Any]:
        home = self._home(asked)
        if asked.body["name"] in home:
            raise No(409, "Already exists - Variable already exists")
        home[asked.body["name"]] = asked.body["value"]
        return 201, {}

    def _update(self, asked: Asked) -> tuple[int, Any]:
        home = self._home(asked)
        if asked.groups["variable"] not in home:
            raise No(404, "Not Found")
        home[asked.groups["variable"]] = asked.body["value"]
        return 204, None

    def _drop(self, asked: Asked) -> tuple[int, Any]:
        if self._home(asked).pop(asked.groups["variable"], None) is None:
            raise No(404, "Not Found")
        return 204, None

    def _rules(self, asked: Asked) -> tuple[int, Any]:
        return 200, _page(asked, [rule for one in self.rulesets.values() for rule in one["rules"]])

    def _protection(self, asked: Asked) -> tuple[int, Any]:
        if self.protection is None:
            raise No(404, "Branch not protected")
        return 200, self.protection

    def _ruleset(self, asked: Asked) -> tuple[int, Any]:
        number = max(self.rulesets, default=0) + 1
        self.rulesets[number] = {"id": number, **asked.body}
        return 201, self.rulesets[number]

    def _drop_ruleset(self, asked: Asked) -> tuple[int, Any]:
        if self.rulesets.pop(int(asked.groups["number"]), None) is None:
            raise No(404, "Not Found")
        return 204, None

    def _known(self, asked: Asked) -> str:
        if asked.groups["name"] not in self.environments:
            raise No(404, "Not Found")
        return asked.groups["name"]


def _page(asked: Asked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    size, number = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
    return rows[(number - 1) * size : number * size]
