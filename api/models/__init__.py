"""The tables. Questions about them are in `api/repositories`."""

from api.models.access import api_token, session, signin_link
from api.models.artifacts import artifact
from api.models.catalogue import catalogue_change, catalogue_entry, catalogue_head
from api.models.changes import change_feed, generation
from api.models.columns import metadata
from api.models.documents import delivered, document, host_document, publication
from api.models.events import event, event_head
from api.models.hosts import host_identity, host_override, host_status, join_token
from api.models.leases import lease
from api.models.reports import report
from api.models.scripts import agent_script, bundle, catalogue_script
from api.models.secrets import sealed_secret, secret
from api.models.trust import trust

__all__ = [
    "agent_script",
    "api_token",
    "artifact",
    "bundle",
    "catalogue_change",
    "catalogue_entry",
    "catalogue_head",
    "catalogue_script",
    "change_feed",
    "delivered",
    "document",
    "event",
    "event_head",
    "generation",
    "host_document",
    "host_identity",
    "host_override",
    "host_status",
    "join_token",
    "lease",
    "metadata",
    "publication",
    "report",
    "sealed_secret",
    "secret",
    "session",
    "signin_link",
    "trust",
]
