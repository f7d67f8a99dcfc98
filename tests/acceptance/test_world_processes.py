"""A realm that lives beside a console that hears nothing, or with its port taken: what happens, and what is said."""

import os
import socket

import pytest
from living_ground import Ground
from living_realm import living

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


def test_world_process_deaf_console_holds_up_no_restart_and_is_said(ground: Ground) -> None:
    """Its port is open, but whoever speaks to it gets no answer."""
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        living(ground, SERVER_CONSOLE=f"soap://127.0.0.1:{deaf.getsockname()[1]}") as realm,
    ):
        realm.start()
        first = realm.server_pid
        realm.channel.press(realm.channel.slash("restart-server", delay="1s", reason="new conf"), "Restart")
        realm.wait(lambda: realm.server_pid not in (None, first), "another server")
        assert realm.experience() > 0, "it was saved on the signal"
        assert "the server's console did not do `saveall`" in realm.channel.slash("status").text


def test_world_process_port_that_another_has_is_told_once_and_its_holder_is_left_alone(ground: Ground) -> None:
    with living(ground) as realm:
        with socket.create_server(("127.0.0.1", realm.world_port)):
            realm.start_bot()
            news = realm.wait_news(f"Server does not start: port {realm.world_port} is in use")
            assert f"Process {os.getpid()}" in news.text
            realm.wait(lambda: realm.count_starts() > 2, "further tries")
        realm.wait(lambda: realm.server_pid, "the server, once its port is free")
        realm.wait_news("Server back")
        told = [each.title for each in realm.channel.news()]
        assert told == [f"Server does not start: port {realm.world_port} is in use", "Server back"]
