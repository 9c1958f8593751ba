"""What an environment's file asks for against what the target says now: the plan, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.plan import Plan, plan, served_before
from mlops.lifecycle.decide.transitions import Upstream, Weaker
from mlops.spec.live import LIVE, live_tag
from mlops.targets.base import Target


def facts_of(intent: Intent, target: Target) -> journal.Facts:
    return journal.read(target.store.entries(intent.env, intent.model))


Weigh = Callable[[Intent, int | None], Weaker | None]
"""What the gates of a release let through that those of the served one did not (`approvals.Scales`)."""


def plan_for(intent: Intent, target: Target, now: datetime, weigh: Weigh) -> Plan:
    """The plan for an intent from what the target says now; changes nothing."""
    tag = live_tag(intent.env)
    before = intent.policy.upstream(intent.env)
    upstream = (
        Upstream(before, journal.read(target.store.entries(before, intent.model)))
        if before is not None
        else None
    )
    observed, facts = target.endpoints.state(intent.env, intent.model), facts_of(intent, target)
    return plan(
        intent,
        observed,
        facts,
        tagged=frozenset(v.version for v in target.registry.versions(intent.model, {tag: LIVE})),
        upstream=upstream,
        now=now,
        weaker=weigh(intent, served_before(intent, observed, facts)),
    )
