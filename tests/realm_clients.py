"""Those who speak to the sample realm in tests: a telnet operator (RA), SOAP, and players."""

import base64
import html
import http.client
import re
import socket
from dataclasses import dataclass
from xml.sax.saxutils import escape

USER = "operator"
PASSWORD = "Let-Me-In"


@dataclass(frozen=True)
class SoapAnswer:
    status: int
    # of HTTP
    text: str
    # the result, or the fault's text


class RaConsole:
    """A telnet operator who has connected; nothing is read or sent yet."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def read_until(self, end: str) -> str:
        """All text up to and with `end`; what came until the server closed, if it did."""
        received = b""
        while not received.endswith(end.encode()) and (byte := self._socket.recv(1)):
            received += byte
        return received.decode("latin-1")

    def read_to_close(self) -> str:
        return self.read_until("\0never")

    def send(self, line: str) -> None:
        self._socket.sendall(f"{line}\r\n".encode())

    def login(self, user: str = USER, password: str = PASSWORD) -> str:
        """The greeting, without the prompt; the refusal, if it is refused."""
        self.read_until("Username: ")
        self.send(user)
        self.read_until("Password: ")
        self.send(password)
        return self.read_until("TC>").removesuffix("TC>")

    def command(self, line: str) -> str:
        self.send(line)
        return self.read_until("TC>").removesuffix("TC>")

    def close(self) -> None:
        self._socket.close()


class PlayerClient:
    """A player at the world port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\n")

    def send(self, line: str) -> None:
        self._socket.sendall(f"{line}\n".encode())

    def read_line(self) -> str:
        """The next line; empty when the server has closed."""
        return self._lines.readline().rstrip("\r\n")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def ask_soap(port: int, command: str, user: str = USER, password: str = PASSWORD, timeout: float = 10) -> SoapAnswer:
    envelope = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns1="urn:TC">'
        f"<SOAP-ENV:Body><ns1:executeCommand><command>{escape(command)}</command></ns1:executeCommand></SOAP-ENV:Body>"
        "</SOAP-ENV:Envelope>"
    )
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "text/xml; charset=utf-8"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/", envelope.encode(), headers)
        reply = connection.getresponse()
        return SoapAnswer(reply.status, _read_text(reply.read().decode()))
    finally:
        connection.close()


def _read_text(document: str) -> str:
    """What stands in the result, or in the fault; empty where there is neither."""
    found = re.search(r"<(result|faultstring)>(.*?)</\1>", document, re.DOTALL)
    return html.unescape(found[2]) if found else ""
