"""The client of the HTTP door."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from ._body import body_of
from ._runs import UNREACHABLE, Event, MillraceApiError, Run, error_of, failure_of
from ._sse import server_events

T = TypeVar("T")

_WAIT_S = 50
"""Longest wait requested with a start; the gateway reduces it to its own limit."""
_ANSWER_S = 75.0
"""Longest silence of a gateway: above that wait, and above the 15 s between comments of an event stream."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
# How long an artifact is asked for again, by the error: the gateway knows of most results that are ahead of their record.
_RECORDED_S = {"ARTIFACT_NOT_FOUND": 2.0, "ORCHESTRATOR_UNAVAILABLE": 10.0}
_MOST_ROWS = 100


class Client:
    """Calls a gateway: starts runs, follows them, decides, and fetches media.

    `base_url`: of the gateway, `http://127.0.0.1:7400` for `millrace up`. `api_key`: if the gateway requires one.
    `tenant`: for a gateway without keys. Calls block; in `async` code use `asyncio.to_thread`. Calls from several
    threads do not disturb each other. Every method raises `MillraceApiError`.
    """

    def __init__(
        self, base_url: str = "http://127.0.0.1:7400", *, api_key: str | None = None, tenant: str | None = None
    ) -> None:
        self._base = base_url.rstrip("/")
        self._headers: dict[str, str] = {}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        if tenant is not None:
            self._headers["Millrace-Tenant"] = tenant
        # A redirect would carry the key to another host.
        self._opener = urllib.request.build_opener(_NoRedirects)

    def run(self, pipeline: str, input: Mapping[str, Any], *, timeout: float | None = None, **options: Any) -> Run:
        """Starts a run and waits until it has ended; raises unless it succeeds. Options as for `start`.

        `timeout`: seconds for the start and the wait, after which `TimeoutError` is raised; up to twice as many if the
        gateway does not answer after an upload. A run that has started continues, unless its pipeline ends with its
        caller (`onLeave`).
        """
        end = _end_of(timeout)
        started = self._start(pipeline, input, True, end, **options)
        if started.status == "running":
            left = None if end is None else max(0.0, end - time.monotonic())
            started = self.wait(started.id, timeout=left)
        if started.status != "succeeded":
            raise failure_of(started)
        return started

    def start(self, pipeline: str, input: Mapping[str, Any], **options: Any) -> Run:
        """Starts a run and returns at once.

        A media field of `input` takes `bytes`, a `pathlib.Path`, or an artifact of an earlier run. Options:
        `idempotency_key` (the same key with the same input returns the same run; random by default, which makes retries
        safe), `priority`, `outputs` (names of the output's fields; stages that only others need do not run), `webhook`,
        and `retries` (of a start while no gateway answers, or it cannot reach Temporal; 2 by default).
        """
        return self._start(pipeline, input, False, None, **options)

    def get(self, run: str) -> Run:
        """The current state of a run."""
        return self._run("GET", _path(run))

    def wait(self, run: str, *, timeout: float | None = None) -> Run:
        """Waits until a run has ended, with any outcome. Raises `TimeoutError` after `timeout` seconds."""
        end = _end_of(timeout)
        for event in self.events(run, timeout=timeout):
            if event.run is not None:
                return event.run
        try:
            return self._run("GET", _path(run), timeout=_left(end, _unended(run)))
        except MillraceApiError:
            _left(end, _unended(run))
            raise

    def events(self, run: str, *, after: str | None = None, timeout: float | None = None) -> Iterator[Event]:
        """The events of a run as they happen, from its start or after the event `after`; the last one is the run.

        A lost connection is reopened without missing or repeating events. Raises `TimeoutError` after `timeout` seconds.
        """
        last, pause = after or "", _FIRST_PAUSE_S
        end, late, route = _end_of(timeout), _unended(run), f"{_path(run)}/events"
        while True:
            asked: float | None = None
            try:
                headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
                with self._request("GET", route, headers=headers, timeout=_left(end, late)) as response:
                    if response.status == 204:
                        return
                    for sent in server_events(_lines(response, end, late)):
                        if sent.type == "error":
                            break  # the run continues: reconnect
                        last, pause = sent.id, _FIRST_PAUSE_S
                        data = json.loads(sent.data)
                        if sent.type == "run":
                            yield Event(sent.id, "run", data, Run.model_validate(data))
                            return
                        yield Event(sent.id, data["type"], data)
            except MillraceApiError as error:
                if error.status not in (0, 429) and error.status < 500:
                    raise
                asked = error.retry_after
            except (OSError, HTTPException):
                _left(end, late)  # else the connection was lost
            left = _left(end, late)
            time.sleep(min(pause if asked is None else asked, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def cancel(self, run: str) -> Run:
        """Cancels a run."""
        return self._run("POST", f"{_path(run)}/cancel")

    def resume(self, run: str, *, repeat: bool = False) -> Run:
        """Starts a run that resumes one that failed, was cancelled or timed out; repeated calls return the same run.

        `repeat`: steps that had ended may be repeated if their results are not in the record.
        """
        return self._run("POST", f"{_path(run)}/resume", {"repeat": repeat})

    def decide(
        self,
        run: str,
        nonce: str,
        approved: bool,
        *,
        by: str | None = None,
        stage: str | None = None,
        reason: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        content: Mapping[str, Any] | None = None,
        scope: Literal["call", "run", "session"] | None = None,
    ) -> Run:
        """Decides what a stage of the run waits for.

        `nonce`: of the wait, from `Run.waiting` or the event `stage.waiting`. `by`: the person, for display. `stage`:
        its path, required only if the run has many child runs. `reason`: why; the model of an agent is told. For an
        approved call of a tool, `arguments` take the place of the model's, and the scope `run` approves later calls of
        the tool by the same agent in this run, `session` those in all runs of its session. `content`: the fields
        that a question asks for. If no answer arrives, call again: it counts once.
        """
        given = {"by": by, "stage": stage, "reason": reason, "arguments": arguments, "content": content, "scope": scope}
        body = {"nonce": nonce, **{name: value for name, value in given.items() if value is not None}}
        return self._run("POST", f"{_path(run)}/{'approve' if approved else 'reject'}", body)

    def list(
        self,
        *,
        pipeline: str | None = None,
        status: str | None = None,
        version: str | None = None,
        since: str | None = None,
        until: str | None = None,
        id: str | None = None,
    ) -> Iterator[Run]:
        """Runs, fetched page by page: running ones, latest start first, then ended ones, latest end first.

        `since` and `until` are ISO 8601: started at or after the one, before the other. `id`: the start of the id. A run
        that ends meanwhile may occur twice.
        """
        given = {"pipeline": pipeline, "status": status, "version": version, "from": since, "to": until, "id": id}
        filters = {name: value for name, value in given.items() if value is not None}
        cursor: dict[str, str] = {}
        while True:
            query = urllib.parse.urlencode({**filters, "limit": _MOST_ROWS, **cursor})
            page = _while_full(lambda: self._json("GET", f"/v1/runs?{query}"))
            for row in page["runs"]:
                yield Run.model_validate(row)
            if "nextCursor" not in page:
                return
            cursor = {"cursor": page["nextCursor"]}

    def pipelines(self) -> Sequence[Mapping[str, Any]]:
        """The pipelines that the gateway serves, each with `name`, `version`, `description`, `input` and `output`."""
        return cast(Sequence[Mapping[str, Any]], self._json("GET", "/v1/pipelines")["pipelines"])

    def download(self, artifact: Mapping[str, Any], to: Path | str | None = None) -> bytes:
        """The bytes of an artifact of a run, `run.output["speech"]`. With `to`, they go to that file; returns b"".

        Raises `MillraceApiError` if they do not all arrive; the file then has some of them.
        """
        with self._artifact(str(artifact["href"])) as response:
            if to is None:
                return self._whole(response)
            with Path(to).open("wb") as file:
                while piece := self._whole(response, 1 << 16):
                    file.write(piece)
            # Reads of a size do not tell that the connection was lost.
            if response.length:
                raise self._unreachable(f"the last {response.length} bytes are missing")
        return b""

    def _artifact(self, route: str) -> HTTPResponse:
        # May come from a model: "@elsewhere" behind the gateway's address would take the key to another host.
        if not route.startswith("/v1/"):
            raise ValueError(f"{route!r} is not where a gateway serves an artifact")
        # A waiting caller has the output somewhat before Temporal has the run's end, without which it has no artifacts.
        begun = time.monotonic()
        while True:
            try:
                return self._request("GET", route)
            except MillraceApiError as error:
                left = _RECORDED_S.get(error.code, 0.0) - (time.monotonic() - begun)
                if left <= 0:
                    raise
                # A Retry-After of zero must not make it ask without a pause.
                pause = max(_FIRST_PAUSE_S / 2, error.retry_after or 0.0)
            time.sleep(min(pause, left))

    def _start(
        self,
        pipeline: str,
        input: Mapping[str, Any],
        waits: bool,
        end: float | None,
        *,
        idempotency_key: str | None = None,
        priority: str | None = None,
        outputs: Sequence[str] | None = None,
        webhook: str | None = None,
        retries: int = 2,
    ) -> Run:
        given = {"outputs": ",".join(outputs) if outputs else None, "priority": priority, "webhook": webhook}
        query = urllib.parse.urlencode({name: value for name, value in given.items() if value is not None})
        route = f"/v1/pipelines/{urllib.parse.quote(pipeline, safe='')}/runs{f'?{query}' if query else ''}"
        body = body_of(input)
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex, **body.headers}
        late = (
            f'the start of a run of "{pipeline}" was not answered in time; '
            "if the run has started, it continues, unless its pipeline ends with its caller"
        )
        pause = _FIRST_PAUSE_S
        for left in range(retries, -1, -1):
            data = _in_time(body.data(), end, late)
            if waits:
                # How long the upload takes is not known: its answer must not be delayed by a wait that begins after it.
                uploads = end is not None and not isinstance(data, bytes)
                headers["Prefer"] = f"wait={0 if uploads else _wait_s(end)}"
            try:
                with self._request("POST", route, headers=headers, data=data, timeout=_left(end, late)) as response:
                    return Run.model_validate_json(self._whole(response))
            except MillraceApiError as error:
                # Safe because of the idempotency key: a run that was started is not started again.
                unavailable = error.code in (UNREACHABLE, "ORCHESTRATOR_UNAVAILABLE", "BODY_MEMORY_FULL")
                if error.run is not None or not unavailable:
                    raise
                most = _left(end, late)
                if left == 0:
                    raise
                asked = pause if error.retry_after is None else error.retry_after
                time.sleep(asked if end is None else min(asked, most))
                pause *= 2
        raise AssertionError("unreachable")

    def _run(
        self, method: str, route: str, body: Mapping[str, Any] | None = None, *, timeout: float = _ANSWER_S
    ) -> Run:
        return Run.model_validate(self._json(method, route, body, timeout=timeout))

    def _json(
        self, method: str, route: str, body: Mapping[str, Any] | None = None, *, timeout: float = _ANSWER_S
    ) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with self._request(method, route, headers=headers, data=data, timeout=timeout) as response:
            return json.loads(self._whole(response))

    def _request(
        self,
        method: str,
        route: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float = _ANSWER_S,
    ) -> HTTPResponse:
        """A successful response. Raises `MillraceApiError` otherwise."""
        request = urllib.request.Request(
            self._base + route, data=data, headers={**self._headers, **(headers or {})}, method=method
        )
        try:
            return cast(HTTPResponse, self._opener.open(request, timeout=min(timeout, _ANSWER_S)))
        except urllib.error.HTTPError as error:
            with error:
                raise error_of(error) from None
        except (OSError, HTTPException) as error:
            raise self._unreachable(getattr(error, "reason", None) or error) from error

    def _whole(self, response: HTTPResponse, most: int | None = None) -> bytes:
        """The body of a response, or its next bytes. Raises `MillraceApiError` where the connection is lost."""
        try:
            return response.read(most)
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, reason: object) -> MillraceApiError:
        return MillraceApiError(UNREACHABLE, f"no gateway responds at {self._base} ({reason})")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _path(run: str) -> str:
    return f"/v1/runs/{urllib.parse.quote(run, safe='')}"


