"""Wrong edits of the modules that decide, and whether the nearest fast tests notice: `make mutants`."""
