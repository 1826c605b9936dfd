import asyncio

inside = most = 0


async def visit(room):
    global inside, most
    async with room:
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1


async def main():
    room = asyncio.Semaphore(2)
    await asyncio.gather(*(visit(room) for _ in range(6)))
    print("most at once:", most)


asyncio.run(main())
