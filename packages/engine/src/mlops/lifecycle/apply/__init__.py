"""What is served becomes what the files say."""
