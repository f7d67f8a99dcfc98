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


def add_to(app: web.Application) -> None:
    """`GET /` and `GET /page/{name}`: nothing in them is secret, so they need no token."""
    app.router.add_get("/", _show_page)
    app.router.add_get("/page/{name}", _show_file)


async def _show_page(request: web.Request) -> web.Response:
    return _serve(FILES / "index.html")


async def _show_file(request: web.Request) -> web.Response:
    """Only what lies in our folder under exactly this name."""
    name = request.match_info["name"]
    found = next((file for file in FILES.iterdir() if file.name == name and file.suffix in KINDS), None)
    return web.Response(status=404) if found is None else _serve(found)


def _serve(file: Path) -> web.Response:
    return web.Response(body=file.read_bytes(), headers=HEADERS | {"Content-Type": KINDS[file.suffix]})