def _unended(run: str) -> str:
    return f"the run {run} has not ended yet; it continues"


def _end_of(timeout: float | None) -> float | None:
    """When so many seconds are over, by `time.monotonic`."""
    return None if timeout is None else time.monotonic() + timeout


def _wait_s(end: float | None) -> int:
    """The wait to request with a start: its answer, which names the run, must arrive before the end."""
    return _WAIT_S if end is None else max(0, min(_WAIT_S, int(end - time.monotonic() - 1)))


def _in_time(data: bytes | Iterator[bytes], end: float | None, late: str) -> bytes | Iterator[bytes]:
    """A body that is sent until the time is over."""
    return data if end is None or isinstance(data, bytes) else _pieces(data, end, late)


def _pieces(data: Iterator[bytes], end: float, late: str) -> Iterator[bytes]:
    for piece in data:
        _left(end, late)
        yield piece


def _lines(response: HTTPResponse, end: float | None, late: str) -> Iterator[bytes]:
    """The lines of a response as they arrive, until the time is over."""
    while True:
        # urllib has one time limit for all reads of a response, and nothing to change it with.
        connection = getattr(getattr(response.fp, "raw", None), "_sock", None)
        if connection is not None:
            connection.settimeout(_left(end, late))
        line = response.readline()
        _left(end, late)
        if not line:
            return
        yield line


def _left(end: float | None, late: str) -> float:
    """Seconds left, at most the longest silence. Raises `TimeoutError` with `late` if there are none."""
    left = _ANSWER_S if end is None else end - time.monotonic()
    if left <= 0:
        raise TimeoutError(late)
    return min(left, _ANSWER_S)


def _while_full(ask: Callable[[], T]) -> T:
    """The answer of a gateway, asked again while the caller's limit of pages is reached."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return ask()
        except MillraceApiError as error:
            if error.status != 429:
                raise
            time.sleep(pause if error.retry_after is None else error.retry_after)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
