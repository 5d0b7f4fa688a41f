"""Moments of this process, by two clocks."""

from __future__ import annotations

import time
from typing import NamedTuple

_ROUNDED_S = 0.1
"""What the wall clock may be ahead without having been set or the machine having been suspended."""


class Moment(NamedTuple):
    """A moment by two clocks.

    That of `time.monotonic` stands still while the machine is suspended, and the wall clock can be set back.
    """

    steady: float
    wall: float


def now() -> Moment:
    return Moment(time.monotonic(), time.time())


def age(of: Moment) -> float:
    """Seconds since then, by the clock that has gone on for longer: what began before an erasure must not look younger."""
    steady = time.monotonic() - of.steady
    wall = time.time() - of.wall
    return wall if wall - steady > _ROUNDED_S else steady
