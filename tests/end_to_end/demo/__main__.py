"""`python -m demo [--exit] [--port PORT]`: plays the story, then leaves the page open, or leaves nothing behind."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from .narrator import Narrator, WentWrong
from .processes import end, kept_processes, living_under
from .story import Story


def main() -> int:
    """Zero when everything was as it should be, and nothing was left behind."""
    parser = argparse.ArgumentParser(prog="demo", description="A backend and three hosts on this machine.")
    parser.add_argument(
        "--exit", action="store_true", help="end by itself, non-zero if anything was not as it should be"
    )
    parser.add_argument("--port", type=int, default=None, help="port of the page (default: a free one)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    folder, narrator = Path(tempfile.mkdtemp(prefix="towline-demo-")), Narrator()
    story = Story(folder, narrator, port=options.port)
    code = 1
    try:
        story.play()
        code = 0
        narrator.act("That was it")
        if not options.exit:
            stay(story)
    except WentWrong as error:
        narrator.act("This went wrong")
        narrator.say(str(error))
        for log in sorted((folder / "logs").glob("*.log")):
            narrator.say(f"the end of {log.name}:")
            narrator.quote(story.processes.tail(log.stem))
    except KeyboardInterrupt:
        narrator.say("interrupted")
        code = code if not options.exit else 130
    return code | clean_up(story, narrator)


def stay(story: Story) -> None:
    """The page, until somebody ends it."""
    story.tell.say("The page is open; this link signs you in once:")
    story.tell.say(f"  {story.backend.run('token', 'create', 'demo', '--link').strip().splitlines()[-1]}")
    story.tell.say(f"The catalogue is at {story.repository.tree}: edit, commit, push, and watch. Ctrl-C ends it all.")
    signal.pause()


def clean_up(story: Story, narrator: Narrator) -> int:
    """Ends every process and removes every file; 1 if something was left."""
    narrator.say("ending every process that the demo started …")
    story.processes.stop_all()
    end(kept_processes(machine.prefix for machine in story.machines))
    left = living_under(story.folder)
    shutil.rmtree(story.folder)
    for process in left:
        narrator.say(f"left behind: {process}")
    if not left:
        narrator.saw("no process and no file is left behind")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
