"""A Spark session: the one of the job (Azure ML serverless Spark, Databricks), or a new one on this machine.

Places are URIs that Spark's file systems know (`azureml://…`, `abfss://…`, `file:///…`) or local paths.
Only the driver runs Python; the executors need no package of this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import TargetError
from mlops.spec.digest import data_digest
from mlops.spec.window import Window
from mlops.tables.base import (
    EVER,
    Kind,
    Rows,
    absent,
    chosen,
    first_line,
    ordered,
    sentences,
    uncovered,
    unreadable,
)

if TYPE_CHECKING:
    import narwhals as nw

_TYPES: Mapping[Kind, str] = {
    "text": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "time": "timestamp_ntz",
    "moment": "timestamp",
}
_CONF = {
    "spark.sql.session.timeZone": "UTC",
    # What cannot be computed is an error, as it is on DuckDB, and not a null.
    "spark.sql.ansi.enabled": "true",
    # pandas writes nanoseconds, which Spark reads as whole numbers or not at all.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
}


_ALONE = {
    "spark.master": "local[*]",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
}


def place(text: str) -> str:
    """`text` as a URI; a path of this machine is one with `file:`."""
    return text.rstrip("/") if "://" in text or text.startswith("file:") else Path(text).resolve().as_uri()


@contextmanager
def session() -> Iterator[Any]:
    """The session of this job; one that had to be started here ends with it.

    Raises `TargetError` when PySpark or Java is not installed.
    """
    try:
        from pyspark.errors import PySparkException  # type: ignore[import-not-found,unused-ignore]
        from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise TargetError(
            "this step runs on Spark, and PySpark is not installed here; install the packages of the step's "
            "environment (docs/scaling.md), or point the pipeline's step at its component for this machine"
        ) from None
    running = SparkSession.getActiveSession()
    try:
        session_now = running or _builder(SparkSession.builder).getOrCreate()
    except (PySparkException, RuntimeError, OSError) as error:
        raise TargetError(
            f"Spark cannot be started here: {first_line(error)}; it needs Java 17 "
            "(apt-get install default-jre-headless, or set JAVA_HOME)"
        ) from error
    try:
        for name, value in _CONF.items():
            session_now.conf.set(name, value)
        yield session_now
    finally:
        if running is None:
            session_now.stop()


def _builder(builder: Any) -> Any:
    """Where nobody names a cluster, Spark runs inside this machine, and listens to nobody else."""
    from pyspark import SparkConf  # type: ignore[import-not-found,unused-ignore]

    configured = builder.appName("mlops").config("spark.ui.showConsoleProgress", "false")
    if SparkConf().contains("spark.master"):
        return configured
    for name, value in _ALONE.items():
        configured = configured.config(name, value)
    return configured


class SparkTables:
    """Implements `mlops.tables.Tables` for the Parquet files below one URI."""

    def __init__(self, spark: Any, raw: str) -> None:
        self._spark = spark
        self._raw = raw

    def table(
        self, name: str, columns: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
    ) -> nw.LazyFrame[Any]:
        import narwhals as nw

        where = f"{self._raw}/{name}.parquet"
        if not Files(self._spark).exists(where):
            raise absent(where)
        try:
            relation = self._spark.read.parquet(where)
        except _errors() as error:
            raise unreadable(where, error) from None
        wanted = chosen(where, relation.columns, columns, optional)
        types = dict(relation.dtypes)
        read = relation.selectExpr(*(_read(c, types[c], k) for c, k in wanted.items()))
        lazy: nw.LazyFrame[Any] = nw.from_native(read)
        return lazy


def write(spark: Any, usecase: Rows, raw: str, window: Window, target: str) -> tuple[int, list[str]]:
    """Write the rows of `window`, sorted by time, to the folder `target` of Parquet files.

    Returns how many rows there are, and their columns. Raises `InvalidInput` as `mlops.tables.frame` does.
    """
    tables = SparkTables(spark, raw)
    with sentences(raw, "Spark", *_errors()):
        native: Any = ordered(usecase.rows(tables, window), usecase.time).to_native()
        native.write.mode("overwrite").parquet(target)
        count = spark.read.parquet(target).count()
        if not count:
            every: Any = usecase.rows(tables, EVER).to_native()
            first, last = every.selectExpr(f"min(`{usecase.time}`)", f"max(`{usecase.time}`)").first()
            raise uncovered(raw, window, first, last)
    return count, list(native.columns)


class Files:
    """Small files, by the file systems of Spark's JVM: they know every URI that Spark reads."""

    def __init__(self, spark: Any) -> None:
        self._spark = spark
        self._jvm = spark._jvm
        self._hadoop = spark._jsc.hadoopConfiguration()

    def exists(self, uri: str) -> bool:
        path = self._path(uri)
        return bool(path.getFileSystem(self._hadoop).exists(path))

    def read_text(self, uri: str) -> str:
        """Raises `FileNotFoundError`."""
        if not self.exists(uri):
            raise FileNotFoundError(uri)
        return "\n".join(row.value for row in self._spark.read.text(uri, wholetext=True).collect())

    def write_text(self, uri: str, text: str) -> None:
        path = self._path(uri)
        stream = path.getFileSystem(self._hadoop).create(path, True)
        try:
            stream.write(bytearray(text, "utf-8"))
        finally:
            stream.close()

    def tree_digest(self, folder: str, without: str) -> str:
        """`mlops.spec.digest.tree_digest` of the folder less the file `without`, computed by the executors.

        Spark passes over names that begin with `.` or `_`.
        """
        from pyspark.sql import functions  # type: ignore[import-not-found,unused-ignore]

        files = self._spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(folder)
        hashed = files.select("path", functions.sha2("content", 256).alias("hash")).collect()
        base = str(self._path(folder).toUri().getPath()).rstrip("/") + "/"
        rows = ((str(self._path(r.path).toUri().getPath()).removeprefix(base), r.hash) for r in hashed)
        return data_digest(sorted((path, f"sha256:{digest}") for path, digest in rows if path != without))

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)


def _read(name: str, there: str, kind: Kind) -> str:
    """SQL for a column as `kind`."""
    column = "`{}`".format(name.replace("`", "``"))
    value = f"nullif({column}, {there}('NaN'))" if there in ("float", "double") else column
    if there == "bigint" and kind in ("time", "moment"):
        value = f"timestamp_micros({column} div 1000)"
    return f"CAST({value} AS {_TYPES[kind]}) AS {column}"


def _errors() -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JJavaError  # type: ignore[import-not-found,unused-ignore]
    from pyspark.errors import PySparkException  # type: ignore[import-not-found,unused-ignore]

    return (PySparkException, Py4JJavaError)
