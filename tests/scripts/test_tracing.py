"""A Java service that SkyWalking's agent traces: the real agent in a real JVM reports where the document says."""

import socket
from pathlib import Path

from tests.middleware import java_app_archive, java_runtime_archive, skywalking_agent_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port

PREFACE = b"PRI * HTTP/2.0"
"""What a gRPC client says first (RFC 9113)."""


def traced(folder: Path, **parameters: str) -> Service:
    return Service(
        kind="java",
        name="shop",
        folder=folder,
        version="1.0.0",
        packages={
            "app": java_app_archive("1.0.0"),
            "jdk": java_runtime_archive("21.0.8"),
            "agent": skywalking_agent_archive("9.4.0"),
        },
        parameters={**case_of("java").parameters(free_port()), "start_timeout": "5m", **parameters},
    )


def test_the_agent_reports_where_the_document_says(folder: Path) -> None:
    """The service is healthy, its agent knocks at the OAP, and without `trace_to` it is an ordinary service again."""
    with socket.create_server(("127.0.0.1", 0)) as oap:
        oap.settimeout(120)
        service = traced(folder, trace_to=f"127.0.0.1:{oap.getsockname()[1]}", trace_name="shop|front")
        service.do("install", "configure", "start")
        line, _ = oap.accept()
        with line:
            line.settimeout(60)
            assert PREFACE == line.recv(len(PREFACE), socket.MSG_WAITALL)
    assert "running" == service.state_now()
    command = (service.root / "etc/command").read_text().splitlines()
    assert f"-javaagent:{service.root}/agent/skywalking-agent.jar" in command
    assert "-Dskywalking.agent.service_name=shop|front" in command
    service.parameters["trace_to"] = ""
    service.do("configure", "restart")
    assert not [word for word in (service.root / "etc/command").read_text().split("\n") if "skywalking" in word]
    service.do("stop", "uninstall")
    assert [] == list((service.prefix / "packages").iterdir())


def test_tracing_needs_the_agent(folder: Path) -> None:
    """Said when it is configured, and not by a JVM that does not start."""
    service = traced(folder, trace_to="oap.example:11800")
    del service.packages["agent"]
    service.do("install")
    said = service.call("configure")
    assert (5, "parameter trace_to: there is no agent package") == (said.code, said.reason)


def test_an_address_that_is_none_is_refused(folder: Path) -> None:
    """An option of the JVM is made of it."""
    said = traced(folder, trace_to="oap.example").call("install")
    assert (6, "parameter trace_to: is not HOST:PORT, with commas between") == (said.code, said.reason)
