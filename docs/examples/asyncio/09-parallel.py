import asyncio
from concurrent.futures import ProcessPoolExecutor


def count_primes(start):
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(max(start, 2), start + 20000))


async def main():
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor() as pool:
        parts = [loop.run_in_executor(pool, count_primes, i * 20000) for i in range(4)]
        print(sum(await asyncio.gather(*parts)), "primes")


if __name__ == "__main__":
    asyncio.run(main())
