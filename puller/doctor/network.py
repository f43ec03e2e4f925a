"""Names, proxies, connections: whether the first hop to each server can be reached."""

import asyncio
import base64
import errno
import socket
from collections.abc import Iterator

from puller.doctor.case import DEADLINE_S, Case
from puller.doctor.deadline import in_time
from puller.doctor.finding import Finding, fault, ok, skipped
from puller.doctor.target import Proxy, Target

CONNECT_S = 6.0
"""For one address; a name may have several."""
MAX_ANSWER = 8192


async def names(case: Case) -> list[Finding]:
    """DNS, as the system's resolver answers it."""
    hops = _first_hops(case)
    return list(await asyncio.gather(*(_name(target) for target in hops))) or [skipped("no server is needed")]


async def connections(case: Case) -> list[Finding]:
    """TCP to the first hop: the server, or the proxy before it."""
    told = await asyncio.gather(*(_connection(case, target) for target in _first_hops(case)))
    return list(told) or [skipped("no server is needed")]


def proxies(case: Case) -> Iterator[Finding]:
    """Which proxy applies to which address, and whether it lets this host through."""
    if not case.targets:
        yield skipped("no server is needed")
    for target in case.targets:
        proxy = target.proxy
        if proxy is None:
            yield ok(f"{target.shown} is reached without a proxy")
        elif proxy.scheme not in ("http", "https"):
            yield fault(
                f"{proxy.variable} names {proxy.shown} for {target.shown}: the puller speaks to http proxies only",
                f"name an http proxy in {proxy.variable}, or {target.host} in no_proxy",
            )
        elif target.scheme != "https":
            yield ok(f"{target.shown} is reached through {proxy.shown} ({proxy.variable}), request by request")
        else:
            yield _tunnel(target, proxy)


async def connect(hop: tuple[str, int]) -> str:
    """Why no TCP connection can be had there; empty when one can."""
    try:
        await in_time(lambda: socket.create_connection(hop, timeout=CONNECT_S).close(), DEADLINE_S)
    except TimeoutError:
        return "no answer: a firewall drops it, or the machine is off"
    except socket.gaierror as error:
        return f"its name is not known ({error.strerror})"
    except ConnectionRefusedError:
        return "refused: nothing listens there, or a firewall rejects it"
    except OSError as error:
        return _route(error)
    return ""


def open_tunnel(target: Target, proxy: Proxy) -> socket.socket:
    """A connection to the server through its proxy. Raises Refused, OSError."""
    channel = socket.create_connection((proxy.host, proxy.port), timeout=CONNECT_S)
    try:
        where = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if proxy.user or proxy.password:
            credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {credentials}")
        channel.sendall("\r\n".join([*lines, "", ""]).encode())
        status = _status(channel)
    except BaseException:
        channel.close()
        raise
    if status[1:2] != ["200"]:
        channel.close()
        raise Refused(" ".join(status[1:]) or "nothing that is HTTP")
    return channel


class Refused(Exception):
    """The proxy gives no way through. The text is its status."""


def _tunnel(target: Target, proxy: Proxy) -> Finding:
    way = f"{target.shown} through {proxy.shown} ({proxy.variable})"
    try:
        open_tunnel(target, proxy).close()
    except Refused as error:
        if str(error).startswith("407"):
            said = "refuses our user and password" if proxy.user else "wants a user and a password"
            return fault(f"{way}: the proxy {said} ({error})", f"correct {proxy.variable} in etc/proxy.env")
        return fault(
            f"{way}: the proxy answers {error}", f"have the proxy let this host through to {target.host}:{target.port}"
        )
    except TimeoutError:
        return fault(f"{way}: the proxy does not answer", f"is {proxy.shown} right? Correct {proxy.variable}")
    except OSError as error:
        return fault(
            f"{way}: the proxy cannot be reached: {error}",
            f"correct {proxy.variable} in etc/proxy.env, or the way to it",
        )
    return ok(f"{way}: the proxy lets us through")


def _status(channel: socket.socket) -> list[str]:
    """The words of the proxy's status line; its headers are read off."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < MAX_ANSWER:
        chunk = channel.recv(1)  # not a byte of what comes after belongs to the proxy
        if not chunk:
            break
        data += chunk
    return data.partition(b"\r\n")[0].decode("ascii", "replace").split(" ", 2)


def _first_hops(case: Case) -> list[Target]:
    """One target for each place that is connected to."""
    return list({target.first_hop: target for target in case.targets}.values())


async def _name(target: Target) -> Finding:
    host, port = target.first_hop
    what = f"the proxy {host}" if target.proxy else f"{target.role} {host}"
    try:
        found = await in_time(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), DEADLINE_S)
    except TimeoutError:
        return fault(
            f"{what}: no name server answers in {DEADLINE_S:g} s", "look at /etc/resolv.conf and the way to DNS"
        )
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return fault(f"{what}: no name server answers", "look at /etc/resolv.conf and the way to DNS")
        return fault(f"{what}: nobody knows this name ({error.strerror})", "correct the address, or the name server")
    addresses = sorted({str(each[4][0]) for each in found})
    return ok(f"{what} is {', '.join(addresses[:4])}")


async def _connection(case: Case, target: Target) -> Finding:
    host, port = target.first_hop
    what = f"the proxy {host}:{port}" if target.proxy else f"{target.role} {host}:{port}"
    why = await case.unreachable(target)
    if why:
        return fault(f"{what}: {why}", f"open outbound TCP {port} to {host}, or correct the address")
    return ok(f"{what} accepts connections")


def _route(error: OSError) -> str:
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "no route to it: is the network up?"
    return str(error)
