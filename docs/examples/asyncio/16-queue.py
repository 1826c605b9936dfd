import asyncio


async def produce(queue):
    for i in range(5):
        await queue.put(i)
    await queue.put(None)  # asyncio.Queue.shutdown() came with Python 3.13


async def main():
    queue = asyncio.Queue(maxsize=2)
    producer = asyncio.create_task(produce(queue))
    while (item := await queue.get()) is not None:
        print(item)
    await producer


asyncio.run(main())
