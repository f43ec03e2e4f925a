"""Response headers that keep a browser from doing what the page did not mean."""

from litestar.types import Message, Scope

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; img-src 'self' data:; "
    "object-src 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


async def add_security_headers(message: Message, _scope: Scope) -> None:
    """To every response, errors too; what a handler set itself stays. Nothing is kept by caches unless it says so."""
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    there = {name.lower() for name, _ in headers}
    headers.extend(header for header in HEADERS if header[0] not in there)
    if b"cache-control" not in there:
        headers.append((b"cache-control", b"no-store"))
    message["headers"] = headers
