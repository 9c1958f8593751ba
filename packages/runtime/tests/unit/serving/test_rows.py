"""The same rows give the same answer, in whichever file they come and whoever reads it.

Once `mlops score` read the country NA as null and 00700 as 700, and `mlops batch` did not.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mlops.cli._serve import _payload
from mlops.errors import InvalidInput
from mlops.serving.batch.batch_file import SUFFIXES, BatchJob, score_file
from mlops.serving.score import rows as reader
from mlops.serving.score.core import Predictions, Scorer
from mlops.serving.score.request import RequestError, RequestParser
from mlops.serving.score.table import check_table
from mlops.spec.admits import arrow_type
from mlops.spec.schema import Column, ModelSchema

SCHEMA = ModelSchema(
    model="land",
    task="regression",
    columns=[
        Column(name="land", type="string", nullable=True),
        Column(name="zip", type="string"),
        Column(name="x", type="number", nullable=True),
        Column(name="id", type="integer", dtype="int64", nullable=True),
        Column(name="flag", type="boolean", nullable=True),
    ],
)
NAMES = [c.name for c in SCHEMA.columns]


class Repeats(Scorer):
    """Answers with a digest of the row that it sees, so that any other value is another answer."""

    def predict_rows(self, rows: Any) -> Predictions:
        return np.array([hash(tuple(row)) % 2**30 for row in rows], dtype=np.float64)

    def predict_frame(self, frame: Any) -> Predictions:
        cells = (reader._cells(frame[name]) for name in self.names)
        return self.predict_rows(list(zip(*cells, strict=True)))


def by_score(path: Path) -> list[float] | str:
    """As `mlops score` and the endpoint do it."""
    try:
        body = json.dumps(_payload(path, lambda: SCHEMA)).encode()
        return Repeats(SCHEMA).predict_rows(RequestParser(SCHEMA).parse(body, "score")).tolist()
    except (InvalidInput, RequestError) as error:
        return str(error)


def by_batch(path: Path, keep: tuple[str, ...] = ()) -> list[float] | str:
    job = BatchJob(path.parent, "sha256:" + "0" * 64, path.parent, path.parent / "out", keep)
    found = score_file(Repeats(SCHEMA), job, Path(path.name))
    if found.state == "quarantined":
        return found.reason
    answers: list[float] = pq.read_table(path.parent / "out" / f"{path.name}.predictions.parquet")[
        "_prediction"
    ].to_pylist()
    return answers


def expected(rows: list[tuple[Any, ...]]) -> list[float]:
    return Repeats(SCHEMA).predict_rows(rows).tolist()


def as_csv(rows: list[tuple[Any, ...]], **style: Any) -> str:
    """Null is an empty field, an empty text is quoted; Python's own writer cannot tell them apart."""
    made = io.StringIO()
    csv.writer(made, **style).writerow(NAMES)
    for row in rows:
        fields = []
        for value in row:
            one = io.StringIO()
            text = (
                str(value).lower()
                if isinstance(value, bool)
                else value
                if isinstance(value, str)
                else repr(value)
            )
            csv.writer(
                one, quoting=csv.QUOTE_ALL if isinstance(value, str) else csv.QUOTE_MINIMAL, lineterminator=""
            ).writerow([text])
            fields.append("" if value is None else one.getvalue())
        made.write(",".join(fields) + style.get("lineterminator", "\r\n"))
    return made.getvalue()


def written(folder: Path, rows: list[tuple[Any, ...]]) -> list[Path]:
    """The rows in every kind of file, with a further column where the kind can have one."""
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    texts = {
        "a.csv": as_csv(rows),
        "unix.csv": "\ufeff" + as_csv(rows, lineterminator="\n"),
        "body.json": json.dumps({"input_data": {"columns": NAMES, "data": rows}}),
        "lines.jsonl": "".join(json.dumps(r) + "\n" for r in records),
    }
    paths = []
    for name, text in texts.items():
        paths.append(folder / name)
        paths[-1].write_bytes(text.encode())
    paths.append(folder / "table.parquet")
    columns = zip(*rows, strict=True)
    made = {c.name: pa.array(v, arrow_type(c)) for c, v in zip(SCHEMA.columns, columns, strict=True)}
    pq.write_table(pa.table(made), paths[-1])
    return paths


