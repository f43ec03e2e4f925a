"""`towline-puller`: the commands. Each loads only what it needs, so that `status` works when little else does."""

import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from puller.kinds.command import command as kind

if TYPE_CHECKING:
    from puller.paths import Paths

DURATION = re.compile(r"(\d{1,6})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
EXIT_CODES = (
    "Exit codes: 0 ready; 1 not ready, by itself or on purpose; 2 stalled, needs a person; 3 unknown or too old."
)

EXIT_DAMAGED = 3
BY_HAND = ("once", "plan", "enroll", "withdraw")
"""Called from a shell that may not have the proxies that agentctl.sh stored for the agent."""


_Command = TypeVar("_Command", bound=Callable[..., Any])
SETTINGS = (
    click.option(
        "--ca-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Private CAs to trust."
    ),
    click.option(
        "--metrics-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of node exporter's textfile collector: write metrics there.",
    ),
    click.option("--git-url", help="Fetch documents from this git repository."),
    click.option("--git-branch", help="Its branch."),
    click.option("--git-username", help="Who to be there."),
    click.option("--git-password-file", type=click.Path(path_type=Path), help="Whose first line is the password."),
    click.option("--git-ssh-key-file", type=click.Path(path_type=Path), help="Private key for ssh."),
    click.option("--git-known-hosts-file", type=click.Path(path_type=Path), help="Host keys that are right."),
    click.option("--directory", type=click.Path(path_type=Path), help="Fetch documents from this folder."),
)
"""What a person may say of the settings, at enrolment or later."""


def _settings(command: _Command) -> _Command:
    for option in reversed(SETTINGS):
        command = option(command)
    return command


class Duration(click.ParamType[timedelta]):
    """`90s`, `30m`, `2h`, `1d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See click.ParamType."""
        if isinstance(value, timedelta):
            return value
        said = DURATION.fullmatch(str(value))
        if said is None or int(said[1]) == 0:
            self.fail(f"{value!r} is no duration: write 30m, 2h or 1d", param, ctx)
        return timedelta(**{UNITS[said[2]]: int(said[1])})


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--prefix",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TOWLINE_PULLER_PREFIX",
    default=Path("/opt/towline"),
    show_default=True,
    help="Root of everything that towline owns on this host.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log also what is only of interest when looking for a fault.")
@click.version_option(package_name="towline", message="%(version)s")
@click.pass_context
def main(context: click.Context, prefix: Path, verbose: bool) -> None:
    """Keeps this host as its signed document declares, with outbound traffic only."""
    from puller.paths import Paths  # noqa: PLC0415

    if context.invoked_subcommand != "alive":  # asked every minute, and logs nothing
        from puller.logs import configure_logs  # noqa: PLC0415

        configure_logs(verbose=verbose, quiet=context.invoked_subcommand not in ("run", "once", "withdraw"))
    context.obj = Paths(prefix.absolute())
    if context.invoked_subcommand in BY_HAND:
        from puller.proxy_file import stand_in  # noqa: PLC0415

        stand_in(context.obj.proxies, os.environ)


@main.command()
@click.option("--unless-running", is_flag=True, help="End at once, in silence, where an agent runs already: for cron.")
@click.pass_obj
def run(paths: "Paths", unless_running: bool) -> None:
    """Runs the agent until it is told to stop (SIGTERM); SIGHUP makes a pass now."""
    from puller.commands import run_agent  # noqa: PLC0415
    from puller.single_flight import holder  # noqa: PLC0415

    if not unless_running or holder(paths.lock) is None:
        _guarded(lambda: run_agent(paths, os.environ))


@main.command(epilog=EXIT_CODES)
@click.option(
    "--allow-removals", type=click.IntRange(0, 1000), help="Remove so many services in this pass, whatever the limit."
)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@click.pass_obj
def once(paths: "Paths", allow_removals: int | None, as_json: bool) -> None:
    """Makes one pass now, also of what stalled or backs off. Where an agent runs, it is asked to make it."""
    from puller.commands import make_one_pass  # noqa: PLC0415

    _guarded(lambda: make_one_pass(paths, os.environ, allow_removals=allow_removals))
    _print_status(paths, as_json=as_json)


