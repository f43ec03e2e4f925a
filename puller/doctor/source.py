"""The source of documents: is it reached, and does it give what this host may accept?"""

import shutil
import tempfile
from pathlib import Path

from msgspec.structs import replace

from desired_state.acceptance import Accepted, RefusalReason, Refused, accept, expired, reopen
from desired_state.document import NotADocument, decode
from desired_state.note import NoteRefused, parse_note
from puller.doctor.case import Case
from puller.doctor.finding import Finding, NotNow, fault, ok, warning
from puller.ports import Fetched, Source, Stalled, Unavailable
from puller.store import documents
from puller.store.documents import Held

SOON_PARTS = 4
"""A document that has used up more than three quarters of its time is soon to expire: publishing is stuck."""


async def source(case: Case) -> list[Finding]:
    """Whether a document can be had there at all."""
    settings = case.known_settings()
    try:
        fetched = await case.fetched()
    except (Stalled, Unavailable) as error:
        return [fault(str(error), "see the findings on names, connections and certificates; correct `[source]`")]
    if fetched.data is None:
        return [
            fault(f"{fetched.origin}: has no document for {settings.host}", "publish; is the branch or folder right?")
        ]
    return [ok(f"{settings.source.type}: {fetched.origin}")]


async def fetch(case: Case) -> Fetched:
    """The source's bytes, fetched beside the agent's own clone. Raises NotNow, Stalled, Unavailable."""
    settings = case.known_settings()
    if settings.source.type == "http":
        poll = await case.poll()
        if poll.error is not None:
            raise poll.error
        there = poll.answer is not None and poll.answer.status == 200
        return Fetched(data=poll.answer.body if poll.answer and there else None, origin=poll.asked)
    if settings.source.type == "directory":
        from puller.sources.directory import DirectorySource  # noqa: PLC0415

        return await _fetched(DirectorySource(settings.source.path or Path("/"), host=settings.host))
    return await _from_git(case)


async def _from_git(case: Case) -> Fetched:
    from puller.sources.git import GitSource  # noqa: PLC0415
    from puller.sources.git_access import GitLimits  # noqa: PLC0415
    from puller.wiring import git_access  # noqa: PLC0415

    if any(target.role == "git" for target in case.targets):
        await case.reachable(case.target("git"))
    settings = case.known_settings()
    limits = GitLimits(connect_s=5, silence_s=8, total_s=12)
    folder = Path(tempfile.mkdtemp(prefix="towline-doctor-"))
    try:
        return await _fetched(
            GitSource(replace(git_access(settings), limits=limits), host=settings.host, folder=folder)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _fetched(from_: Source) -> Fetched:
    try:
        given = await from_.fetch("")
    finally:
        await from_.close()
    if not isinstance(given, Fetched):
        raise Unavailable("the source says that nothing changed since nothing")
    return given


async def document(case: Case) -> list[Finding]:
    """What the source gives, by the rules of acceptance and the ratchet of this host."""
    try:
        fetched = await case.fetched()
    except (Stalled, Unavailable) as error:
        raise NotNow("the source gives no document") from error
    try:
        with case.database() as db:
            ratchet = documents.ratchet(db)
    except NotNow:
        ratchet = None
    given = accept(
        fetched.data, trust=case.trust(), host=case.known_settings().host, ratchet=ratchet, now=case.clock.now()
    )
    found = [_judged(given, ratchet.revision if ratchet else None)]
    if isinstance(given, Accepted):
        found += await _frozen(case, given)
    return found


def _judged(given: Accepted | Refused, highest: int | None) -> Finding:
    if isinstance(given, Accepted):
        revision = given.document.revision
        if highest is not None and revision > highest:
            return ok(f"the source gives revision {revision}, newer than {highest}: the next pass takes it")
        return ok(f"the source gives revision {revision}, which this host may accept")
    if given.reason is RefusalReason.MISSING:
        return warning(f"{given.reason}: {given.message}", "publish a document for this host")
    advice = "set this host's clock right, or publish" if given.reason is RefusalReason.EXPIRED else "publish anew"
    return fault(f"the source's document is refused ({given.reason}): {given.message}", advice)


async def _frozen(case: Case, given: Accepted) -> list[Finding]:
    """Whether the backend has a newer document than another source gives."""
    if case.known_settings().source.type == "http" or not case.known_settings().backend_url:
        return []
    poll = await case.poll()
    if poll.answer is None or poll.answer.status != 200:
        return []
    try:
        newest = decode(parse_note(poll.answer.body).text).revision
    except (NotADocument, NoteRefused):
        return []
    if newest <= given.document.revision:
        return []
    return [
        warning(
            f"the source gives revision {given.document.revision}, the backend has {newest}: it is frozen or late",
            "wait for the next publishing; then look at the git host, its mirrors and the backend's publisher",
        )
    ]


def held(case: Case) -> list[Finding]:
    """The document that this host holds itself to."""
    with case.database() as db:
        ratchet, accepted = documents.ratchet(db), documents.held(db, "accepted")
        bad = documents.bad_revision(db)
    if accepted is None:
        return [warning("no document was ever accepted here", "see the finding on the source")]
    found = [_holds(case, accepted)]
    if ratchet is not None and (accepted.epoch, accepted.revision) < (ratchet.epoch, ratchet.revision):
        told = f"revision {accepted.revision} is held, but {ratchet.revision} was accepted once"
        found.append(fault(told, "was the database put together from backups? Publish a newer revision"))
    if bad is not None:
        found.append(warning(f"revision {bad.revision} proved bad ({bad.message})", "publish a corrected, newer one"))
    return found


def _holds(case: Case, accepted: Held) -> Finding:
    opened = reopen(accepted.note, trust=case.trust(), host=case.known_settings().host, ratchet=None)
    if isinstance(opened, Refused):
        return fault(f"the document that is held no longer holds: {opened.message}", "publish anew")
    document, now = opened.document, case.clock.now()
    late = expired(document, now)
    if late is not None:
        return fault(late.message, "publish again, or set this host's clock right")
    told = f"revision {document.revision} is held, expires {document.expires_at:%Y-%m-%d %H:%M} UTC"
    life = document.expires_at - document.issued_at
    if document.expires_at - now < life / SOON_PARTS:
        return warning(f"{told}, which is soon", "is the backend publishing? Documents are issued anew long before")
    if document.issued_at > now:
        return warning(f"{told}, but it is issued in the future of this host's clock", "set this host's clock right")
    return ok(told)
