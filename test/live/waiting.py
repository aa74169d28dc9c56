# SPDX-License-Identifier: Apache-2.0
"""How the live tests wait, skip and fail."""

import time
from typing import Callable


class Skipped(Exception):
    """Cannot be had on this machine; the text says why."""


class Failed(Exception):
    """It was had, and what came of it is wrong."""


def wait_until(what: str, true: Callable[[], object], seconds: float = 60) -> object:
    """Asks until the answer is true; that it never was is a failure."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return answer


def require(true: object, what: str) -> None:
    if not true:
        raise Failed(what)