ROWS: list[tuple[Any, ...]] = [
    ("NA", "00700", 0.1, 2**53 + 1, True),
    (None, "", None, None, None),
    ("", "nan", -1e-300, -1, False),
    ("null", 'a "quoted", text\r\nof two lines', 1e22, -(2**63), None),
    (" padded ", "é日本", 3.0, 0, True),
]


def test_every_file_gives_the_answer_of_the_endpoint(tmp_path: Path) -> None:
    for path in written(tmp_path, ROWS):
        assert by_score(path) == expected(ROWS), path.name
        assert by_batch(path) == expected(ROWS), path.name


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
CELLS = (
    st.none() | TEXT | st.sampled_from(["NA", "null", "nan", "", "00700", "1e3", "true"]),
    TEXT,
    st.none() | st.floats(-3.4e38, 3.4e38),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
)


@examples(12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*CELLS), min_size=1, max_size=4))
def test_any_rows_have_one_answer(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    for path in written(tmp_path, rows):
        assert by_score(path) == by_batch(path) == expected(rows), path.name


HEAD = "land,zip,x,id,flag\n"
LINES: list[tuple[str, tuple[Any, ...]]] = [
    ("DE,1,+1.5,+3,TRUE", ("DE", "1", 1.5, 3, True)),
    ("DE,1, 1.5 , 3 ,1", ("DE", "1", 1.5, 3, True)),
    ("DE,1,.5,3.0,0", ("DE", "1", 0.5, 3, False)),
    ("DE,1,1e3,1e3,False", ("DE", "1", 1000.0, 1000, False)),
    ('"DE","1","2","3","true"', ("DE", "1", 2.0, 3, True)),
]


@pytest.mark.parametrize(("line", "row"), LINES)
def test_numbers_and_booleans_may_be_written_so(tmp_path: Path, line: str, row: tuple[Any, ...]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + line + "\n", encoding="utf-8")
    assert by_score(path) == by_batch(path) == expected([row])


def test_an_exact_whole_number_stays_so_beside_one_with_an_exponent(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "DE,1,1,9007199254740993,\nDE,1,1,1e3,\n", encoding="utf-8")
    assert by_batch(path) == expected([("DE", "1", 1.0, 2**53 + 1, None), ("DE", "1", 1.0, 1000, None)])


BAD: list[tuple[str, str, str]] = [
    ("a.csv", HEAD + "DE,1,NA,3,true\n", "line 2: column 'x', row 0: must be a finite number, or null; got"),
    ("a.csv", HEAD + "DE,1,1,3,true\n\nDE,1,nan,3,true\n", "line 4: column 'x', row 1"),
    ("a.csv", HEAD + '"D\nE",1,1,3,true\nDE,1,inf,3,true\n', "line 4: column 'x', row 1"),
    ("a.csv", HEAD + "DE,1,0x10,3,true\n", "'0x10'"),
    ("a.csv", HEAD + "DE,1,1_000,3,true\n", "'1_000'"),
    ("a.csv", HEAD + 'DE,1,"1,5",3,true\n', "'1,5'"),
    ("a.csv", HEAD + "DE,1,1,three,true\n", "column 'id', row 0: must be a whole number"),
    ("a.csv", HEAD + "DE,1,1,3,yes\n", "column 'flag', row 0: must be true or false"),
    ("a.csv", HEAD + "DE,1,1,3,true\nDE,1,1,3\n", "4 fields, where the header has 5"),
    ("a.csv", HEAD + "DE,1,1,3,true,6\n", "6 fields"),
    ("a.csv", "land,zip,x,id,flag,x\nDE,1,1,3,true,2\n", "has the column 'x' more than once"),
    ("a.csv", HEAD.replace(",", ";") + "DE;1;1;3;true\n", "separated by ';'"),
    ("a.csv", HEAD.replace(",", "\t") + "DE\t1\t1\t3\ttrue\n", r"separated by '\t'"),
    ("a.csv", "land,zip\nDE,1\n", "lacks the columns x, id, flag; it has land, zip"),
    ("a.csv", "", "lacks the columns"),
    ("a.csv", HEAD, "holds no rows"),
    ("a.jsonl", '{"land": "DE"}\n', "line 1: lacks the columns zip, x, id, flag"),
    ("a.jsonl", '\n{"land": "DE", "zip": 1, "x": 1, "id": 1, "flag": true}\n', "line 2: column 'zip'"),
    ("a.jsonl", "[1]\n", "line 1: is no JSON object"),
    ("a.jsonl", "\n", "holds no rows"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "words"), BAD)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    for said in (by_score(path), by_batch(path)):
        assert isinstance(said, str), said
        assert words in said or (not text and "first line is empty" in said)
    assert str(path) in str(by_score(path))


@pytest.mark.parametrize(
    "content", [b"land,zip,x,id,flag\n\xff,1,1,1,true\n", b'land,zip,x,id,flag\n"open,1']
)
def test_bytes_that_are_no_csv_are_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert isinstance(by_batch(path), str)
    assert str(path) in str(by_score(path))


def test_a_list_of_objects_is_a_file_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS]), encoding="utf-8")
    assert by_score(path) == by_batch(path) == expected(ROWS)
    path.write_text('[{"land": 1}]', encoding="utf-8")
    assert "object 0: lacks the columns" in str(by_batch(path))
    path.write_text("[1]", encoding="utf-8")
    assert "no list of objects" in str(by_batch(path))


