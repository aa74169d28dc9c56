# SPDX-License-Identifier: Apache-2.0
"""The one way to wait: for a condition, with a deadline, never for time."""

from __future__ import annotations

import os
import time
from typing import Callable, TypeVar

T = TypeVar("T")

# One knob for slow machines and sanitizer builds; it costs nothing where a
# condition comes true, so it is generous. (Not more: 20 s times this is less than
# the minute of the slowest timers, which some tests want out of the way.)
SCALE = float(os.environ.get("TALLYMAN_TEST_PATIENCE", "2"))


class TookTooLong(AssertionError):
    pass


def wait_until(
    condition: Callable[[], T],
    what: str,
    deadline: float = 20.0,
    context: Callable[[], str] | None = None,
) -> T:
    """The first true value of `condition`, looked at every few milliseconds.

    `context` adds to the message of a failure, the agent's log for instance.
    """
    end = time.monotonic() + deadline * SCALE
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            more = f"\n{context()}" if context else ""
            raise TookTooLong(f"after {deadline * SCALE:.0f} s not: {what}{more}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
