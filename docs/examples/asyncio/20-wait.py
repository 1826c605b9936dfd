import asyncio


async def mirror(seconds):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print("loser: told to stop")
        raise


async def main():
    tasks = [asyncio.create_task(mirror(s)) for s in (5, 0.05)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print("first: mirror", tasks.index(done.pop()))
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


asyncio.run(main())
