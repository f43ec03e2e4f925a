"""The commands of this project. `nox -s demo` shows it, `nox -s tests` proves it, `nox -l` lists the rest.

Every session installs pinned versions (.ci/constraints.txt). What a session needs from Debian is listed in
.ci/debian-packages.txt: as root it is installed, for others the one line to run is printed and the session fails.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
DEBIAN_PACKAGES = ROOT / ".ci" / "debian-packages.txt"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
TYPED = [
    "noxfile.py",
    ".ci",
    "tests/conftest.py",
    "tests/servers",
    "tests/packaging",
    "tests/docs",
    "tests/middleware",
    "tests/scripts/kinds",
    "tests/bench",
    "tests/end_to_end",
    "tests/vm",
]


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those on VMs, against the installed wheel. Arguments go to pytest: -- tests/core -k plan"""
    need_from_debian(session)
    wheel = install_wheel(session, "api", "puller", groups=["tests", "demo"])
    arguments = session.posargs or ["tests"]
    # These two and --import-mode=importlib keep the checkout off sys.path, here and in every process that a test
    # starts: `import api` can only find the wheel's.
    paths = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tests_alone(session))}
    pytest = ["python", "-m", "pytest", "-n", "2", "--dist", "loadgroup", "--durations", "15", "--durations-min", "10"]
    session.run(*pytest, *arguments, env={"TOWLINE_TESTED": "wheel", "TOWLINE_WHEEL": str(wheel), **paths})


