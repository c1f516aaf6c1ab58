"""The page of a session on this machine: who may ask, what is sent, and when it ends.

It listens on 127.0.0.1 alone. The path of the page begins with a random token. A request is answered if its path has
the token and its Host is this server, and a socket if its Origin is this server's page as well: another page in the
same browser has neither. The page may load nothing from elsewhere.
"""

import asyncio
import contextlib
import secrets
import socket
import webbrowser
from importlib import resources
from typing import Any

from mckean.checks import require
from mckean.explore.conversation import LONGEST_MESSAGE, Conversation
from mckean.explore.reproduction import fragment
from mckean.explore.session import Session, require_session

_TYPES = {"page.html": "text/html; charset=utf-8", "explore.js": "text/javascript; charset=utf-8"}
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self' ws://{host}; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
# Codes of a socket that is closed: another page drives; the browser has left the page.
_TAKEN, _LEFT = 4001, (1000, 1001)
# Seconds in which a page that was left may be loaded anew, and one that was cut off may come back.
_ANEW, _BACK = 3.0, 60.0


def serve(session: Session, *, port: int = 0, browser: bool = True, shown: int = 100_000, state: str = "") -> None:
    """Show a session on a page of this machine, until the page is closed, or Ctrl-C.

    **Arguments:**

    - `session`: the session.
    - `port`: of 127.0.0.1. Default: 0, any that is free.
    - `browser`: whether to open the page; its address is printed anyway. Default: yes.
    - `shown`: how many of the particles are drawn. Default: 100 000.
    - `state`: a text that the page has exported, to begin with. Default: none.

    **Raises:** `ValueError` where what it needs is not installed, and for a port that is taken.
    """
    require_session(session)
    require_installed()
    import uvicorn

    conversation = Conversation(session, shown)
    listening = _listen(port)
    host = host_of(listening.getsockname()[1])
    site = Site(conversation, host)
    settings: dict[str, Any] = {"ws_max_size": LONGEST_MESSAGE, "ws_per_message_deflate": False, "lifespan": "off"}
    settings |= {"log_level": "error", "access_log": False, "server_header": False, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(site.application(), ws="websockets-sansio", **settings))
    site.end = lambda: setattr(server, "should_exit", True)
    address = f"http://{host}/{site.token}/" + (f"#{state.removeprefix('#')}" if state else "")
    print(f"{address}\nClose the page or press Ctrl-C to end.", flush=True)
    if browser:
        webbrowser.open(address)
    with listening, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    with contextlib.suppress(ValueError):
        print(f"The state at the end, for --state:\n{fragment(site.conversation.session)}", flush=True)


def require_installed() -> None:
    """**Raises** `ValueError` where the server's packages are missing, with the extra that brings them."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"the explorer needs {error.name}, which is not installed: pip install 'mckean[explore]' brings it."
        ) from error


def host_of(port: int) -> str:
    """The server as a browser names it, without the port that is HTTP's own."""
    return "127.0.0.1" if port == 80 else f"127.0.0.1:{port}"


def _listen(port: int) -> socket.socket:
    require(isinstance(port, int) and 0 <= port < 2**16, f"a port is an integer from 0 to 65535, not {port!r}.")
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        # Who is told of the address before the server has begun waits.
        listening.listen()
    except OSError as error:
        listening.close()
        raise ValueError(f"the port {port} cannot be used: {error.strerror or error}.") from error
    return listening


class Site:
    """What is sent to whom. One socket at a time drives the conversation: the newest, as a page that is loaded anew."""

    def __init__(self, conversation: Conversation, host: str):
        self.conversation, self.host = conversation, host
        self.token = secrets.token_urlsafe(24)
        self.end = lambda: None
        self._driving: Any = None
        self._left = 0
        self._turn = asyncio.Lock()

    def application(self) -> Any:
        """The application in the form of ASGI."""
        from starlette.applications import Starlette
        from starlette.routing import Route, WebSocketRoute

        return Starlette(
            routes=[
                Route("/{token}/", self._file),
                Route("/{token}/{name}", self._file),
                WebSocketRoute("/{token}/socket", self._socket),
            ]
        )

    def _known(self, request: Any) -> bool:
        token = request.path_params.get("token", "")
        right = secrets.compare_digest(token.encode(), self.token.encode())
        return right and request.headers.get("host") == self.host

    async def _file(self, request: Any) -> Any:
        from starlette.responses import Response

        name = request.path_params.get("name", "page.html")
        if not self._known(request):
            return Response("This page has another address.", 403)
        if name not in _TYPES:
            return Response("There is no such page.", 404)
        headers = {
            "Content-Security-Policy": _POLICY.format(host=self.host),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        return Response(text(name), media_type=_TYPES[name], headers=headers)

    async def _socket(self, websocket: Any) -> None:
        from starlette.websockets import WebSocketDisconnect

        if not self._known(websocket) or websocket.headers.get("origin") != f"http://{self.host}":
            await websocket.close()
            return
        await websocket.accept()
        before, self._driving = self._driving, websocket
        if before is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await before.close(_TAKEN, "another page drives")
        code = None
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    code = message.get("code")
                    break
                # A step may take long, and the socket must hear meanwhile that it is closed.
                async with self._turn:
                    answer = await asyncio.to_thread(self.conversation.answer, message.get("text"))
                await websocket.send_bytes(answer)
        except (WebSocketDisconnect, RuntimeError) as stop:
            code = getattr(stop, "code", None)
        finally:
            self._leave(websocket, code)

    def _leave(self, websocket: Any, code: int | None) -> None:
        """A page that is closed ends the session, unless it is loaded anew; one that is cut off has more time."""
        if self._driving is not websocket:
            return
        self._driving = None
        self._left += 1
        wait = _ANEW if code in _LEFT else _BACK
        asyncio.get_running_loop().call_later(wait, self._end_if_alone, self._left)

    def _end_if_alone(self, left: int) -> None:
        """End unless a page has come since so many have left."""
        if self._driving is None and left == self._left:
            self.end()


def text(name: str) -> str:
    """A file of the page, as it is in the package."""
    return resources.files("mckean.explore").joinpath(name).read_text(encoding="utf-8")