@main.command(epilog="Exit codes: 0 nothing to do; 2 there are steps, or some are held; 1 nothing could be planned.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(paths: "Paths", as_json: bool) -> None:
    """Prints what a pass would do now, and changes nothing."""
    from puller.commands import make_plan  # noqa: PLC0415

    printed, code = _guarded(lambda: make_plan(paths, os.environ, as_json=as_json))
    click.echo(printed, nl=False)
    sys.exit(code)


@main.command(epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def status(paths: "Paths", as_json: bool) -> None:
    """Says what is wrong here, since when, and what to do. Works with everything else down."""
    _print_status(paths, as_json=as_json)


@main.command(
    epilog="Exit codes: 0 serving; 1 running, but it does not answer; 3 not running; 4 unknown: it is another user's."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def alive(paths: "Paths", as_json: bool) -> None:
    """Asks the running puller whether it lives, and prints what it answers as key=value. Waits five seconds at most."""
    from puller import alive as asking  # noqa: PLC0415 - and nothing else: this is asked every minute

    try:
        facts, code = asking.alive(paths)
    except PermissionError as error:
        facts, code = {"state": "unknown", "message": f"{error}: ask as the user who runs it"}, asking.EXIT_UNKNOWN
    click.echo(json.dumps(facts) + "\n" if as_json else asking.tell(facts), nl=False)
    sys.exit(code)


@main.command(epilog="Exit codes: 0 all is well; 1 warnings; 2 faults.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a tar.gz for a ticket too: findings, status, settings, journal. Without secrets.",
)
@click.pass_obj
def doctor(paths: "Paths", as_json: bool, bundle: Path | None) -> None:
    """Checks all that an on-call person would try by hand, and says what is wrong and what to do. Changes nothing."""
    from puller.commands import examine_host  # noqa: PLC0415

    printed, code = _guarded(lambda: examine_host(paths, os.environ, as_json=as_json, bundle=bundle))
    click.echo(printed, nl=False)
    sys.exit(code)


@main.command()
@click.option("--reason", required=True, help="Why; the fleet's page shows it.")
@click.option("--for", "duration", type=Duration(), help="For how long, e.g. 2h. Without it: until resumed.")
@click.pass_obj
def suspend(paths: "Paths", reason: str, duration: timedelta | None) -> None:
    """From now on changes nothing on this host and repairs nothing. It is still watched and reported."""
    from puller.commands import suspend_host  # noqa: PLC0415

    click.echo(_guarded(lambda: suspend_host(paths, reason, duration)))


@main.command()
@click.pass_obj
def resume(paths: "Paths") -> None:
    """Ends a suspension that was said on this host."""
    from puller.commands import resume_host  # noqa: PLC0415

    click.echo(_guarded(lambda: resume_host(paths)))


@main.command(
    epilog="Exit codes: 0 nothing of it is left, or would be; 1 something failed, run it again; 2 something is held."
)
@click.option("--plan", "only_plan", is_flag=True, help="Print what it would do, and change nothing.")
@click.option("--purge-data", is_flag=True, help="Delete the data of the services too.")
@click.option(
    "--allow-removals", type=click.IntRange(0, 1000), help="Remove so many services, whatever the host's limit."
)
@click.pass_obj
def withdraw(paths: "Paths", only_plan: bool, purge_data: bool, allow_removals: int | None) -> None:
    """Removes everything that towline runs here but the agent, which must not run. Data stays unless told to go."""
    from desired_state.withdrawal import Withdrawal  # noqa: PLC0415
    from puller import withdraw as command  # noqa: PLC0415

    order, run = Withdrawal(purge_data=purge_data), command.plan_withdrawal if only_plan else command.withdraw
    printed, code = _guarded(lambda: run(paths, os.environ, order, allow_removals=allow_removals))
    click.echo(printed, nl=False)
    sys.exit(code)


@main.command(context_settings={"allow_extra_args": True})
@click.option(
    "--token-file",
    type=click.File("rb"),
    default="-",
    help="Where the join token is; without it, standard input. Never an argument: a process list is public.",
)
@_settings
@click.option("--force", is_flag=True, help="Also when this host is enrolled already: it becomes another one.")
@click.pass_obj
def enroll(paths: "Paths", /, **options: Any) -> None:
    """Makes this host known to the backend, with a join token: `towline host invite NAME` prints one."""
    if click.get_current_context().args:  # not told again: it may be the token
        raise click.UsageError(
            "takes no argument: the token is read from standard input, or from --token-file. If one was just given as "
            "an argument, others may have seen it: make a new one with `towline host invite`"
        )
    from puller.commands import enrol_host  # noqa: PLC0415

    click.echo(_guarded(lambda: enrol_host(paths, **options)))


@main.command()
@_settings
@click.option("--backend", is_flag=True, help="Fetch documents from the backend again.")
@click.pass_obj
def adjust(paths: "Paths", /, **options: Any) -> None:
    """Changes the settings of an enrolled host, and nothing else; the agent takes them at its next start."""
    from puller.commands import adjust_host  # noqa: PLC0415

    click.echo(_guarded(lambda: adjust_host(paths, **options)))


main.add_command(kind)


def _print_status(paths: "Paths", *, as_json: bool) -> NoReturn:
    from puller.commands import show_status  # noqa: PLC0415

    printed, code = _guarded(lambda: show_status(paths, as_json=as_json))
    click.echo(printed, nl=False)
    sys.exit(code)


def _guarded(command: Any) -> Any:
    """Runs a command; what a person must put right is said in a line, without a traceback."""
    from puller.ports import Stalled, Unavailable  # noqa: PLC0415
    from puller.settings import Misconfigured  # noqa: PLC0415

    try:
        return command()
    except (Stalled, Unavailable, Misconfigured) as error:
        click.echo(f"towline-puller: {error}", err=True)
        sys.exit(1)
    except sqlite3.DatabaseError as error:
        click.echo(f"towline-puller: the database of this host cannot be used ({error}): {_mend(error)}", err=True)
        sys.exit(EXIT_DAMAGED)
    except PermissionError as error:
        click.echo(f"towline-puller: {error.filename}: {error.strerror}: run it as the user who owns it", err=True)
        sys.exit(1)
    except OSError as error:
        from puller.disk import trouble  # noqa: PLC0415

        disk = trouble(error, Path(error.filename or "this host"))
        if disk is None:
            raise
        click.echo(f"towline-puller: {disk}", err=True)
        sys.exit(1)


def _mend(error: sqlite3.DatabaseError) -> str:
    """What to do: a full disk damages nothing, and nobody should lose the record for it."""
    if isinstance(error, sqlite3.OperationalError):
        return "is the disk full or read-only? Put that right and try again"
    return (
        "move state/towline.db and the files beside it away and start again; the document is fetched anew, and every "
        "service is put in place again, restarted only where that changes something"
    )


if __name__ == "__main__":
    main()
