"""A disk that fills up under a bot at work: the server is restarted, the change waits, and goes on once it can."""

import pytest
from invariants import list_servers
from living_disks import living_on_small_disk
from living_ground import Ground

from bot.demo.bugs import get_bug

AURA, DISPATCHER = get_bug("aura"), get_bug("dispatcher")


@pytest.mark.timeout(600)
def test_world_disk_full_state_and_build_folder_in_the_midst_of_a_build_delay_the_fix_and_no_restart(
    ground: Ground,
) -> None:
    with living_on_small_disk(ground, "state") as (realm, disk):
        realm.start()
        request = realm.crash(AURA)
        realm.answer(AURA, request)
        realm.wait_state("BUILDING")
        with disk.full():
            before = {each.pid for each in list_servers(realm.server_dir)}
            realm.tell_server(DISPATCHER.command)
            realm.wait(lambda: {each.pid for each in list_servers(realm.server_dir)} - before, "another server")
            realm.wait(lambda: "ake room" in realm.channel.slash("status").text, "the cure", every=0.5)
        realm.wait_fixed(AURA)
        realm.answer(DISPATCHER, realm.wait_request({request}))
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 2
