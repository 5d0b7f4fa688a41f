"""Errors with a code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class FieldError(TypedDict):
    """An invalid field: its path, `options.language`, and what is wrong with it."""

    field: str
    message: str


class StageError(Exception):
    """The failure of a stage. Raise it to choose the code, and whether the stage is tried again.

    With a code of Millrace's error table the run fails with that code; with any other code it fails with
    `ACTIVITY_FAILED`, which keeps the code as its type. `retryable`: whether the stage's retry policy may try again;
    by default as the error table says, and true for a code that is not in it.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool | None = None, fields: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = code not in NEVER_RETRIED if retryable is None else retryable
        self.fields = tuple(fields)


class SettingError(Exception):
    """A setting, a module or a function is not usable; the message says which and how to correct it."""


class TemporalUnavailable(Exception):
    """Temporal cannot be reached."""


NEVER_RETRIED = frozenset(
    {
        "ACTIVITY_FAILED",
        "ALREADY_DECIDED",
        "ARTIFACT_CORRUPT",
        "ARTIFACT_NOT_FOUND",
        "BACKEND_REJECTED",
        "BACKEND_UNAUTHORIZED",
        "BODY_TOO_LARGE",
        "CAPABILITY_MISSING",
        "CHECK_TOO_COSTLY",
        "CHILD_CANCELLED",
        "CODE_NOT_FOUND",
        "CONTEXT_TOO_LONG",
        "CONVERSION_UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "EMPTY_BODY",
        "FORBIDDEN",
        "GUARDRAIL_STOPPED",
        "HEADERS_TOO_LARGE",
        "IDEMPOTENCY_KEY_REUSED",
        "INDEX_MISMATCH",
        "INDEX_NOT_FOUND",
        "INDEX_UNSUPPORTED",
        "INPUT_TOO_LARGE",
        "INTERNAL",
        "INVALID_HEADER",
        "INVALID_INPUT",
        "INVALID_INVENTORY",
        "INVALID_JSON",
        "INVALID_MEDIA",
        "INVALID_MULTIPART",
        "INVALID_PIPELINE",
        "INVALID_PLACEMENT",
        "INVALID_POLICY",
        "INVALID_PROFILE",
        "INVALID_SETTING",
        "INVALID_TOOL_CALL",
        "INVALID_TRACE",
        "JOURNAL_UNAVAILABLE",
        "LENGTH",
        "LIMIT_REACHED",
        "METHOD_NOT_ALLOWED",
        "MODEL_FITS_NOWHERE",
        "MODEL_NOT_CONFIGURED",
        "MODEL_NOT_LOADED",
        "NOT_CACHED",
        "NOT_RESUMABLE",
        "NOT_WAITING",
        "NO_WEBHOOK",
        "OUTPUT_BUDGET_EXCEEDED",
        "PIPELINE_NOT_FOUND",
        "PLACEMENT_CHANGED",
        "PLACEMENT_INFEASIBLE",
        "PLACEMENT_LOCKED",
        "PROFILE_MISSING",
        "PROFILE_STALE",
        "PROFILE_UNMEASURED",
        "QUOTA_EXCEEDED",
        "RANGE_NOT_SATISFIABLE",
        "RECORD_GONE",
        "RECORD_INCOMPLETE",
        "REQUEST_ABORTED",
        "REQUEST_TIMEOUT",
        "RESULT_TOO_LARGE",
        "RESUME_DIVERGED",
        "ROUTE_NOT_FOUND",
        "RUN_CANCELLED",
        "RUN_ENDED",
        "RUN_FAILED",
        "RUN_NOT_ENDED",
        "RUN_NOT_FOUND",
        "SANDBOX_FAILED",
        "SANDBOX_NOT_CONFIGURED",
        "SLO_UNREACHABLE",
        "STACK_INSTALL_FAILED",
        "STACK_PORT_IN_USE",
        "STACK_SETTINGS_CHANGED",
        "STACK_START_FAILED",
        "STACK_UNSUPPORTED",
        "STREAM_CUT",
        "STREAM_LOST",
        "TOOLS_REFUSED",
        "TOOL_FAILED",
        "TOOL_SERVER_NOT_CONFIGURED",
        "UNAUTHENTICATED",
        "UNKNOWN_PLAN_VERSION",
        "UNSUPPORTED_CONTENT_TYPE",
        "WEBHOOK_REFUSED",
        "WEBHOOK_UNDELIVERED",
        "WORKER_LOST",
    }
)
"""Codes of Millrace's error table whose calls would fail again. A test compares them with the table."""
