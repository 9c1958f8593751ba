"""From "logged in" to "push works": makes what Pulumi and the workflows need before they can run at all.

`steps.py` says what a step is and carries plans out; every other module adds steps for one service. What
Pulumi can make is made by Pulumi (docs/decisions/0015-bootstrap.md).
"""
