import asyncio


async def sibling():
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        print("sibling: told to stop")
        raise


async def failing():
    await asyncio.sleep(0.05)
    raise ValueError


async def main():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sibling())
            group.create_task(failing())
    except* ValueError:
        print("group: failed")


asyncio.run(main())
