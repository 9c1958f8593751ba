"""Parts of the Azure side: components, options, roles, policy, plan. `infra/` puts them together."""
