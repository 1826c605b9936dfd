import asyncio


async def child():
    for i in range(3):
        print("child", i)
        await asyncio.sleep(0)


async def main():
    task = asyncio.create_task(child())
    for i in range(3):
        print("main", i)
        await asyncio.sleep(0)
    await task


asyncio.run(main())
