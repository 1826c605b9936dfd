import asyncio


async def save(begun):
    begun.set()
    await asyncio.sleep(0.05)
    print("saved")


async def request(begun):
    await asyncio.shield(save(begun))


async def main():
    begun = asyncio.Event()
    task = asyncio.create_task(request(begun))
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("request: cancelled")
    await asyncio.sleep(0.2)  # without this, save() would be lost


asyncio.run(main())
