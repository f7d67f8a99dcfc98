"""Every error the pipeline raises on purpose.

    PipelineError
    +-- TransientError        worth another try: the remote is gone, a file is locked, the console does not answer
    |   +-- RemoteUnreachable
    |   +-- ConsoleUnavailable
    |   +-- Obstructed        the machine stands in the way: a full disk, a lock, a database that is away
    |       +-- Unconfigured  cmake could not configure, which no fix has a part in
    +-- DefiniteError         no try will help; the message is what an operator reads
    |   +-- ResponseRejected  a response that cannot be used
    |   +-- Refused           a patch that may not be applied: nothing was written
    |   |   +-- Overlaid      a revert of lines that were changed again since
    |   +-- SourceUnusable    the checkout or the clone cannot be worked with
    |   +-- ToolMissing       git, cmake, a compiler: says what to install
    +-- Cancelled             an operator or the end of the bot took it back

A bug is whatever else arrives at the runner's root handler: it is recorded, and fatal in tests.
"""


class PipelineError(Exception):
    """The root: `str(error)` is a sentence for an operator."""


class TransientError(PipelineError):
    """Stay in the state and try again, bounded."""


class RemoteUnreachable(TransientError):
    """The git remote did not answer, or asked for a login that we do not have."""


class ConsoleUnavailable(TransientError):
    """The server's console cannot be reached, refused the login, or did not answer in time."""


class Obstructed(TransientError):
    """The machine stands in the way: a disk that is full or read-only, a lock that somebody holds, a database that is
    away. Waited for as long as it takes, uses up no try; the message says what a person can do."""


class Unconfigured(Obstructed):
    """cmake could not configure. A fix may touch no build file: compiler, options or packages changed."""


class DefiniteError(PipelineError):
    """The run ends with this reason; people are told."""


class ResponseRejected(DefiniteError):
    """A response that is no answer to us: unreadable, of a wrong shape, or to a request that we do not know."""


class Refused(DefiniteError):
    """A patch that may not or cannot be applied. Nothing was written."""


class Overlaid(Refused):
    """A commit that cannot be undone by itself: the same lines were changed since, `by` another one."""

    def __init__(self, words: str, by: str | None) -> None:
        super().__init__(words)
        self.by = by


class SourceUnusable(DefiniteError):
    """The checkout or our clone cannot be worked with."""


class ToolMissing(DefiniteError):
    """A program that is needed is not there; the message says what to install."""


class Cancelled(PipelineError):
    """Somebody took the work back, or the bot ends."""
