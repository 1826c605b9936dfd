import asyncio
import time


async def fetch(name, seconds):
    await asyncio.sleep(seconds)
    print(name)


async def main():
    start = time.monotonic()
    await fetch("slow", 0.2)
    await fetch("quick", 0.1)
    print(f"{time.monotonic() - start:.1f} s")


asyncio.run(main())
