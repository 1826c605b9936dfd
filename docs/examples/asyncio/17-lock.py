import asyncio

total = 0


async def add(lock):
    global total
    for _ in range(1000):
        async with lock:
            total += 1


async def main():
    lock = asyncio.Lock()
    await asyncio.gather(*(add(lock) for _ in range(4)))
    print(total)


asyncio.run(main())
