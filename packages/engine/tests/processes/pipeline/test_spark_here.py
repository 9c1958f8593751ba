"""A Spark step runs on this machine too."""

from __future__ import annotations

from tiny_pipeline import Project, on_spark


def test_a_spark_step_runs_here_as_the_script_that_it_is(project: Project) -> None:
    spark = on_spark(project)
    result = spark.run()
    assert [event.state for event in result.steps] == ["finished"] * 4
    ran = spark.ran()
    assert (ran[0], sorted(ran[1:3]), ran[3]) == ("prep", ["left", "right"], "join")
