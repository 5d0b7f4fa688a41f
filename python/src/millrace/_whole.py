"""Whole numbers of any type."""

from __future__ import annotations

from typing import SupportsInt


def whole(number: SupportsInt) -> int:
    """A number as an `int`: one of NumPy, or a float without a fraction, too. Raises `ValueError` for others."""
    try:
        made = int(number)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{number!r} is not a whole number") from error
    if made != number:
        raise ValueError(f"{number!r} is not a whole number")
    return made
