"""Addresses of repositories, in every form that git has."""

import pytest

from puller.ports import Stalled
from puller.sources.git_address import Address, address_of
from tests.puller_edge.conftest import raised


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        (
            "git@git.test:team/x.git",
            Address(scheme="ssh", host="git.test", port=22, path="team/x.git"),
            "ssh://git.test/team/x.git",
        ),
        (
            "ssh://git@Git.test:2222/x.git",
            Address(scheme="ssh", host="git.test", port=2222, path="/x.git"),
            "ssh://git.test:2222/x.git",
        ),
        (
            "https://git.test/x.git?t=1",
            Address(scheme="https", host="git.test", port=443, path="/x.git"),
            "https://git.test/x.git",
        ),
        ("/srv/x.git", Address(scheme="file", path="/srv/x.git"), "/srv/x.git"),
        ("file:///srv/a%20b.git", Address(scheme="file", path="/srv/a b.git"), "/srv/a b.git"),
    ],
)
def test_addresses(url: str, address: Address, shown: str) -> None:
    """Every form that git has is understood, and shown without user or query."""
    assert (address, shown) == (address_of(url), address_of(url).shown)


@pytest.mark.parametrize("url", ["", "git", "git://git.test/x", "ext::sh -c id", "https://", "http://[", "ssh://h:x/"])
def test_addresses_that_are_refused(url: str) -> None:
    """Anything else needs a person."""
    raised(Stalled, lambda: address_of(url))
