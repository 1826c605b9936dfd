#!/usr/bin/python3
"""An echo server of asyncio's, by a Protocol, which is its quickest way.

    asyncio_echo.py [uvloop]        on uvloop instead of its own loop; Debian's Python has it

Says "asyncio VERSION PORT", or "uvloop VERSION PORT", and serves until it is killed."""
import asyncio
import platform
import socket
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.transport.write(data)


async def serve(name, version):
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print(name, version, server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if "uvloop" in sys.argv[1:]:
    import uvloop

    uvloop.install()
    asyncio.run(serve("uvloop", uvloop.__version__))
else:
    asyncio.run(serve("asyncio", platform.python_version()))
