"""The few things that differ between the two faces, in an asyncio and a threads form.

Stores and tiers are written once, as coroutines. In the async face they are awaited. In the blocking face `drive` sends None into
them once: their drivers block instead of suspending, so that one send finishes them. All that would make them suspend (sleeping,
locks, waiting for another caller, running several at once, background jobs) is asked of the `Runtime`.

deadline, replies, detached: what one caller waits for · protocol: `Runtime` and its parts · loop, threads: the two forms · jobs: their
supervisors · driving: `drive` · forks: the one count of forks · outages: what does not answer, said once
"""

from __future__ import annotations

from tierstore.runtime.deadline import Deadline
from tierstore.runtime.driving import drive, restart_when_interrupted
from tierstore.runtime.forks import generation
from tierstore.runtime.loop import AsyncioRuntime
from tierstore.runtime.protocol import Job, Runtime, Supervisor, Waiter
from tierstore.runtime.threads import ThreadsRuntime

__all__ = [
    "AsyncioRuntime",
    "Deadline",
    "Job",
    "Runtime",
    "Supervisor",
    "ThreadsRuntime",
    "Waiter",
    "drive",
    "generation",
    "restart_when_interrupted",
]
