"""Room on the disk: programs and scripts that no document of this host speaks of any more."""

import asyncio
from collections.abc import Collection

from desired_state.acceptance import Accepted
from puller.reconciling.parts import Parts

KEEP_UNUSED_BYTES = 1 << 30
"""So much of earlier programs stays, for a way back without a download."""


async def forget_unused(parts: Parts, held: Collection[Accepted]) -> None:
    """Keeps what the held documents name. Slow disks: in a thread; and only when nothing is fetched or unpacked."""
    documents = [accepted.document for accepted in held]
    bundles = {document.bundle.digest for document in documents}
    services = [service for document in documents for service in document.services]
    packages = {package.digest for service in services for package in service.packages.values()}
    await asyncio.to_thread(parts.artifacts.sweep, bundles | packages, keep_bytes=KEEP_UNUSED_BYTES)
    await asyncio.to_thread(parts.bundles.sweep, bundles)
