"""Exit codes, the same for every command (docs/commands.md)."""

OK = 0
FAILED = 1  # findings of severity error, a failed case, a book that does not add up
USAGE = 2  # a wrong option, or a file that is not there
UNREACHABLE = 3  # no engine, no journal, no peer, or no answer in time
REFUSED = 4  # the peer answered, and did not accept
DEFECT = 70  # what nobody foresaw: EX_SOFTWARE of sysexits(3)
INTERRUPTED = 130  # Ctrl-C
PIPE = 141  # nobody reads the output any more


class Ended(Exception):
    """A command ends here, with this exit code and one line for the person who called it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoEngine(Ended):
    """No engine answers on this data folder."""

    def __init__(self, text: str) -> None:
        super().__init__(UNREACHABLE, text)