def test_columns_to_keep_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key," + HEAD + "00700,DE,1,1,3,true\n", encoding="utf-8")
    record = dict(zip(NAMES, ROWS[0], strict=True))
    (tmp_path / "a.jsonl").write_text(json.dumps({**record, "key": "00700"}) + "\n", encoding="utf-8")
    for name in ("a.csv", "a.jsonl"):
        assert isinstance(by_batch(tmp_path / name, ("key",)), list)
        kept = pq.read_table(tmp_path / "out" / f"{name}.predictions.parquet")["key"].to_pylist()
        assert kept == ["00700"]
    body = HEAD.replace("\n", ",key,mixed\n") + "DE,1,1,3,true,7,7\nDE,1,1,3,true,,07\n"
    (tmp_path / "c.csv").write_text(body, encoding="utf-8")
    assert isinstance(by_batch(tmp_path / "c.csv", ("key", "mixed")), list)
    made = pq.read_table(tmp_path / "out" / "c.csv.predictions.parquet")
    assert (made["key"].to_pylist(), made["mixed"].to_pylist()) == ([7, None], ["7", "07"])
    (tmp_path / "b.json").write_text(json.dumps({"data": [record]}), encoding="utf-8")
    assert "columns to keep" in str(by_batch(tmp_path / "b.json", ("key",)))


def test_batches_are_small_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ROWS", 3)
    many = [ROWS[i % len(ROWS)] for i in range(10)]
    for path in written(tmp_path, many):
        made = list(reader.batches(SCHEMA, path))
        assert [batch.num_rows for batch in made] == [3, 3, 3, 1], path.name
        for batch in made:
            check_table(SCHEMA, batch)
        assert by_batch(path) == expected(many)


def test_each_kind_of_file_is_scored_in_batches() -> None:
    assert set(SUFFIXES) == {".csv", ".json", ".jsonl", ".parquet"}
