"""The server's SOAP console (TRINITYCORE.md, 4): HTTP Basic, `executeCommand`, one request at a time."""

from __future__ import annotations

import base64
import html
import http.client
import re
import socket
import time
from xml.sax.saxutils import escape

from pipeline.adapters.console_command import CommandFailed, check_command, check_login
from pipeline.errors import ConsoleUnavailable

_MOST = 1 << 20  # bytes of an answer
_RESULT = re.compile(r"<(?:\w+:)?result\b[^>]*?(?:/>|>(.*?)</(?:\w+:)?result>)", re.DOTALL)
_FAULT = re.compile(r"<(?:[\w-]+:)?faultstring\b[^>]*?>(.*?)</(?:[\w-]+:)?faultstring>", re.DOTALL)
_OTHER_NAMESPACE = ("not implemented", "namespace")  # gSOAP's words for a method of another namespace
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns1="{namespace}">'
    "<SOAP-ENV:Body><ns1:executeCommand><command>{command}</command></ns1:executeCommand></SOAP-ENV:Body>"
    "</SOAP-ENV:Envelope>\n"
)


class SoapConsole:
    """`ports.Console` over SOAP. `user` needs security level 3 for this realm."""

    def __init__(self, host: str, port: int, user: str, password: str, timeout: float = 10.0) -> None:
        self._address = (host, port)
        self._login = (user, password)
        self._timeout = timeout
        self._namespaces = ["urn:TC", "urn:AC"]  # the one that answered comes first

    def __repr__(self) -> str:
        return f"soap://{self._address[0]}:{self._address[1]}"

    def execute(self, command: str) -> str:
        """The command's output. Raises CommandFailed, ConsoleUnavailable."""
        check_command(command)
        check_login(*self._login)
        try:
            return self._ask(self._namespaces[0], command)
        except CommandFailed as fault:
            if not any(word in str(fault).lower() for word in _OTHER_NAMESPACE):
                raise
        answer = self._ask(self._namespaces[1], command)
        self._namespaces.reverse()
        return answer

    def _ask(self, namespace: str, command: str) -> str:
        body = _ENVELOPE.format(namespace=namespace, command=escape(command)).encode("utf-8")
        try:
            status, text = self._post(body)
        except TimeoutError as fault:
            raise ConsoleUnavailable(f"{self!r} did not answer within {self._timeout:g} s") from fault
        except (OSError, http.client.HTTPException) as fault:
            raise ConsoleUnavailable(f"{self!r} cannot be reached: {_describe(fault)}") from None
        return self._read(status, text)

    def _post(self, body: bytes) -> tuple[int, str]:
        login = base64.b64encode(":".join(self._login).encode("utf-8")).decode("ascii")
        headers = {
            "Authorization": f"Basic {login}",
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": '"executeCommand"',
            "Connection": "close",
        }
        deadline = time.monotonic() + self._timeout
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, _read_body(answer, deadline)
        finally:
            connection.close()

    def _read(self, status: int, text: str) -> str:
        match status:
            case 200 if (found := _RESULT.search(text)) is not None:
                return html.unescape(found[1] or "")
            case 401:
                raise ConsoleUnavailable(f"{self!r} refused the login: check SERVER_CONSOLE_USER and its password")
            case 403:
                raise ConsoleUnavailable(f"{self!r} refused the account: it needs security level 3 for this realm")
        fault = _FAULT.search(text)
        if fault is not None:
            raise CommandFailed(html.unescape(fault[1]).strip() or "the server refused the command without a word")
        raise ConsoleUnavailable(f"{self!r} answered with HTTP {status} and nothing that is known")


def _read_body(answer: http.client.HTTPResponse, deadline: float) -> str:
    chunks = b""
    while chunk := answer.read1(65536):
        chunks += chunk
        if len(chunks) > _MOST:
            raise http.client.HTTPException("it answers without end")
        if time.monotonic() > deadline:
            raise TimeoutError
    return chunks.decode("utf-8", "replace")


def _describe(fault: Exception) -> str:
    if isinstance(fault, socket.gaierror):
        return "the name of its host is not known"
    if isinstance(fault, OSError):
        return fault.strerror or str(fault) or type(fault).__name__
    return str(fault) or type(fault).__name__
