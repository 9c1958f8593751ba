"""The fastest honest endpoint a registered model can have: one scoring core, several shells around it."""
