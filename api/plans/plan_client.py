"""Asking a backend for a plan, from where the merge request is checked."""

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx2 as httpx
import msgspec

from api.errors import Refused, TryLater
from api.plans.fleet_plan import FleetPlan
from desired_state.contract import KindMeta

TIMEOUT_S = 120.0


def ask(
    server: str, token: str, files: Mapping[str, bytes], kinds: Mapping[str, KindMeta] | None, ca_file: Path | None
) -> FleetPlan:
    """The plan that the backend makes of these files. Blocking. Raises Refused, TryLater."""
    url = f"{server.rstrip('/')}/v1/plan"
    try:
        body = msgspec.json.encode({"files": {path: data.decode() for path, data in files.items()}, "kinds": kinds})
    except UnicodeDecodeError as error:
        raise Refused(f"a file of the working tree is not UTF-8 text: {error}") from error
    context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else ssl.create_default_context()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with httpx.Client(verify=context, timeout=TIMEOUT_S) as client:
            answer = client.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise TryLater(f"{url} does not answer: {error}") from error
    if answer.status_code >= 500:
        raise TryLater(f"{url} answers {answer.status_code}: {_detail(answer.content)}")
    if answer.status_code != 200:
        raise Refused(f"{url} answers {answer.status_code}: {_detail(answer.content)}")
    try:
        return msgspec.json.decode(answer.content, type=FleetPlan)
    except msgspec.MsgspecError as error:
        raise Refused(f"{url} does not answer with a plan: is it a towline backend of this version? {error}") from error


class _Problem(msgspec.Struct):
    detail: str = ""


def _detail(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Problem).detail
    except msgspec.MsgspecError:
        return body[:200].decode(errors="replace")
