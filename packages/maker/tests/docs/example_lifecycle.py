"""The world in which most examples make sense: two releases were served, and one was sent back.

`make demo` makes it; what follows goes on from there, in the demo's own clone.
"""

from __future__ import annotations

import example_scripts as given
from doc_examples import Act, World

LOOK = [
    Act("mlops status", sees="staging"),
    Act("mlops status --json", parses=True, sees='"env": "prod"'),
    Act("mlops history prod", sees="rolled back|served"),
    Act("mlops doctor", sees="0 errors"),
    Act("mlops doctor --offline", sees="0 errors"),
    Act("mlops check --base origin/main", sees="no problems"),
    Act("mlops pipeline lint pipelines"),
    Act(
        "mlops pipeline run pipelines/flights/training.yml --only prep --input window=2013-01..2013-02",
        sees="prep",
    ),
    Act("mlops endpoints --json", parses=True, sees='"deployments"'),
    Act("mlops versions list --tag mlops.gate=pass", sees="version"),
    Act("mlops events list --limit 10", sees="mlops.release.deployed"),
    Act("mlops forge runs --json", parses=True, sees='"workflow": "train-flights"'),
    Act("mlops data push", sees="nothing to do: nycflights version 1"),
    Act("mlops board", makes="site/board/index.html"),
    Act("mlops board --out site/board", swaps={"site": "other"}, makes="other/board/index.html"),
    Act("mlops card 7", swaps={"7": "2"}, sees="(?m)^# "),
    Act("mlops card 7 --out card.html", swaps={"7": "2"}, makes="card.html"),
    Act(
        "mlops ui --port 5050",
        swaps={"5050": "$PORT"},
        before=given.FREE_PORT,
        until="Application startup complete",
    ),
    Act(
        "mlops ui",
        swaps={"ui": "ui --port $PORT"},
        before=given.FREE_PORT,
        until="Application startup complete",
    ),
]

ASK = [
    Act("mlops score prod --input rows.json", before=given.ROWS, parses=True, sees='"predictions"'),
    Act(
        'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" $URL/score -d '
        '\'{"input_data": {"columns": ["carrier", "distance"], "data": [["AA", 500], ["DL", null]]}}\'',
        swaps={
            '\'{"input_data": {"columns": ["carrier", "distance"], "data": [["AA", 500], ["DL", null]]}}\'': (
                "@rows.json"
            )
        },
        before=given.ADDRESS,
        parses=True,
        sees='"predictions"',
    ),
    Act(
        "mlops batch --input data/july --output predictions/july",
        makes="predictions/july/*.predictions.parquet",
    ),
    Act("mlops batch prod --input data/july --output predictions/july", sees="2 of them by an earlier"),
    Act(
        "mlops batch --input data/july --output predictions/july --release 7 --keep flight_id --workers 4",
        swaps={"7": "2"},
        sees="100 rows of 2 files scored by flights 2",
    ),
    Act("mlops profile staging --rate 500 --p99 50ms", makes=".mlops/profile/staging/flights/profile.md"),
    Act("mlops backtest 1 2 --window 2013-07..2013-09", sees="2013-09"),
]

WATCH = [
    Act("mlops replay prod 2013-06 --labels june.parquet", makes="june.parquet"),
    Act("mlops labels add prod late.csv", before=given.LABELS, sees="labels of flights in prod are kept"),
    Act(
        "mlops monitor prod --window 7d --report monitor.html",
        codes=(3,),
        sees="performance.all rows.calibration_gap",
        makes="monitor.html",
    ),
    Act("mlops monitor prod", codes=(3,), sees="beyond their limit"),
    Act("mlops retrain prod", before=given.CLEAR_HOLDS, sees="released: version 4 passes its gates"),
    Act("mlops retrain prod --all", sees="nothing: the breach was answered"),
]

TRAIN = [
    Act(
        "mlops train --window 2013-01..2013-04 --test-window 2013-05",
        sees="nothing changed: this is flights version 2",
    ),
    Act("mlops params", sees="nothing to do: the files of flights follow its model.py"),
    Act("mlops notebook --no-open", makes="notebooks/flights.ipynb"),
    Act("mlops train --try --set max_iter=300", sees="registered nothing; keep it with: mlops train"),
    Act("mlops train --only train --here --pdb", sees="ran a part of the pipeline"),
    Act("mlops runs --limit 20", sees=r"2013-04 +[0-9a-f]{8}"),
    Act("mlops runs best --metric brier", sees="what the first does better: mlops compare"),
    Act("mlops compare last champion", sees="max_iter: "),
    Act("mlops compare 3 a1b2c3d4 --no-code", swaps={"a1b2c3d4": "1", "3": "2"}, sees="roc_auc"),
    Act("mlops train", before=given.LEARN_LONGER, sees="flights version 5 is registered"),
    Act("mlops train --detach", sees="mlops train --resume"),
    Act(
        "mlops train --resume RUN --for 50m",
        swaps={"RUN": '"$RUN"'},
        before="RUN=$(mlops train --detach)",
        sees="flights version 5",
    ),
    Act("mlops gate", sees="flights version 5, against version 1"),
    Act("mlops gate 7 --markdown gate.md", swaps={"7": "5"}, makes="gate.md"),
    Act("mlops release 7", swaps={"7": "5"}, makes="releases/flights/5.yaml"),
    Act("mlops release", sees="nothing to do: release 5"),
    Act("mlops sign 7", swaps={"7": "5"}, before=given.KEY, makes="releases/flights/5.sig"),
    Act("mlops versions delete 3", sees="flights version 3 is deleted"),
]

