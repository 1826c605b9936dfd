import asyncio


async def app():
    await asyncio.sleep(0.01)
    return 7


print(asyncio.run(app()))
print(asyncio.run(app()))
