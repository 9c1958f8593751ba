"""What an environment's file asks for against what the target says now: the plan, which changes nothing."""

from __future__ import annotations

from datetime import datetime

from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.plan import Plan, plan
from mlops.lifecycle.decide.transitions import Upstream
from mlops.spec.live import LIVE, live_tag
from mlops.targets.base import Target


def facts_of(intent: Intent, target: Target) -> journal.Facts:
    return journal.read(target.store.entries(intent.env, intent.model))


def plan_for(intent: Intent, target: Target, now: datetime) -> Plan:
    """The plan for an intent from what the target says now; changes nothing."""
    tag = live_tag(intent.env)
    before = intent.policy.upstream(intent.env)
    upstream = (
        Upstream(before, journal.read(target.store.entries(before, intent.model)))
        if before is not None
        else None
    )
    return plan(
        intent,
        target.endpoints.state(intent.env, intent.model),
        facts_of(intent, target),
        tagged=frozenset(v.version for v in target.registry.versions(intent.model, {tag: LIVE})),
        upstream=upstream,
        now=now,
    )
