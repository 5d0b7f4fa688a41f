"""Settings from the environment, as the TypeScript processes of a deployment read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import SettingError

DEFAULTS = {
    "MILLRACE_HOME": ".millrace",
    "MILLRACE_MAX_STAGE_MEDIA_BYTES": "2147483648",
    "MILLRACE_TENANT_ARTIFACT_BYTES": "34359738368",
    "MILLRACE_DISK_RESERVE_BYTES": "1073741824",
    "MILLRACE_SHUTDOWN_GRACE_MS": "10000",
    "MILLRACE_PORT_BASE": "7400",
    "MILLRACE_REDIS_TIMEOUT_MS": "250",
}
"""A test compares them with docs/reference/settings.md."""
_WORKERS_SHARE_OF_RESERVE = 4
_TEMPORAL_PORT_OFFSET = 2
_REDIS_PORT_OFFSET = 4
_ADDRESSES = ("tcp://", "udp://", "sctp://")
"""How Kubernetes and Docker begin the variable of a service that is named like that of a port."""


@dataclass(frozen=True)
class Settings:
    """What a worker of Python stages needs to know of its deployment."""

    artifacts: Path
    most_media_bytes: int
    tenant_bytes: int | None
    reserve_bytes: int
    grace_s: float
    embedded_temporal: str
    state_store: str
    """URL of the Redis for the state of runs."""
    redis_timeout_s: float


def read_settings(env: Mapping[str, str] | None = None, *, home: str | None = None) -> Settings:
    """The settings of an environment, by default of this process. Raises `SettingError` naming the variable."""
    given = os.environ if env is None else env
    env = {name: value for name, value in given.items() if value.strip()}
    base = _number(env, "MILLRACE_PORT_BASE")
    port = _number(env, "MILLRACE_TEMPORAL_PORT", base + _TEMPORAL_PORT_OFFSET)
    redis = _number(env, "MILLRACE_REDIS_PORT", base + _REDIS_PORT_OFFSET)
    return Settings(
        artifacts=Path(home or env.get("MILLRACE_HOME") or DEFAULTS["MILLRACE_HOME"]) / "artifacts",
        most_media_bytes=_number(env, "MILLRACE_MAX_STAGE_MEDIA_BYTES"),
        tenant_bytes=_number(env, "MILLRACE_TENANT_ARTIFACT_BYTES") or None,
        reserve_bytes=_number(env, "MILLRACE_DISK_RESERVE_BYTES") // _WORKERS_SHARE_OF_RESERVE,
        grace_s=_number(env, "MILLRACE_SHUTDOWN_GRACE_MS") / 1_000,
        embedded_temporal=f"127.0.0.1:{port}",
        state_store=env.get("REDIS_URL") or f"redis://127.0.0.1:{redis}",
        redis_timeout_s=_number(env, "MILLRACE_REDIS_TIMEOUT_MS") / 1_000,
    )


def _number(env: Mapping[str, str], name: str, default: int | None = None) -> int:
    given = env.get(name)
    if given and name.endswith("_PORT") and given.startswith(_ADDRESSES):
        # A service called millrace-redis has MILLRACE_REDIS_PORT=tcp://10.0.0.11:6379, which is no setting.
        given = None
    text = given or (DEFAULTS[name] if default is None else str(default))
    if not text.isascii() or not text.isdigit():
        raise SettingError(f'{name} must be a whole number, not "{text}"')
    return int(text)
