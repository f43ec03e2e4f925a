"""TLS: whom the server's certificate is of, until when it holds, and why it is not trusted."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from puller.authorities import none_here
from puller.doctor.case import DEADLINE_S, Case
from puller.doctor.deadline import in_time
from puller.doctor.finding import Finding, NotNow, fault, ok, skipped, warning
from puller.doctor.network import CONNECT_S, Refused, open_tunnel
from puller.doctor.target import Target
from puller.ports import Stalled
from puller.transport.http_client import tls_context

SOON = timedelta(days=14)
EXPIRED, NOT_YET, SELF_SIGNED = 10, 9, 18
WRONG_NAME = (62, 64)
UNKNOWN_ISSUER = (19, 20, 21)
"""X509_V_ERR_* of OpenSSL."""


async def certificates(case: Case) -> list[Finding]:
    """The certificate of each server that is spoken to over TLS."""
    targets = [target for target in case.targets if target.scheme == "https"]
    found = authorities(case)
    for target in targets:
        try:
            await case.reachable(target)
            found.append(await in_time(lambda to=target: certificate(case, to), DEADLINE_S))  # type: ignore[misc]
        except NotNow as error:
            found.append(skipped(str(error)))
        except (Refused, OSError) as error:
            found.append(
                fault(f"{target.shown}: no TLS connection: {error or 'no answer in time'}", "see the findings above")
            )
    return found or [skipped("no server is spoken to over TLS")]


def authorities(case: Case) -> list[Finding]:
    """The private CA files that the settings name."""
    settings = case.known_settings()
    files = {file for file in (settings.ca_file, settings.source.ca_file) if file is not None}
    return [_authority(file) for file in sorted(files)]


def certificate(case: Case, target: Target) -> Finding:
    """Shakes hands as the puller does; what is wrong is then read from the certificate itself."""
    trusted = ca_file(case, target)
    try:
        context = tls_context(trusted)
    except Stalled as error:
        return skipped(f"{target.shown}: {error}")
    try:
        return _good(target, _shown(target, context))
    except ssl.SSLCertVerificationError as error:
        bare = ssl.create_default_context()
        bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
        return _bad(target, error, _shown(target, bare), trusted)
    except ssl.SSLError as error:
        return fault(f"{target.shown}: speaks no TLS that we know: {error.reason or error}", "is the port right?")


def ca_file(case: Case, target: Target) -> Path | None:
    """Certificates that are trusted there beside those of the operating system."""
    settings = case.known_settings()
    return (settings.source.ca_file or settings.ca_file) if target.role == "git" else settings.ca_file


def _shown(target: Target, context: ssl.SSLContext) -> x509.Certificate:
    """The certificate that the server shows."""
    if target.proxy is not None:
        channel = open_tunnel(target, target.proxy)
    else:
        channel = socket.create_connection((target.host, target.port), timeout=CONNECT_S)
    with channel, context.wrap_socket(channel, server_hostname=target.host) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def _good(target: Target, shown: x509.Certificate) -> Finding:
    ends = shown.not_valid_after_utc
    told = f"{target.shown}: issued by {_name(shown.issuer)}, ends {ends:%Y-%m-%d}"
    if ends - datetime.now(UTC) < SOON:
        return warning(f"{told}, which is soon", "renew the server's certificate")
    return ok(told)


def _bad(target: Target, error: ssl.SSLCertVerificationError, shown: x509.Certificate, trusted: Path | None) -> Finding:
    starts, ends, now = shown.not_valid_before_utc, shown.not_valid_after_utc, datetime.now(UTC)
    issuer = _name(shown.issuer)
    here = f"this host's clock says {now:%Y-%m-%d %H:%M} UTC"
    said = f"{target.shown}: its certificate is not trusted: "
    if error.verify_code == EXPIRED:
        return fault(f"{said}it ended at {ends:%Y-%m-%d %H:%M} UTC, {here}", "renew it, or set this host's clock right")
    if error.verify_code == NOT_YET:
        return fault(f"{said}it begins at {starts:%Y-%m-%d %H:%M} UTC, {here}", "set this host's clock right")
    if error.verify_code in WRONG_NAME:
        names = ", ".join(_names(shown)[:6]) or "no host"
        return fault(f"{said}it is for {names}, not for {target.host}", "use a name of the certificate as the address")
    if error.verify_code == SELF_SIGNED:
        return fault(f"{said}{_name(shown.subject)} signed itself", "name this certificate in `ca_file`, or replace it")
    if error.verify_code in UNKNOWN_ISSUER:
        among = f"nor by {trusted}" if trusted else "and no `ca_file` is set"
        return fault(
            f"{said}issued by {issuer}, which is trusted neither by the operating system {among}{none_here()}",
            "name the CA in `ca_file`. A proxy that opens TLS issues certificates of its own: is that its name?",
        )
    return fault(f"{said}{error.verify_message} (issued by {issuer})", "have it put right on the server")


def _authority(file: Path) -> Finding:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        return fault(f"the CA file {file} cannot be read: {error.strerror}", "put PEM certificates there")
    except ValueError as error:
        return fault(f"the CA file {file} holds no certificates: {error}", "put PEM certificates there")
    now = datetime.now(UTC)
    over = [one for one in found if one.not_valid_after_utc < now]
    if over:
        return warning(
            f"the CA file {file}: {_name(over[0].subject)} ended {over[0].not_valid_after_utc:%Y-%m-%d}", "renew"
        )
    return ok(f"the CA file {file} has {', '.join(_name(one.subject) for one in found[:4])}")


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return f"'{common[0].value!s}'" if common else f"'{name.rfc4514_string()}'"


def _names(shown: x509.Certificate) -> list[str]:
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]
