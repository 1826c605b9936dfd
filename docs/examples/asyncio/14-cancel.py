import asyncio


async def stubborn(begun):
    begun.set()
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        print("first wait: cancelled")
    await asyncio.sleep(0.01)  # swallowed, so this one works
    print("next wait: worked")


async def main():
    begun = asyncio.Event()
    task = asyncio.create_task(stubborn(begun))
    await begun.wait()
    task.cancel()
    await task
    print("task: finished")


asyncio.run(main())
