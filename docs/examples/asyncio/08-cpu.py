import asyncio
import time

ticks = 0


async def ticker():
    global ticks
    while True:
        await asyncio.sleep(0.005)
        ticks += 1


async def compute(polite):
    before, start = ticks, time.monotonic()
    while time.monotonic() - start < 0.2:
        sum(range(1000))
        if polite:
            await asyncio.sleep(0)
    return ticks - before


async def main():
    task = asyncio.create_task(ticker())
    await asyncio.sleep(0.02)
    print("rude:", "some" if await compute(False) else "no", "ticks meanwhile")
    print("polite:", "some" if await compute(True) else "no", "ticks meanwhile")
    task.cancel()


asyncio.run(main())
