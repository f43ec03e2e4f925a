"""What the reader sees: acts, what is waited for, and what was seen."""

import sys
import time
from collections.abc import Callable


class WentWrong(Exception):
    """Something was not as the story says. The text says what, and what was seen instead."""


class Narrator:
    """Tells the story, line by line, with the time that each thing took."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._live = sys.stdout.isatty()

    def act(self, title: str) -> None:
        """A new chapter."""
        self._write(f"\n{self._bold(title)}")

    def say(self, text: str) -> None:
        """Something that happened."""
        self._write(f"  {text}")

    def quote(self, text: str) -> None:
        """What a command printed."""
        for line in text.rstrip().splitlines():
            self._write(f"  │ {line}")

    def saw(self, text: str) -> None:
        """Something that was checked on the real thing."""
        self._write(f"  ✓ {text}")

    def until(self, what: str, check: Callable[[], str | None], *, limit_s: float, every_s: float = 0.15) -> float:
        """Waits until the check returns None; until then it returns what is still missing. Returns the seconds."""
        began, shown = time.monotonic(), ""
        while (missing := check()) is not None:
            waited = time.monotonic() - began
            if waited > limit_s:
                raise WentWrong(f"{what}: not within {limit_s:.0f} s; still missing: {missing}")
            if missing != shown:
                self._progress(f"{missing}")
                shown = missing
            time.sleep(every_s)
        took = time.monotonic() - began
        self.saw(f"{what} ({took:.1f} s)")
        return took

    def _progress(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._write(f"    {seconds:5.1f} s  {text[:110]}", dim=True)

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._live else text

    def _write(self, text: str, *, dim: bool = False) -> None:
        sys.stdout.write(f"\x1b[2m{text}\x1b[0m\n" if dim and self._live else f"{text}\n")
        sys.stdout.flush()
