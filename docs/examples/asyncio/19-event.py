import asyncio


async def runner(gun):
    await gun.wait()
    print("running")


async def main():
    gun = asyncio.Event()
    runners = [asyncio.create_task(runner(gun)) for _ in range(3)]
    await asyncio.sleep(0.01)
    print("go")
    gun.set()
    await asyncio.gather(*runners)


asyncio.run(main())
