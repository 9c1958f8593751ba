"""The Pulumi program: one project, four stacks. `infra.program.main` is its entry."""
