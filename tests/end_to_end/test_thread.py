"""The thin thread: from a folder with a catalogue to a Valkey that answers, and to a line on the page."""

import json

from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World, only
from tests.servers.process import free_ports


def test_a_folder_becomes_a_running_valkey_and_a_line_on_the_page(world: World) -> None:
    """A catalogue in a folder is published to a folder, pulled from there, converged, recorded, reported and shown."""
    world.open()
    (port,) = free_ports(1)
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("web-1", "cache", port)})
    machine = world.host("web-1", directory_source=world.published)

    machine.start(world.processes)

    assert "Revision 1 applied and verified." == world.until_standing("web-1", "converged")
    assert "PONG" == redis_ask(port, "PING")
    local = json.loads(machine.run("status", "--json"))
    assert "directory" == local["status"]["source"]
    cache = only(local["status"]["services"], name="cache")
    assert (str(port), world.valkey.version) == (cache["recorded"]["parameters"]["port"], cache["recorded"]["version"])
    run = world.backend.ask("/v1/hosts/web-1/runs")["items"][-1]["run"]
    assert ["install", "configure", "start"] == [step["verb"] for step in run["steps"]]
    world.backend.sign_in_to_page()
    assert "Revision 1 applied and verified." in world.backend.page("/hosts/web-1")
    assert 'href="/hosts/web-1"' in world.backend.page("/")
