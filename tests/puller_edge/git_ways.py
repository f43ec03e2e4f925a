"""Repositories, the ways to them, and what a source of them fetches."""

import asyncio

from puller.ports import Fetched, Unchanged
from puller.sources.git import GitSource
from puller.sources.git_access import GitLimits
from puller.sources.published_tree import document_path

HOST = "web-1.example"
PATH = document_path(HOST)
QUICK = GitLimits(connect_s=5, silence_s=5, total_s=20)
"""libssh2 counts whole seconds: a bound of one may end at once."""


def fetch(source: GitSource, tag: str = "") -> Fetched | Unchanged:
    return asyncio.run(source.fetch(tag))


def fetched(source: GitSource, tag: str = "") -> Fetched:
    result = fetch(source, tag)
    assert isinstance(result, Fetched)
    return result