@nox.session
def vm(session: nox.Session) -> None:
    """The agent on real VMs of three Debian suites, booted in namespaces; needs root. `-- -m core` is the short way."""
    try:
        need_from_debian(session)
    except CommandFailed:
        # Whoever asked tells that from tests that fail; see .ci/run.
        if noted := os.environ.get("TOWLINE_TEST_NO_VMS"):
            Path(noted).write_text("what VMs need of Debian's packages cannot be installed here\n")
        raise
    wheel = install_wheel(session, "api", "puller", groups=["tests", "demo"])
    paths = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tests_alone(session))}
    session.run("python", "-m", "tests.vm", *(["bookworm"] if "core" in session.posargs else []), env=paths)
    # A fixture boots and converges several VMs: that takes its time on a slow machine.
    pytest = ["python", "-m", "pytest", "tests/vm", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run(
        *pytest,
        "--timeout",
        "900",
        *session.posargs,
        env={"TOWLINE_TESTED": "wheel", "TOWLINE_WHEEL": str(wheel), **paths},
    )


@nox.session
def conformance(session: nox.Session) -> None:
    """Every kind in depth: each verb killed at 20 random moments, 400 hostile values. `-- redis` runs one.

    `-- --real zookeeper` kills the calls of a kind's real software, where the tests of every day take a stand-in.
    """
    kinds = [word for word in session.posargs if word != "--real"]
    real = len(kinds) < len(session.posargs)
    need_from_debian(session)
    install_wheel(session, "api", "puller", groups=["tests"])
    only = " or ".join(f"{kind}]" for kind in kinds)
    chosen = ("killed_call" if real else "(killed_call or hostile_values)") + (f" and ({only})" if only else "")
    session.run(
        *["python", "-P", "-m", "pytest", str(ROOT / "tests/scripts/test_conformance.py"), "-k", chosen, "-v"],
        *["--timeout", "0"],  # how long it takes depends on the machine; each call has a time limit of its own
        env={
            "PYTHONPATH": str(tests_alone(session)),
            "TOWLINE_TEST_KILLS": "20",
            "TOWLINE_TEST_HOSTILE": "400",
            "TOWLINE_TEST_REAL": "1" if real else "",
        },
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, import contracts, shell scripts, and words that must not be committed."""
    need_from_debian(session)
    install_groups(session, "api", "puller", groups=["lint", "tests"])
    checks = [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["mypy", *TYPED],
        ["lint-imports"],
        ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *shell_scripts()],
        ["shellcheck", "--external-sources", "--check-sourced", "--source-path=SCRIPTDIR", *control_scripts()],
        ["shfmt", "--indent", "2", "--case-indent", "--language-dialect", "bash", "--diff", *kind_scripts()],
        ["python", ".ci/committed_words.py", *committed_files()],
    ]
    failed = [check for check in checks if not passes(session, check)]
    if failed:
        session.error(f"{len(failed)} of {len(checks)} checks failed: {', '.join(check[0] for check in failed)}")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in site/. A dead link or a page outside the navigation is an error."""
    install_groups(session, groups=["docs"])
    session.run("zensical", "build", "--strict", *session.posargs)


@nox.session
def reference(session: nox.Session) -> None:
    """Write docs/reference/ anew: commands, settings and endpoints as the code has them."""
    install_groups(session, "api", "puller", groups=["tests"])
    session.run("python", "-m", "tests.docs.reference")


@nox.session
def demo(session: nox.Session) -> None:
    """A backend and three hosts on this machine, converging real services. `-- --exit` ends by itself."""
    need_from_debian(session)
    install_wheel(session, "api", "puller", groups=["demo"])
    path = f"{ROOT / 'tests' / 'end_to_end'}:{tests_alone(session)}"
    session.run("python", "-P", "-m", "demo", *session.posargs, env={"PYTHONPATH": path})


@nox.session
def bench(session: nox.Session) -> None:
    """What things cost, each beside a reference in the same run. `-- --json` prints one object a line."""
    need_from_debian(session)
    install_wheel(session, "api", "puller", groups=["tests", "demo"])
    session.run("python", "-P", "-m", "tests.bench", *session.posargs, env={"PYTHONPATH": str(tests_alone(session))})


@nox.session
def middleware(session: nox.Session) -> None:
    """Every kind on the real software; writes docs/scripts/tested.md. `-- redis` runs one, `-- --check` compares."""
    need_from_debian(session)
    install_wheel(session, "puller", groups=["tests"])
    session.run(
        "python", "-P", "-m", "tests.middleware", *session.posargs, env={"PYTHONPATH": str(tests_alone(session))}
    )


@nox.session
def agent(session: nox.Session) -> None:
    """The agent's archives for VMs, in dist/. `-- --fresh` takes the present packages of Debian and PyPI."""
    need_from_debian(session)
    install_groups(session, groups=["build"])
    out = ["--out", str(ROOT / "dist"), "--cache", str(ROOT / ".cache/agent")]
    session.run("python", ".ci/agent", "--wheel", str(build_wheel(session)), *out, *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write .ci/constraints.txt anew: the newest versions that the oldest Python (Debian 12: 3.11.2) can install."""
    extras = PROJECT["project"]["optional-dependencies"]
    install_groups(session, *extras, groups=list(PROJECT["dependency-groups"]), constrained=False)
    session.run("python", ".ci/lock.py", str(CONSTRAINTS))


def install_groups(session: nox.Session, *extras: str, groups: list[str], constrained: bool = True) -> None:
    """Install what towline with these extras depends on, and these dependency groups, but not towline."""
    wanted = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    wanted += nox.project.dependency_groups(PROJECT, *groups)
    session.install(*(["--constraint", str(CONSTRAINTS)] if constrained else []), *wanted)


def build_wheel(session: nox.Session) -> Path:
    """Build the wheel of this checkout; the group `build` is installed."""
    built = Path(session.virtualenv.location) / "wheel"
    shutil.rmtree(built, ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT), silent=True)
    return next(built.glob("*.whl"))


def install_wheel(session: nox.Session, *extras: str, groups: list[str]) -> Path:
    """Build the wheel of this checkout and install it as a user gets it; return the wheel."""
    install_groups(session, *extras, groups=["build", *groups])
    wheel = build_wheel(session)
    # The version does not change between two builds, so pip would keep the old one.
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install("--constraint", str(CONSTRAINTS), f"{wheel}[{','.join(extras)}]")
    return wheel


def tests_alone(session: nox.Session) -> Path:
    """A folder for PYTHONPATH in which the package tests is found, and nothing else of the checkout."""
    folder = Path(session.virtualenv.location) / "path"
    folder.mkdir(exist_ok=True)
    link = folder / "tests"
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT / "tests")
    return folder


def need_from_debian(session: nox.Session) -> None:
    """Install what this session needs from Debian and is missing; without root, say the line to run and fail."""
    lines = [line.split(maxsplit=1) for line in DEBIAN_PACKAGES.read_text().splitlines() if line and line[0] != "#"]
    wanted = [package for package, sessions in lines if session.name in sessions.split("  ")[0].split()]
    missing = [package for package in wanted if not is_installed(package)]
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if shutil.which("apt-get") is None:
        session.error(f"this session needs what Debian calls: {' '.join(missing)}")
    if os.geteuid() != 0:
        session.error(f"missing from Debian; run: sudo {' '.join(install)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    session.run("apt-get", "update", external=True, silent=True, env=environment)
    session.run(*install, external=True, silent=True, env=environment)


def is_installed(package: str) -> bool:
    """Whether dpkg has this package in full."""
    if shutil.which("dpkg-query") is None:
        return False
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def passes(session: nox.Session, command: list[str]) -> bool:
    """Whether a check has nothing to say; the checks after it run in any case, so that one round shows everything."""
    session.log(" ".join(command[:4]) + (" ..." if len(command) > 4 else ""))
    try:
        session.run(*command, log=False)
    except CommandFailed:
        return False
    return True


def committed_files() -> list[str]:
    """Every file that git keeps, and those about to be added."""
    # The checkout of a CI job often belongs to another account.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def kind_scripts() -> list[str]:
    """The scripts of the kinds, and what they share."""
    return [name for name in committed_files() if re.fullmatch(r"scripts/(([a-z_]+/)?[a-z_]+)\.sh", name)]


def control_scripts() -> list[str]:
    """The script of each kind, from which all that it reads is found."""
    return [name for name in committed_files() if re.fullmatch(r"scripts/[a-z_]+ctl\.sh", name)]


def shell_scripts() -> list[str]:
    """The committed files whose first line names a shell."""
    first_lines = ((name, (ROOT / name).open("rb").readline(80)) for name in committed_files())
    return [name for name, line in first_lines if line.startswith(b"#!") and line.rstrip().endswith(b"sh")]
