"""A slow reader slows the writer; closing lets the reader drain."""

import asyncio

import pytest

from aiopsd.channel import Channel, ChannelClosed


async def test_the_reader_gets_everything_in_order_and_then_the_end() -> None:
    channel: Channel[int] = Channel("numbers", 3)

    async def write() -> None:
        for number in range(10):
            await channel.put(number)
        await channel.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        assert [n async for n in channel] == list(range(10))


async def test_a_full_channel_makes_the_writer_wait() -> None:
    channel: Channel[int] = Channel("numbers", 2)
    await channel.put(1)
    await channel.put(2)
    third = asyncio.create_task(channel.put(3))
    await asyncio.sleep(0)
    assert channel.full
    assert not third.done()
    async for number in channel:
        assert number == 1
        break
    await third
    assert len(channel) == 2


async def test_put_after_close_is_refused_even_for_one_who_waited() -> None:
    channel: Channel[int] = Channel("numbers", 1)
    await channel.put(1)
    waiting = asyncio.create_task(channel.put(2))
    await asyncio.sleep(0)
    await channel.close()
    with pytest.raises(ChannelClosed):
        await waiting
    assert [n async for n in channel] == [1]
