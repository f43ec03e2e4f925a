"""The backend's errors. The class says what happens next; the text says what happened, to what, and what to do."""

from desired_state.catalogue import Problem


class Refused(Exception):
    """What was asked for is not done, and asking again changes nothing: 4xx, or exit code 1 of a command."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, problems: tuple[Problem, ...] = ()) -> None:
        """`detail` is one sentence; `problems` are all that were found, each with its pointer."""
        super().__init__(detail)
        self.detail = detail
        self.problems = problems


class NotFound(Refused):
    """There is nothing of that name."""

    status = 404
    title = "Not found"


class Conflict(Refused):
    """It does not go with what is there."""

    status = 409
    title = "Conflict"


class Changed(Refused):
    """Somebody else changed it since it was read (If-Match), or it is there already (If-None-Match: *)."""

    status = 412
    title = "Precondition failed"


class PreconditionMissing(Refused):
    """A change of something existing must say which state it was read in."""

    status = 428
    title = "Precondition required"


class Invalid(Refused):
    """It was understood, and it is wrong: `problems` say where."""

    status = 422
    title = "Not valid"


class Unauthenticated(Refused):
    """Nobody knows who asks."""

    status = 401
    title = "Not signed in"


class Forbidden(Refused):
    """We know who asks, and that one may not."""

    status = 403
    title = "Not allowed"


class TryLater(Exception):
    """Nothing was done, and the same request may succeed later: 503 with Retry-After, or exit code 75 of a command."""

    def __init__(self, detail: str, retry_after_s: int = 5) -> None:
        """`retry_after_s`: when it is worth asking again."""
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class Misconfigured(Exception):
    """The backend cannot start as it is configured: exit code 78 of a command."""
