"""From a commit to a registered version and the evidence about it."""
