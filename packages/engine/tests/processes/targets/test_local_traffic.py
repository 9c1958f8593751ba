"""Requests to a local endpoint: who answers, what is counted, and that none is lost while traffic changes."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter

from local_bench import ENV, MODEL, Bench

from mlops.serving import testing
from mlops.serving.http.state import KEYS, read_keys
from mlops.serving.score.lock import owner


class Load:
    """Constant traffic on keep-alive connections; remembers who answered and every failure."""

    def __init__(self, bench: Bench, clients: int = 4) -> None:
        self._bench = bench
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.told_to_close = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        server, keys = owner(self._bench.folder), read_keys(self._bench.folder)
        assert server is not None and keys is not None
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"content-type": "application/json", "authorization": f"Bearer {keys.primary}"}
        body = json.dumps(testing.body())
        while not self._end.is_set():
            try:
                connection.request("POST", "/score", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
            if answer.status != 200:
                self.failures.append(str(answer.status))
            self.answers[answer.headers["azureml-model-deployment"]] += 1
            if answer.headers.get("connection") == "close":
                self.told_to_close += 1
                return


def test_an_answer_names_model_version_deployment_and_request(bench: Bench) -> None:
    bench.create("blue", 7, "one")
    status, headers, _ = bench.post(x_request_id="abc-1")
    assert status == 200
    assert headers["x-request-id"] == "abc-1"
    assert (headers["x-model-version"], headers["azureml-model-deployment"]) == ("7", "blue")
    ids = {bench.post()[1]["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_keys_are_private_and_needed(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    assert (bench.folder / KEYS).stat().st_mode & 0o777 == 0o600
    keys = read_keys(bench.folder)
    assert keys is not None
    assert bench.post(key=None)[0] == 401
    assert bench.post(key="wrong")[0] == 403
    assert bench.post(key=keys.admin)[0] == 403, "the control key is no caller's key"
    assert bench.post(key=keys.secondary)[0] == 200
    assert bench.post(key=keys.primary, path="/-/traffic", body={"traffic": {}})[0] == 403
    assert bench.post(key=None, path="/-/traffic", body={"traffic": {}})[0] == 401


def test_traffic_is_split_by_weight(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.traffic(blue=80, green=20)
    with Load(bench) as load:
        while sum(load.answers.values()) < 2000 and not load.failures:
            time.sleep(0.02)
    total = sum(load.answers.values())
    # Six standard deviations of a binomial at 20 %: one false alarm in a billion runs.
    tolerance = 6 * (0.2 * 0.8 / total) ** 0.5
    assert load.failures == []
    assert abs(load.answers["green"] / total - 0.2) < tolerance


def test_traffic_changes_under_load_without_a_failed_request(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    with Load(bench) as load:
        for version in range(2, 8):
            idle, live = ("green", "blue") if version % 2 == 0 else ("blue", "green")
            bench.create(idle, version, "two" if version % 2 == 0 else "one")
            bench.traffic(**{live: 50, idle: 50})
            time.sleep(0.05)
            bench.traffic(**{live: 0, idle: 100})
            served = bench.post()[1]["azureml-model-deployment"]
            assert served == idle, "the next request after set_traffic goes where it was sent"
            bench.endpoints.delete(ENV, MODEL, live)
    assert load.failures == []
    assert sum(load.answers.values()) > 100
    assert set(load.answers) == {"blue", "green"}


def test_a_mirror_sees_copies_and_never_answers(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "failing")
    bench.traffic(blue=100, mirror={"green": 50})
    answers = Counter(bench.post()[1]["azureml-model-deployment"] for _ in range(60))
    assert answers == {"blue": 60}
    while (mirrored := bench.endpoints.sample(ENV, MODEL, "green")).requests < 10:
        time.sleep(0.05)  # half of 60 are copied, sooner or later
    assert mirrored.errors == mirrored.requests < 60
    live = bench.endpoints.sample(ENV, MODEL, "blue")
    assert (live.requests, live.errors) == (60, 0)


def test_counters_tell_errors_latency_and_predictions_apart(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "failing")
    for _ in range(5):
        assert bench.post(testing.body(3))[0] == 200
    for _ in range(4):
        status, headers, answer = bench.post(azureml_model_deployment="green")
        assert status == 500
        assert answer["request_id"] == headers["x-request-id"]
        assert "Traceback" not in json.dumps(answer) and "out of" not in json.dumps(answer)
    assert bench.post({"data": [{"carrier": 1}]})[0] == 422
    blue, green = (bench.endpoints.sample(ENV, MODEL, name) for name in ("blue", "green"))
    assert (blue.requests, blue.errors) == (5, 0), "a client's mistake is no request of the model"
    assert (green.requests, green.errors) == (4, 4)
    assert blue.latency[float("inf")] == 5
    assert list(blue.latency.values()) == sorted(blue.latency.values()), "cumulative, as in Prometheus"
    assert blue.predictions[0.45] == 0 and blue.predictions[0.5] == 15
    log = (bench.folder / "server.log").read_text()
    assert log.count("out of data bounds") == 1, "the reason is logged once"


def test_a_slow_python_model_does_not_delay_its_neighbour_or_the_probes(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "python")
    slow = [
        threading.Thread(target=bench.post, kwargs={"azureml_model_deployment": "green"}) for _ in range(8)
    ]
    for thread in slow:
        thread.start()
    answered = 0
    while any(thread.is_alive() for thread in slow):
        assert bench.post()[0] == 200
        answered += 1
    assert answered > 2 * len(slow), "who waits behind slow ones is answered as often as they are"


def test_a_drain_under_load_answers_everything_and_resets_nothing(bench: Bench) -> None:
    bench.create("blue", 1, "slow")
    with Load(bench, clients=8) as load:
        while sum(load.answers.values()) < 8:
            time.sleep(0.01)
        bench.endpoints.stop(ENV, MODEL)
    assert load.failures == []
    assert load.told_to_close == 8, "every client was told, and none was cut off"
