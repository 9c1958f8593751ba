"""Verbs on infrastructure: plan, purge. They need no cloud and no Pulumi CLI."""

from __future__ import annotations
