"""A backend or a machine that was restored from a backup: the host says again what it is, once."""

from pathlib import Path

from tests.fakes.puller import FakePuller, on_a_host, running


def test_a_backend_that_was_set_back_hears_the_status_again(tmp_path: Path) -> None:
    """Its database knows less than the host has told: the status is reported under a new number."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        told = p.sink.last
        p.sink.newest = 0
        p.sink.reports.clear()
        await p.run_pass()
        assert (told.seq + 1, told.status) == (p.sink.last.seq, p.sink.last.status)

    on_a_host(tmp_path, story)


def test_a_machine_that_was_set_back_counts_on_from_what_the_backend_knows(tmp_path: Path) -> None:
    """Its own numbers are below those that the backend knows: it goes on above them, and is heard."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.sink.newest = 500
        await p.run_pass()
        assert 501 == p.sink.last.seq
        p.host.kill("one")
        await p.run_pass()
        assert 502 == p.sink.last.seq

    on_a_host(tmp_path, story)


def test_two_machines_with_one_identity_do_not_answer_each_other_for_ever(tmp_path: Path) -> None:
    """Whatever the backend goes by, the status is said again once an hour at most."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        before = len(p.sink.reports)
        for number in range(1, 20):
            p.sink.newest = 1000 * number
            await p.run_pass()
        assert before + 1 == len(p.sink.reports)

    on_a_host(tmp_path, story)
