"""`mlops infra plan`: what the program would make, without a cloud and without the Pulumi CLI. Start at
`api`."""
