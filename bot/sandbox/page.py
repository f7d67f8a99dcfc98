"""The visitor's page: a few files of ours, no build step, nothing from any other address."""

from pathlib import Path

from aiohttp import web

FILES = Path(__file__).parent / "web"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
# Trusted types forbid every way from text to markup (innerHTML and its kin): relayed text stays text even where a
# mistake of ours would let it through.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address it is opened with has the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Page:
    """Read once: a few small files that do not change while we run."""

    def __init__(self) -> None:
        self._files = {file.name: file.read_bytes() for file in FILES.iterdir() if file.suffix in KINDS}

    def add_to(self, app: web.Application) -> None:
        """`GET /` and `GET /page/{name}`: nothing in them is secret, so they need no token."""
        app.router.add_get("/", self._show)
        app.router.add_get("/page/{name}", self._show)

    async def _show(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        if name not in self._files:
            return web.Response(status=404)
        return web.Response(body=self._files[name], headers=HEADERS | {"Content-Type": KINDS[Path(name).suffix]})
