"""The reference engine's Python server on a free port; prints the port when it listens."""

import asyncio

import perspective
import tornado.httpserver
import tornado.netutil
import tornado.web
from perspective.handlers.tornado import PerspectiveTornadoHandler


async def main():
    server = perspective.Server()
    routes = [(r"/websocket", PerspectiveTornadoHandler, {"perspective_server": server})]
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    # Without this a message of more than 10 MiB closes the connection.
    application = tornado.web.Application(routes, websocket_max_message_size=1 << 31)
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
