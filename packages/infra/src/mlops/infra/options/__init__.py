"""Components that a stack asks for by name; imported only then, because their type modules are slow to
load."""
