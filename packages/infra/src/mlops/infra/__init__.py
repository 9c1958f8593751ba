"""Parts of the Azure side: components, options, roles, policy, plan. `infra/` puts them together."""

from mlops.infra.thin import install

# Before anything of azure-native is imported, by whatever module.
install()
