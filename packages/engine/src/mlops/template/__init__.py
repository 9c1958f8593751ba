"""From template to fork and back to newer versions of the template: `mlops init`, `mlops update`."""
