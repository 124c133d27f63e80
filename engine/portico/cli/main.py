"""`portico`: finds the command, runs it, and turns every error into one line and a code."""

import functools
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from portico.cli import exits
from portico.cli.exits import Ended
from portico.cli.table import COMMANDS
from portico.errors import ConfigError, JournalError, PorticoError

_UNASKED = "nothing was done: nobody answers; --yes asks nothing"
_HELP = "Portico, a healthcare interface engine. Exit codes: docs/commands.md."


class Commands(TyperGroup):
    """All commands. The help is made from the table; a command is loaded when it is called."""

    def __init__(self) -> None:
        named: dict[str, Any] = {
            name: TyperCommand(name, help=command.summary, rich_help_panel=command.panel)
            for name, command in COMMANDS.items()
        }
        super().__init__(name="portico", help=_HELP, commands=named, no_args_is_help=True)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, loaded."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and load(name), rest

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)


def load(name: str) -> Any:
    """The command of that name."""
    return typer.main.get_command(made(name))


def made(name: str) -> typer.Typer:
    """The command of that name, or the group of its commands, for typer."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    held = typer.Typer(add_completion=False, no_args_is_help=True, help=COMMANDS[name].summary)
    for called, function in (found if isinstance(found, dict) else {name: found}).items():
        held.command(called)(fenced(function))
    return held


def fenced(command: Callable[..., int]) -> Callable[..., None]:
    """The command for typer: what it returns or raises becomes the exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except (KeyboardInterrupt, typer.Abort) as end:
            text = _UNASKED if isinstance(end, typer.Abort) else "interrupted"
            code = _say(exits.INTERRUPTED, text)
        except BrokenPipeError:
            code = _unread()
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:  # noqa: BLE001  the fence of the command line
            code = _end(error)
        if code:
            raise typer.Exit(code)

    return run


def _end(error: Exception) -> int:
    """Says what ended a command, on one line; the exit code."""
    match error:
        case Ended():
            return _say(error.code, str(error))
        case JournalError():
            return _say(exits.UNREACHABLE, str(error))
        case ConfigError():
            return _say(exits.FAILED, str(error))
        case PorticoError():
            return _say(exits.FAILED, f"{error}  [{error.code}]")
        case OSError():
            text = f"{error.filename or ''}: {error.strerror or error}"
            return _say(exits.USAGE, text)
        case _:
            return _say(exits.DEFECT, _defect(error))


def _say(code: int, text: str) -> int:
    print(f"portico: {text.lstrip(': ')}", file=sys.stderr)
    return code


def _defect(error: Exception) -> str:
    """Its type and its way, innermost last; not its words, which may quote a patient."""
    way = (
        f"{Path(one.filename).name}:{one.lineno}"
        for one in traceback.extract_tb(error.__traceback__)[1:]
    )
    return f"a defect of Portico, please report it: {type(error).__name__} in {' '.join(way)}"


def _unread() -> int:
    """Keep the interpreter from flushing into the broken pipe once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _say(exits.PIPE, "nobody reads the output any more")


app = Commands()
