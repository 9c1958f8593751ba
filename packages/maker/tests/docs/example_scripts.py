"""What stands in a world before an example is typed: shell, and Python where the shell has no word for it."""

from __future__ import annotations

FUNCTIONS = """
first() {
  python -c "
import json, sys
print(next(row['$1'] for row in json.load(sys.stdin) if row['$2'].startswith('$3')))
"
}
pull() { mlops pr list --json | first number title "$1"; }
run() { mlops forge runs --json | first number workflow "$1"; }
"""
"""Numbers that the world has: of the open pull request with that title, of that workflow's newest run.

`first FIELD OTHER TEXT` is FIELD of the first JSON object whose field OTHER begins with TEXT.
"""

SAMPLE = """
mkdir -p .mlops/data/nycflights
cp -r ../sample .mlops/data/nycflights/1
"""
"""A fortieth of the data, so that a trial takes a second."""

ELSEWHERE_REGRESSION = """
python - <<'PYTHON'
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from prices.columns import INPUTS

table = load_diabetes(as_frame=True, scaled=False)
rows = table.data.set_axis(list(INPUTS), axis="columns").astype("float64")
model = Ridge().fit(rows, table.target)
mlflow.sklearn.save_model(
    model, "trained-elsewhere", serialization_format="skops", pip_requirements=["scikit-learn"],
    signature=infer_signature(rows, model.predict(rows)), input_example=rows.head(5),
)
PYTHON
"""

ELSEWHERE_BINARY = """
mkdir trained-elsewhere
for name in MLmodel model.skops requirements.txt input_example.json; do
  cp "$(find .mlops/models -name MLmodel | head -1 | xargs dirname)/$name" trained-elsewhere
done
"""
"""What the example's artifact is without all that this template adds to it."""

NEXT_TEMPLATE = """
git clone --quiet . ../template
now=$(sed -n 's/^version = "\\(.*\\)"$/\\1/p' template.toml)
(
  cd ../template
  git tag "v$now"
  sed -i 's/^version = .*/version = "99.0.0"/' template.toml
  sed -i 's/^## \\[Unreleased\\]/## [99.0.0] - 2099-01-01\\n\\n- A better page./' CHANGELOG.md
  echo 'One sentence more.' >> docs/board.md
  git commit --quiet --all --message 'Release 99.0.0'
  git tag v99.0.0
)
git remote add template "$PWD/../template"
"""

JULY_DELIVERED = """
python - <<'PYTHON'
from pathlib import Path

import pandas as pd

for table in ("flights", "weather"):
    rows = pd.read_parquet(f".mlops/data/nycflights/1/{table}.parquet")
    folder = Path("delivered/2013-07")
    folder.mkdir(parents=True, exist_ok=True)
    rows[rows["month"] == 7].to_csv(folder / f"{table}.csv", index=False)
PYTHON
"""

SERVED = """
python -u -m http.server --bind 127.0.0.1 --directory delivered 0 > ../web.log 2>&1 &
trap "kill $!" EXIT
until PORT=$(grep --only-matching --max-count 1 'port [0-9]*' ../web.log | grep --only-matching '[0-9]*'); do
  sleep 0.1
done
"""
"""The delivery, by HTTP from this machine."""

ROWS = """
python - <<'PYTHON'
import json
from pathlib import Path

import pandas as pd

sample = json.loads(next(Path(".mlops/models").glob("*/sample.json")).read_text())["input_data"]
Path("rows.json").write_text(json.dumps({"input_data": sample}))
Path("data/july").mkdir(parents=True, exist_ok=True)
rows = pd.DataFrame(sample["data"], columns=sample["columns"]).assign(flight_id=range(len(sample["data"])))
rows.to_parquet("data/july/first.parquet")
rows.to_csv("data/july/second.csv", index=False)
PYTHON
"""
"""Fifty flights, to ask about and to score."""

ADDRESS = """
URL=$(mlops endpoints --json | first url environment prod)
URL=${URL%/score}
KEY=$(python -c "import json; print(json.load(open('.mlops/endpoints/prod/flights/keys.json'))['primary'])")
"""

FREE_PORT = """
PORT=$(python -c "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[1])")
"""

LABELS = """
python -c "import pandas; pandas.read_parquet('june.parquet').to_csv('late.csv', index=False)"
"""

KEY = """
openssl ecparam -name prime256v1 -genkey -noout -out ../team.pem
openssl ec -in ../team.pem -pubout -out environments/model-signing.pub
printf '\\n[signing]\\npublic_key = "environments/model-signing.pub"\\n' >> mlops.toml
export MLOPS_SIGNING_KEY=$PWD/../team.pem
"""

SINKS = """
cat >> mlops.toml <<'TOML'

[[events.sinks]]
kind = "file"
path = "told.jsonl"

[[events.sinks]]
kind = "file"
name = "webhook"
path = "webhook.jsonl"

[[events.handlers]]
types = ["mlops.gate.passed"]
run = "flights.alerts:post"
TOML
cat > src/flights/alerts.py <<'PYTHON'
def post(event):
    print("heard of", event["subject"])
PYTHON
"""

LEARN_LONGER = """
git pull --quiet
sed -i 's/max_iter: 200/max_iter: 240/' pipelines/flights/training.yml
git commit --quiet --all --message 'Learn longer [skip ci]'
git push --quiet
"""

CLEAR_HOLDS = """
git pull --quiet
sed -i 's/^hold:.*/hold: null/' environments/staging/flights.yaml
git commit --quiet --all --message 'The demo is over [skip ci]'
git push --quiet
"""

NOBODY_ASKS = """
sed -i 's/^    soak: 0s$/&\\n    synthetic_traffic: true/' environments/policy.yaml
sed -i 's/max_prediction_shift: [0-9.]*/max_prediction_shift: 2/' environments/prod/flights.yaml
git commit --quiet --all --message 'Nobody sends requests, and two months more move predictions [skip ci]'
git push --quiet
"""
"""So that the canary in production has something to judge, and passes."""
