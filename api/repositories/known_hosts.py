"""What is known of every host for a plan: what is published, and what it said last."""

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import host_document, host_status
from api.moments import moment
from api.plans.fleet_plan import HeldSecrets, Known
from api.repositories import secrets
from desired_state.document import Document
from desired_state.names import HostName
from desired_state.note import parse_note
from desired_state.report import Status

_DOCUMENT = msgspec.json.Decoder(Document)
_STATUS = msgspec.json.Decoder(Status)


async def everything(connection: AsyncConnection) -> dict[HostName, Known]:
    """All hosts that have a document or reported. The documents are our own: their signatures are not checked."""
    said = await connection.execute(select(host_status.c.host, host_status.c.status, host_status.c.seen_us))
    found = {row.host: Known(status=_STATUS.decode(row.status), seen_at=moment(row.seen_us)) for row in said}
    columns = (host_document.c.host, host_document.c.content_digest, host_document.c.digest, host_document.c.note)
    for row in await connection.execute(select(*columns)):
        found[row.host] = msgspec.structs.replace(
            found.get(row.host, Known()),
            document=_DOCUMENT.decode(parse_note(row.note).text),
            content_digest=row.content_digest,
            digest=row.digest,
        )
    return found


async def held_secrets(connection: AsyncConnection) -> HeldSecrets:
    """The secrets that there are, and to whom they can be sealed."""
    versions = await secrets.known(connection)
    return HeldSecrets(versions=versions, enrolled=(await secrets.sealing_keys(connection)).keys())
