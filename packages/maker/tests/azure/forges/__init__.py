"""GitHub and Azure DevOps on 127.0.0.1, as far as bootstrap and doctor need them: with a memory.

`server.py` holds every request to a table of method, path and body, after the documented APIs. What is not in
the table, has another body or lacks the token is refused, and fails the test at the end.
"""
