"""What a fork grows: a new use case with everything that the lifecycle asks of one."""
