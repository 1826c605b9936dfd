import asyncio
import time


async def fetch(name, seconds):
    await asyncio.sleep(seconds)
    print(name)


async def main():
    start = time.monotonic()
    slow = asyncio.create_task(fetch("slow", 0.2))
    quick = asyncio.create_task(fetch("quick", 0.1))
    await slow
    await quick
    print(f"{time.monotonic() - start:.1f} s")


asyncio.run(main())