MOVE = [
    Act(
        "mlops diff staging",
        before="git checkout --quiet mlops.toml; git add releases environments/staging\n"
        "git commit --quiet --message 'Release 5 [skip ci]'; git push --quiet",
        codes=(2,),
        sees="5",
    ),
    Act("mlops apply staging", sees="serves release 5"),
    Act("mlops promote prod", before=given.NOBODY_ASKS, sees="Promote flights 5 to prod"),
    Act(
        "mlops promote prod --release 8 --bypass soak "
        '--reason "release 7 fails for every row of one carrier" --approver ann',
        swaps={"--release 8": "--release 5"},
        sees="Promote flights 5 to prod",
    ),
    Act("mlops pr list --json", parses=True, sees="Promote flights 5 to prod"),
    Act(
        "mlops forge review 2 --by bea",
        swaps={"2": "$(pull Promote)"},
        sees=r"bea approves pull request \d+",
    ),
    Act("mlops pr merge 3 --approver ann", swaps={"3": "$(pull Promote)"}, sees="merged"),
    Act("mlops diff prod", before="git pull --quiet", codes=(2,), sees="5"),
    Act(
        "mlops forge approve 4 --by bea",
        swaps={"4": "$(run release)"},
        before='mlops forge watch "$(run release)"',  # until it asks
        sees="may enter prod",
    ),
    Act("mlops forge watch 3", swaps={"3": "$(run release)"}, sees="success"),
    Act('mlops rollback prod --reason "predictions look wrong since noon"', sees="back to 1"),
    Act('mlops rollback prod --reason "…"', sees="Roll"),
    Act("mlops pr merge 12 --approver ann", swaps={"12": "$(pull Roll)"}, sees="merged"),
    Act("mlops apply prod", before="git pull --quiet", sees="serves release 1"),
    Act("mlops apply prod --all", sees="nothing to do, release 1"),
    Act("mlops keys rotate prod", sees="key"),
    Act("mlops start", sees="serves release"),
    Act(
        "mlops forge start train-prices --input window=2013-01..2013-04",
        swaps={"train-prices": "train-flights"},
    ),
    Act("mlops forge cancel 4", swaps={"4": "$(run train-flights)"}),
]

TELL = [
    Act("mlops events flush", before=given.SINKS, sees="every sink has every event"),
    Act(
        "mlops events replay --since 2026-11-01T00:00+00:00 --sink webhook",
        sees=r"\d+ deliveries are due",
        makes="webhook.jsonl",
    ),
    Act(
        "mlops events handle event.json",
        before="grep --max-count 1 mlops.gate.passed webhook.jsonl > event.json",
        sees="flights.alerts:post: done",
    ),
    Act("mlops events handle -", swaps={"handle -": "handle - < event.json"}, sees="flights.alerts:post"),
]

BRING = [
    Act(
        "mlops ingest --source ./delivered/2013-07 --window 2013-07",
        before=given.JULY_DELIVERED,
        makes=".mlops/data/nycflights/2/manifest.json",
    ),
    Act(
        "mlops ingest --source https://example.com/deliveries/2013-07/ --window 2013-07",
        swaps={"https://example.com/deliveries": "http://127.0.0.1:$PORT"},
        before=given.SERVED,
        sees="nothing to do: nycflights:2 came of this delivery",
    ),
    Act(
        "mlops register ./trained-elsewhere --task binary --classes no,yes",
        swaps={"no,yes": "0,1"},
        before=given.ELSEWHERE_BINARY,
        sees="flights version 6 is registered",
    ),
    Act("mlops stop staging", sees="staging"),
]

LIVE = World(
    "the demo",
    [
        Act("make demo", at=".", sees="What happened"),
        Act("mlops demo", at=".", sees="What happened"),
        Act("mlops -C .mlops/demo/flights status", at=".", sees="prod"),
        *LOOK,
        *ASK,
        *WATCH,
        *TRAIN,
        *MOVE,
        *TELL,
        *BRING,
    ],
    folder=".mlops/demo/flights",
    prelude=given.FUNCTIONS,
)
