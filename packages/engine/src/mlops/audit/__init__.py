"""`mlops audit`: what is known against the packages that this repository locks."""
