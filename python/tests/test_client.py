"""The client against a scripted gateway."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from millrace import Artifact, Client, MillraceApiError, client

RUN = {"id": "r1", "pipeline": "p", "version": "v", "tenant": "t", "createdAt": "2026-11-26T10:00:00Z"}
DONE = {**RUN, "status": "succeeded", "output": {"n": 2}}
RUNNING = {**RUN, "status": "running"}


@dataclass
class Asked:
    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class Gateway:
    """Answers each request with the next of its answers."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            body = json.dumps(value).encode()
            handler.send_response(status)
            for name, each in {**headers, "Content-Length": str(len(body))}.items():
                handler.send_header(name.replace("_", "-"), each)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers.append(answer)

    def cut(self, body: bytes, status: int = 200) -> None:
        """A response whose connection is lost one byte before its end."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:-1])

        self.answers.append(answer)

    def events(self, *texts: str, ends: bool = True, pause: float = 0) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.end_headers()
            for text in texts:
                handler.wfile.write(text.encode())
                handler.wfile.flush()
                time.sleep(pause)
            if not ends:
                handler.connection.close()

        self.answers.append(answer)

    def drop(self) -> None:
        self.answers.append(lambda handler: handler.connection.close())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    scripted = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted.asked.append(Asked(self.command, self.path, self.headers, body))
            try:
                scripted.answers.pop(0)(self)
            except OSError:
                pass
            self.close_connection = True

        do_GET = do_POST = do

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


def event(id: str, type: str, **data: Any) -> str:
    return f"id: {id}\nevent: {type}\ndata: {json.dumps({'type': type, **data})}\n\n"


def end(run: Any = DONE) -> str:
    return f"id: end\nevent: run\ndata: {json.dumps(run)}\n\n"


def parts_of(gateway: Gateway) -> list[tuple[str, str | None, str, Any]]:
    """Name, file name, type and bytes of the parts of the only request."""
    [asked] = gateway.asked
    head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
    parts = [part for part in BytesParser().parsebytes(head + asked.body).walk() if not part.is_multipart()]
    names = [str(part.get_param("name", header="content-disposition")) for part in parts]
    return [
        (name, part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for name, part in zip(names, parts)
    ]


def test_a_run_in_one_request(gateway: Gateway) -> None:
    gateway.json(DONE)
    run = Client(gateway.url + "/", api_key="secret", tenant="acme").run(
        "a/b", {"n": 1}, priority="interactive", outputs=["n", "m"], idempotency_key="k"
    )
    assert run.output == {"n": 2} and run.created_at == RUN["createdAt"]
    [asked] = gateway.asked
    assert asked.path == "/v1/pipelines/a%2Fb/runs?outputs=n%2Cm&priority=interactive"
    assert json.loads(asked.body) == {"n": 1}
    expected = {"Prefer": "wait=50", "Idempotency-Key": "k", "Authorization": "Bearer secret", "Millrace-Tenant": "acme"}
    assert {name: asked.headers[name] for name in expected} == expected


def test_a_run_that_takes_longer_is_followed(gateway: Gateway) -> None:
    gateway.json(RUNNING, 202)
    gateway.events(": \n\n", event("1", "stage.started", stage="a"), end())
    assert Client(gateway.url).run("p", {}).status == "succeeded"
    assert gateway.asked[1].path == "/v1/runs/r1/events"


def test_a_lost_connection_is_reopened_after_the_last_event(gateway: Gateway) -> None:
    gateway.events(event("1", "stage.started", stage="a"), "id: 2\nevent: sta", ends=False)
    gateway.drop()
    gateway.json({"code": "TOO_MANY_STREAMS"}, 429, Retry_After="0")
    gateway.events(event("2", "stage.finished", stage="a"), 'event: error\ndata: {"code": "X"}\n\n')
    gateway.events("data: {}\r\nid: end\r\nevent: run\r\n".replace("data: {}", f"data: {json.dumps(DONE)}") + "\r\n")
    events = list(Client(gateway.url).events("r1"))
    assert [(each.id, each.type) for each in events] == [("1", "stage.started"), ("2", "stage.finished"), ("end", "run")]
    assert events[0].data == {"type": "stage.started", "stage": "a"} and events[2].run is not None
    assert [each.headers["Last-Event-ID"] for each in gateway.asked] == [None, "1", "1", "1", "2"]


def test_events_after_the_end(gateway: Gateway) -> None:
    gateway.answers.append(lambda handler: (handler.send_response(204), handler.end_headers())[0])
    assert list(Client(gateway.url).events("r1", after="end")) == []


def test_waiting_ends_in_time_though_comments_arrive(gateway: Gateway) -> None:
    took = 1.5
    # A machine may stand still: the best of three.
    for _ in range(3):
        gateway.answers.clear()
        gateway.events(*[": \n\n"] * 40, pause=0.05)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="the run r1 has not ended yet; it continues"):
            Client(gateway.url).wait("r1", timeout=0.4)
        took = time.monotonic() - began
        if took < 1.5:
            break
    assert took < 1.5


def test_waiting_ends_in_time_though_a_comment_has_arrived(gateway: Gateway) -> None:
    took = 1.8
    for _ in range(3):  # as above
        gateway.answers.clear()
        # The second one would arrive after the end.
        gateway.events("", ": \n\n", ": \n\n", pause=0.8)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="the run r1 has not ended yet; it continues"):
            Client(gateway.url).wait("r1", timeout=1)
        took = time.monotonic() - began
        if took < 1.4:
            break
    assert took < 1.4


def test_the_timeout_of_a_run_covers_a_start_that_is_not_answered(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "q.wav").write_bytes(bytes(200_000))
    held = threading.Event()
    gateway.answers.append(lambda handler: (held.wait(60), None)[1])
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match='the start of a run of "p" was not answered in time'):
            Client(gateway.url).run("p", {"speech": tmp_path / "q.wav"}, timeout=0.5)
        assert time.monotonic() - began < 30
    finally:
        held.set()


def test_the_timeout_of_a_run_covers_the_pauses_of_its_start(gateway: Gateway) -> None:
    gateway.json({"code": "ORCHESTRATOR_UNAVAILABLE"}, 503, Retry_After="60")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="it continues, unless its pipeline ends with its caller"):
        Client(gateway.url).run("p", {}, timeout=0.5)
    assert time.monotonic() - began < 30


def test_nothing_is_asked_for_when_the_time_is_over(gateway: Gateway) -> None:
    with pytest.raises(TimeoutError):
        Client(gateway.url).run("p", {}, timeout=0)
    assert gateway.asked == []


def test_a_start_with_an_upload_is_answered_at_once_and_its_run_is_followed(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "q.wav").write_bytes(bytes(200_000))
    gateway.json(RUNNING, 202)
    gateway.events(end())
    assert Client(gateway.url).run("p", {"speech": tmp_path / "q.wav"}, timeout=30).status == "succeeded"
    assert [(each.method, each.headers["Prefer"]) for each in gateway.asked] == [("POST", "wait=0"), ("GET", None)]
    gateway.json(DONE)
    Client(gateway.url).run("p", {"speech": tmp_path / "q.wav"})
    assert gateway.asked[-1].headers["Prefer"] == "wait=50"


def test_a_gateway_is_asked_to_answer_a_start_before_the_end(gateway: Gateway) -> None:
    for timeout, wait in ((30.9, "wait=29"), (0.9, "wait=0"), (90, "wait=50")):
        gateway.json(DONE)
        Client(gateway.url).run("p", {}, timeout=timeout)
        assert gateway.asked[-1].headers["Prefer"] == wait


def test_an_error_at_the_end_of_the_time_is_not_hidden(gateway: Gateway) -> None:
    gateway.json({"code": "INVALID_INPUT"}, 422)
    with pytest.raises(MillraceApiError, match="INVALID_INPUT"):
        Client(gateway.url).run("p", {}, timeout=30)


def test_a_run_that_failed(gateway: Gateway) -> None:
    failed = {**RUN, "status": "failed", "error": {"code": "STAGE_TIMEOUT", "message": "too late", "stage": "a"}}
    gateway.json(RUNNING, 202)
    gateway.events(end(failed))
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).run("p", {})
    assert (raised.value.code, raised.value.message, raised.value.status) == ("STAGE_TIMEOUT", "too late", 0)
    assert raised.value.run is not None and raised.value.run.error == failed["error"]
    assert str(raised.value) == "STAGE_TIMEOUT: too late"


def test_a_problem(gateway: Gateway) -> None:
    fields = [{"field": "n", "message": "is no number"}]
    problem = {"code": "INVALID_INPUT", "detail": "n is no number", "errors": fields, "requestId": "q"}
    gateway.json(problem, 422)
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).start("p", {"n": "x"})
    error = raised.value
    assert (error.code, error.status, error.fields, error.request_id) == ("INVALID_INPUT", 422, fields, "q")
    assert len(gateway.asked) == 1  # not retried


def test_a_start_is_retried_with_the_same_key_and_body(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "q.wav").write_bytes(b"RIFF" + bytes(200_000))
    gateway.drop()
    gateway.json({"code": "ORCHESTRATOR_UNAVAILABLE"}, 503, Retry_After="0")
    gateway.json(RUNNING, 202)
    assert Client(gateway.url).start("p", {"speech": tmp_path / "q.wav"}).id == "r1"
    assert len({each.headers["Idempotency-Key"] for each in gateway.asked}) == 1
    assert len({each.body for each in gateway.asked}) == 1 and len(gateway.asked) == 3
    gateway.drop()
    with pytest.raises(MillraceApiError, match="GATEWAY_UNAVAILABLE: no gateway responds at http"):
        Client(gateway.url).start("p", {}, retries=0)


def test_a_start_whose_response_is_cut_off_is_retried_with_the_same_key(gateway: Gateway) -> None:
    gateway.cut(json.dumps(RUNNING).encode(), 202)
    gateway.json(RUNNING, 202)
    assert Client(gateway.url).start("p", {}).id == "r1"
    first, second = gateway.asked
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_nothing_else_is_retried(gateway: Gateway) -> None:
    gateway.drop()
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).cancel("r1")
    assert (raised.value.code, raised.value.status, len(gateway.asked)) == ("GATEWAY_UNAVAILABLE", 0, 1)


def test_files_travel_as_a_form(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / 'a "question".wav'
    file.write_bytes(b"RIFF\r\n--x")
    sha = "0" * 64
    known = Artifact(uri=f"artifact://acme/{sha}", sha256=sha, mime="text/plain", bytes=1)
    gateway.json(RUNNING, 202)
    deep = {"a": b"two", "b": "t", "c": [{"file": b"three", "text": "7"}, 8]}
    Client(gateway.url).start("p", {"speech": file, "n": 1, "known": known, "clips": [b"one", known, None], "deep": deep})
    *files, (_, _, _, others) = parts_of(gateway)
    rest = json.loads(others)
    assert {name: (file_name, data) for name, file_name, _, data in files} == {
        "speech": ("a %22question%22.wav", b"RIFF\r\n--x"),
        "clips.0": ("clips.0", b"one"),
        "deep.a": ("deep.a", b"two"),
        "deep.c.0.file": ("deep.c.0.file", b"three"),
    }
    assert rest == {
        "n": 1,
        "known": {"uri": known.uri},
        "clips": [],
        "clips.1": {"uri": known.uri},
        "clips.2": None,
        "deep": {"b": "t", "c": [{"text": "7"}, 8]},
    }


def test_a_file_in_a_field_called_input_is_beside_the_part_of_that_name(gateway: Gateway) -> None:
    gateway.json(RUNNING, 202)
    Client(gateway.url).start("p", {"input": b"RIFF", "language": "en"})
    assert parts_of(gateway) == [
        ("input", "input", "application/octet-stream", b"RIFF"),
        ("input", "input", "application/vnd.millrace.input+json", b'{"language": "en"}'),
    ]


def test_input_that_json_does_not_have(gateway: Gateway) -> None:
    for value, error in ((float("nan"), ValueError), (object(), TypeError)):
        with pytest.raises(error):
            Client(gateway.url).start("p", {"n": value})
    assert gateway.asked == []


def test_decisions_cancel_and_resume(gateway: Gateway) -> None:
    own = Client(gateway.url)
    for _ in range(5):
        gateway.json(RUNNING, 202)
    own.decide("r/1", "n1", True, by="ada")
    own.decide("r1", "n2", False, stage="apart/review")
    own.decide("r1", "n3", True, content={"seat": 4})
    own.cancel("r1")
    own.resume("r1", repeat=True)
    assert [(each.path, json.loads(each.body or b"null")) for each in gateway.asked] == [
        ("/v1/runs/r%2F1/approve", {"nonce": "n1", "by": "ada"}),
        ("/v1/runs/r1/reject", {"nonce": "n2", "stage": "apart/review"}),
        ("/v1/runs/r1/approve", {"nonce": "n3", "content": {"seat": 4}}),
        ("/v1/runs/r1/cancel", None),
        ("/v1/runs/r1/resume", {"repeat": True}),
    ]


def test_the_list_page_by_page(gateway: Gateway) -> None:
    gateway.json({"runs": [DONE], "nextCursor": "c=1"})
    gateway.json({"code": "RATE_LIMITED"}, 429, Retry_After="0")
    gateway.json({"runs": [{**RUNNING, "id": "r2"}]})
    assert [run.id for run in Client(gateway.url).list(status="failed", since="2026-11-26")] == ["r1", "r2"]
    assert [each.path for each in gateway.asked] == [
        "/v1/runs?status=failed&from=2026-11-26&limit=100",
        *["/v1/runs?status=failed&from=2026-11-26&limit=100&cursor=c%3D1"] * 2,
    ]


def test_media_come_back(gateway: Gateway, tmp_path: Path) -> None:
    served = {"href": "/v1/runs/r1/artifacts/speech"}
    gateway.json([1])
    assert Client(gateway.url).download(served) == b"[1]"
    gateway.json({"code": "ARTIFACT_NOT_FOUND"}, 404)  # Temporal does not have the run's end yet
    gateway.json({"code": "ORCHESTRATOR_UNAVAILABLE"}, 503, Retry_After="0")  # the same, as the gateway knows it
    gateway.json([2])
    assert Client(gateway.url).download(served, tmp_path / "out") == b""
    assert (tmp_path / "out").read_bytes() == b"[2]"


@pytest.mark.parametrize("file", [None, "out"])
def test_media_that_are_cut_off_are_not_taken_for_whole(gateway: Gateway, tmp_path: Path, file: str | None) -> None:
    gateway.cut(b"123456789")
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).download({"href": "/v1/runs/r1/artifacts/speech"}, file and tmp_path / file)
    assert raised.value.code == "GATEWAY_UNAVAILABLE"


def test_media_that_are_gone(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECORDED_S", {"ARTIFACT_NOT_FOUND": 0.3})
    for _ in range(9):
        gateway.json({"code": "ARTIFACT_NOT_FOUND"}, 404)
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).download({"href": "/v1/runs/r1/artifacts/speech"})
    assert raised.value.code == "ARTIFACT_NOT_FOUND" and len(gateway.asked) < 6


@pytest.mark.parametrize("href", ["@elsewhere/", ".elsewhere/", ":1@elsewhere/", "//elsewhere/", "http://elsewhere/", ""])
def test_media_are_not_asked_for_elsewhere(gateway: Gateway, href: str) -> None:
    with pytest.raises(ValueError, match="not where a gateway serves"):
        Client(gateway.url).download({"href": href})
    assert gateway.asked == []


def test_media_are_asked_for_again_with_a_pause(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECORDED_S", {"ORCHESTRATOR_UNAVAILABLE": 0.3})
    for _ in range(9):
        gateway.json({"code": "ORCHESTRATOR_UNAVAILABLE"}, 503, Retry_After="0")
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url).download({"href": "/v1/runs/r1/artifacts/speech"})
    assert raised.value.code == "ORCHESTRATOR_UNAVAILABLE" and len(gateway.asked) < 6


def test_a_redirect_does_not_carry_the_key_away(gateway: Gateway) -> None:
    gateway.json({}, 307, Location=f"{gateway.url}/elsewhere")
    with pytest.raises(MillraceApiError) as raised:
        Client(gateway.url, api_key="secret").get("r1")
    assert raised.value.status == 307 and len(gateway.asked) == 1
