import asyncio
import threading


def outside(loop, future):
    loop.call_soon_threadsafe(future.set_result, "from a thread")


async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    thread = threading.Thread(target=outside, args=(loop, future))
    thread.start()
    print(await future)
    thread.join()


asyncio.run(main())
