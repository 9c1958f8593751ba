"""Role assignments and custom roles, from the one table in `mlops.infra.roles`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import authorization

from mlops.infra import roles
from mlops.infra.components.base import Component
from mlops.infra.naming import Names, guid


@dataclass(frozen=True, kw_only=True)
class CustomRolesProps:
    names: Names
    where: str
    """Which of the custom roles to define; see `mlops.infra.roles`."""
    scopes: Sequence[pulumi.Input[str]]
    """Where the roles can be assigned; the first holds their definitions."""


class CustomRoles(Component):
    """Attribute `ids`: role definition id by the role's name."""

    def __init__(
        self, name: str, props: CustomRolesProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.ids: dict[str, pulumi.Output[str]] = {}
        for role in roles.CUSTOM:
            if role.where != props.where:
                continue
            slug = role.name.lower().replace(" ", "-")
            # Role names are unique in a tenant, so the stack is part of them.
            definition = authorization.RoleDefinition(
                f"role-{slug}",
                scope=props.scopes[0],
                role_definition_id=roles.custom_id(props.names.project, props.names.environment, role.name),
                role_name=f"{role.name} ({props.names.project} {props.names.environment})",
                description=role.description,
                role_type="CustomRole",
                permissions=[authorization.PermissionArgs(actions=list(role.actions), not_actions=[])],
                assignable_scopes=list(props.scopes),
                opts=self.child(),
            )
            self.ids[role.name] = definition.id
        self.register_outputs(dict(self.ids))


@dataclass(frozen=True, kw_only=True)
class AccessProps:
    names: Names
    shared: str
    """The stack that defines the custom roles."""
    group: pulumi.Resource
    """Its deletion takes the assignments of `apply` along."""
    subscription_id: pulumi.Input[str]
    grants: Sequence[roles.Grant]
    principals: Mapping[str, pulumi.Input[str]]
    """Object id by identity."""
    scopes: Mapping[str, pulumi.Input[str]]
    """Resource id by the scope's name in the table."""
    custom_roles: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class Access(Component):
    """Attribute `assignments`: by the label of the grant."""

    def __init__(self, name: str, props: AccessProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        subscription = pulumi.Output.from_input(props.subscription_id)
        self.assignments: dict[str, authorization.RoleAssignment] = {}
        for grant in props.grants:
            conditional = grant.role == "Role Based Access Control Administrator"
            self.assignments[grant.label] = authorization.RoleAssignment(
                f"grant-{grant.label}",
                scope=props.scopes[grant.scope],
                # An assignment cannot be changed, and the same id with another principal is refused.
                role_assignment_name=guid("grant", props.names.project, props.names.environment, grant.label),
                role_definition_id=self._definition(grant.role, subscription, props.custom_roles),
                principal_id=props.principals[grant.identity],
                principal_type="ServicePrincipal",
                description=grant.why,
                condition=_only_listed_roles(props.names.project, props.shared) if conditional else None,
                condition_version="2.0" if conditional else None,
                opts=self.child(
                    delete_before_replace=True,
                    # Whoever destroys the environment needs them to the end, and may not take away their own.
                    deleted_with=props.group if grant.identity == "apply" else None,
                ),
            )
        self.register_outputs({})

    @staticmethod
    def _definition(
        role: str, subscription: pulumi.Output[str], custom: Mapping[str, pulumi.Input[str]]
    ) -> pulumi.Input[str]:
        if role in custom:
            return custom[role]
        path = f"providers/Microsoft.Authorization/roleDefinitions/{roles.BUILT_IN[role]}"
        return subscription.apply(lambda s: f"/subscriptions/{s}/{path}")


def _only_listed_roles(project: str, shared: str) -> str:
    """An ABAC condition: this identity may assign and remove the table's roles, to service principals
    only."""
    allowed = sorted(
        {roles.BUILT_IN[g.role] for g in roles.GRANTS if g.role in roles.BUILT_IN}
        - {roles.BUILT_IN["Role Based Access Control Administrator"]}
    )
    allowed += [roles.custom_id(project, shared, r.name) for r in roles.CUSTOM if r.where == "environments"]
    return roles.only(allowed)
