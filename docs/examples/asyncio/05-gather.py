import asyncio


async def square(n):
    await asyncio.sleep(0.05)
    return n * n


async def main():
    print(*await asyncio.gather(square(1), square(2), square(3)))


asyncio.run(main())
