import asyncio
import time


async def ticker():
    for i in range(3):
        print("tick", i)
        await asyncio.sleep(0.02)


async def main():
    task = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    print("blocking elsewhere")
    await asyncio.to_thread(time.sleep, 0.4)
    print("back")
    await task


asyncio.run(main())
