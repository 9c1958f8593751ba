"""What is typed for each example of the documentation: the table that test_docs_examples.py carries out.

An act is the line as the page shows it. `swaps` is all that is typed otherwise: the number of a version, of a
pull request or of a run that the world has, or an address of this machine.
"""

from __future__ import annotations

from doc_examples import Act, World
from example_lifecycle import LIVE
from example_scripts import ELSEWHERE_REGRESSION, NEXT_TEMPLATE, SAMPLE

IN_A_CLONE = World(
    "a clone",
    [
        Act("make setup"),
        Act(
            "mlops add holidays",
            swaps={"holidays": "requests"},  # one that the lock has already
            sees="written: pipelines/flights/environment/conda.yml",
        ),
        Act("mlops add", sees="nothing to do: the environments of flights have what its list names"),
        Act("mlops infra plan", sees="shared"),
        Act(
            "mlops infra plan --stack prod --against origin/main",
            before="git init --quiet --bare ../at.git; git push --quiet ../at.git HEAD:main\n"
            "git remote add origin ../at.git; git fetch --quiet origin\n"
            "sed -i 's/max_nodes: 8/max_nodes: 9/' environments/Pulumi.prod.yaml",
            sees="axNodeCount: 8 -> 9",
        ),
        Act("mlops infra cost --stack prod --against origin/main", sees="change: "),
        Act("mlops infra purge --stack dev", sees="az keyvault purge --name"),
        Act("mlops infra expired --json", parses=True),
        Act(
            "mlops target databricks bundle",
            before="export DATABRICKS_HOST=https://adb-1234567890123456.7.azuredatabricks.net",
            makes="databricks.yml",
        ),
        Act(
            "python container/build.py requirements",
            before="git add container",  # `mlops add` has written it
            swaps={"requirements": "requirements && git diff --exit-code container"},
        ),
        Act("python container/build.py sbom --output sbom.cdx.json", makes="sbom.cdx.json"),
        Act(".venv/bin/pytest packages/engine/tests/unit/gates -q", sees=r"\d+ passed"),
        Act(
            ".venv/bin/pytest packages/maker/tests/e2e -k corrupted",
            swaps={"corrupted": "corrupted --collect-only"},
            sees="test_a_corrupted_artifact",
        ),
        Act(
            ".venv/bin/pytest packages/maker/tests/e2e/test_demo.py",
            swaps={"test_demo.py": "test_demo.py --collect-only"},
            sees="test_the_demo_tells_its_story",
        ),
    ],
)

ON_A_FORGE = World(
    "a local forge",
    [
        Act("mlops forge init ../origin.git --off ci", sees="origin"),
        Act("git push --set-upstream origin HEAD", sees="train-flights 3: success"),
        Act("mlops forge runs", sees="train-flights"),
        Act("mlops forge log 3", sees="mlops gate"),
        Act("mlops forge on ci"),
        Act("mlops forge off ci"),
    ],
)

TUNING = World(
    "a sweep",
    [
        Act("mlops tune --trials 8 --workers 2", before=SAMPLE, sees="trial 7"),
        Act("mlops tune --trials 20 --workers 2 --write", sees="trial 19"),
        Act("git diff", sees="-  learning_rate: 0.05"),
        Act("mlops tune", sees="trial 23"),
        Act("mlops tune --write"),
    ],
)

WITH_A_SECOND_MODEL = World(
    "a second model",
    [
        Act("mlops new-model prices --task regression", makes="src/prices/model.py"),
        Act(
            "mlops new-model prices --kind lightgbm --task regression",
            swaps={"prices": "costs"},
            makes="src/costs/model.py",
        ),
        Act(
            "mlops register ./trained-elsewhere --model prices --task regression",
            before=ELSEWHERE_REGRESSION,
            sees="prices version 1 is registered",
        ),
        Act(
            "mlops gate --model prices",
            sees="prices version 1, with no champion yet on 89 test rows, passes all gates",
        ),
    ],
)

A_FORK = World(
    "a fork that asks",
    [
        Act("source .venv/bin/activate", before="echo 'echo active' > .venv/bin/activate", sees="active"),
        Act(
            "mlops init --dry-run",
            answers="prices\n\n\n\nml@contoso.com\nprices\n\nregression\n",
            sees=r"would be \d+ written",
        ),
        Act(
            "mlops init",
            answers="prices\n\n\n\nml@contoso.com\nprices\n\nregression\n",
            makes="src/prices/model.py",
        ),
        Act("git add --all"),
        Act('git commit --message "Initialise"', sees="src/prices/model.py"),
    ],
)

AN_UPDATE = World(
    "an update",
    [
        Act(
            "mlops init --project prices --contact ml@contoso.com --model prices --task regression",
            before=NEXT_TEMPLATE,
            makes="src/prices/model.py",
        ),
        Act(
            "mlops update --check",
            before="git add --all; git commit --quiet --message Initialise",
            codes=(2,),
            sees="version 99.0.0 is there",
        ),
        Act("mlops update --dry-run", codes=(2,), sees="A better page"),
        Act("mlops update", sees="became 99.0.0"),
        Act("git switch --force -", sees="main"),
        Act(
            "git branch --delete --force template/v0.2.0",
            swaps={"v0.2.0": "v99.0.0"},
            before="git switch --quiet --force main",
            sees="Deleted",
        ),
    ],
)

WORLDS = (IN_A_CLONE, ON_A_FORGE, TUNING, WITH_A_SECOND_MODEL, A_FORK, AN_UPDATE, LIVE)

AZURE = "packages/maker/tests/azure/test_azure_docs.py"
ELSEWHERE = {
    "mlops smoke --env staging": AZURE,
    "mlops bootstrap azure --forge github --dry-run": AZURE,
    "mlops batch-job prod --data azureml:to-score:1": AZURE,
    "mlops schedule apply prod pipelines/MODEL/monitor.yml": AZURE,
    "mlops schedule list prod": AZURE,
    "mlops schedule remove prod MODEL-monitor-prod": AZURE,
    "mlops infra outdated --stack prod": "asks Pulumi for the history of a stack",
    "mlops audit --database all.zip": "reads a dump of all advisories, which is not in the repository",
    "mlops infra sizes --renew": "asks Microsoft's page",
    "make test": "is what runs these tests",
    "make test JOBS=4": "is what runs these tests",
    "make setup lint test": "is what runs these tests, and what CI calls",
}
"""Lines that no world types: the test of the target azure that does, or why none can."""
