import asyncio


async def answer():
    print("running")
    return 42


async def main():
    coroutine = answer()
    forgotten = answer()  # RuntimeWarning: never awaited
    print("created")
    print(await coroutine)


asyncio.run(main())
