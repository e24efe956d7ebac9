"""What a task waits for while another does the work: `_native.LoopReply`, a future in asyncio's eyes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest

from tierstore._native import LoopReplies
from tierstore.errors import TimeoutError
from tierstore.runtime import AsyncioRuntime
from tierstore.runtime.replies import late

LONG_S = 60.0


def in_loop(story):
    """Run `story(replies, now)` on a loop of its own."""

    async def run():
        loop = asyncio.get_running_loop()
        return await story(LoopReplies(loop, late), loop.time)

    return asyncio.run(run())


async def waiting(reply):
    return await reply


def test_a_value_is_handed_over_once():
    async def story(replies, now):
        for value in (None, "value"):
            reply = replies.reply_until(now() + LONG_S)
            task = asyncio.create_task(waiting(reply))
            await asyncio.sleep(0)
            assert reply.value is None
            assert reply.resolve(value)
            assert not reply.resolve("another")
            assert await task == value
            assert reply.value == value

    in_loop(story)


def test_one_resolved_before_it_is_awaited_does_not_suspend():
    async def story(replies, now):
        reply = replies.reply_until(now() + LONG_S)
        reply.resolve("value")
        with pytest.raises(StopIteration) as stop:
            waiting(reply).send(None)
        assert stop.value.value == "value"

    in_loop(story)


def test_all_that_are_resolved_together_are_woken_in_their_order():
    async def story(replies, now):
        woken, made = [], [replies.reply_until(now() + LONG_S) for _ in range(100)]
        mark = contextvars.ContextVar("mark")

        async def wait(number):
            mark.set(number)
            await made[number]
            woken.append((number, mark.get()))

        tasks = [asyncio.create_task(wait(number)) for number in range(100)]
        await asyncio.sleep(0)
        for reply in made:
            reply.resolve(None)
        assert woken == []
        await asyncio.gather(*tasks)
        assert woken == [(number, number) for number in range(100)]

    in_loop(story)


def test_each_is_late_at_its_own_deadline():
    async def story(replies, now):
        deadlines = [now() + seconds for seconds in (LONG_S, 0.05, 0.02, 0.02, -1.0)]
        ends = {}

        async def wait(number):
            with pytest.raises(TimeoutError):
                await replies.reply_until(deadlines[number])
            ends[number] = now()

        first = asyncio.create_task(wait(0))
        await asyncio.gather(*(wait(number) for number in range(1, 5)))
        assert all(ends[number] >= deadlines[number] - 0.01 for number in range(1, 5))
        assert not first.done()
        first.cancel()

    in_loop(story)


def test_a_late_reply_takes_no_value():
    async def story(replies, now):
        reply = replies.reply_until(now())
        with pytest.raises(TimeoutError):
            await reply
        assert not reply.resolve("value")
        assert reply.value is None

    in_loop(story)


def test_cancelling_its_task_ends_the_wait():
    async def story(replies, now):
        reply = replies.reply_until(now() + LONG_S)
        task = asyncio.create_task(waiting(reply))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not reply.resolve("value")

    in_loop(story)


def test_a_value_that_came_together_with_the_cancellation_can_be_seen():
    async def story(replies, now):
        reply = replies.reply_until(now() + LONG_S)
        task = asyncio.create_task(waiting(reply))
        await asyncio.sleep(0)
        reply.resolve("lane")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert reply.value == "lane"

    in_loop(story)


def test_one_that_ends_the_loop_leaves_the_others_to_be_woken():
    loop = asyncio.new_event_loop()
    replies = LoopReplies(loop, late)
    made = [replies.reply_until(loop.time() + LONG_S) for _ in range(3)]
    ended = []

    async def wait(number):
        await made[number]
        if number == 0:
            raise KeyboardInterrupt
        ended.append(number)

    tasks = [loop.create_task(wait(number)) for number in range(3)]
    loop.call_later(0, lambda: [reply.resolve(None) for reply in made])
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_until_complete(asyncio.gather(*tasks[1:]))
    assert ended == [1, 2]
    assert isinstance(tasks[0].exception(), KeyboardInterrupt)
    loop.close()


def test_a_second_task_that_waits_is_woken_too():
    async def story(replies, now):
        reply = replies.reply_until(now() + LONG_S)
        tasks = [asyncio.create_task(waiting(reply)) for _ in range(2)]
        await asyncio.sleep(0)
        reply.resolve("value")
        assert await asyncio.gather(*tasks) == ["value", "value"]

    in_loop(story)


def test_wait_for_and_debug_mode_know_it():
    async def story():
        replies = LoopReplies(asyncio.get_running_loop(), late)
        reply = replies.reply_until(asyncio.get_running_loop().time() + LONG_S)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting(reply), 0.01)
        assert not reply.resolve(None)

    asyncio.run(story(), debug=True)


def test_a_loop_with_waiting_replies_is_collected():
    loop = asyncio.new_event_loop()
    replies = LoopReplies(loop, late)
    reply = replies.reply_until(loop.time() + LONG_S)
    loop.close()
    gone = weakref.ref(loop)
    del loop, replies, reply
    gc.collect()
    assert gone() is None


def test_the_runtime_counts_by_its_deadline():
    async def story():
        runtime = AsyncioRuntime()
        with pytest.raises(TimeoutError):
            await runtime.reply(runtime.deadline(0.01))

    asyncio.run(story())
