"""Waiting for a condition, in either face."""


async def until(runtime, holds, seconds=10.0):
    """Wait until `holds()`; AssertionError after `seconds`."""
    ends = runtime.monotonic() + seconds
    while not holds():
        assert runtime.monotonic() < ends, "it never came to hold"
        await runtime.sleep(0.02)
