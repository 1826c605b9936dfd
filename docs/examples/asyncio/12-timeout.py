import asyncio


async def nap(seconds):
    await asyncio.sleep(seconds)
    return 7


async def main():
    print(await asyncio.wait_for(nap(0.01), 5))
    try:
        async with asyncio.timeout(0.05):
            await nap(5)
            print("not reached")
    except TimeoutError:
        print("too slow")


asyncio.run(main())
