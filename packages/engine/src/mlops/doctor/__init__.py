"""What stands between this checkout and a working platform, each with the command that fixes it.

`run.py` runs checks; every other module has the checks of one subject. A check only reads.
"""
