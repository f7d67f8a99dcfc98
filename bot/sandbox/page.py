"""The visitor's page. For now it names the three calls; the real page takes this place."""

from aiohttp import web

TEXT = """Spirit Healer sandbox.

The channel is read with GET /sandbox/state and used with POST /sandbox/slash and POST /sandbox/click,
each with the header X-Sandbox-Token. A page that shows it comes here.
"""


async def show_page(request: web.Request) -> web.Response:
    return web.Response(text=TEXT)
