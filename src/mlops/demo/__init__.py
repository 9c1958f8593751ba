"""The story that `make demo` tells: the whole lifecycle on real data, in a clone, by the verbs' code."""
