"""Rules that checkov lacks: one definition each in `checks`, driven by `mlops infra plan` and by `pulumi up`.

`pulumi up --policy-pack infra/policy` starts `__main__.py`; the plan calls `judge.judge`.
"""
