"""The reference pages of `docs/reference`, written from the code that they are about.

`python -m mlops.reference` writes them; a test fails when they say something else than the code. Nothing here
reads a file that belongs to a fork, so a fork's own models and settings do not make its pages stale.
"""
