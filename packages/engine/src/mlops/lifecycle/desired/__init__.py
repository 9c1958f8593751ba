"""What the files in git ask for, whether they hold together, and what that would change."""
