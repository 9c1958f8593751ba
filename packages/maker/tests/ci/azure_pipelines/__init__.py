"""Runs Azure Pipelines' files on this machine: the subset that this repository uses, and nothing else.

What it does not know it refuses with a sentence that names file and line, so that a file that uses more
cannot seem to work. Its rules are Microsoft's (learn.microsoft.com/azure/devops/pipelines): template
expressions are decided before anything runs, conditions when a stage or a step is about to start, and every
value is a text. It runs nothing in parallel, and asks nobody for approval: who would be asked is recorded.
"""

from azure_pipelines.pipeline import Pipeline, load
from azure_pipelines.run import Event, Result, execute
from azure_pipelines.source import Refused

__all__ = ["Event", "Pipeline", "Refused", "Result", "execute", "load"]
