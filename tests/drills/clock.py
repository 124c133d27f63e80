"""The wall clock of an engine under drill: clock.c, built, preloaded, and set."""

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path


def settable(folder: Path) -> dict[str, str]:
    """An environ whose wall clock a drill can set; empty where there is no C compiler."""
    library, offset = folder / "clock.so", folder / "clock"
    offset.write_bytes(struct.pack("=q", 0))
    source = Path(__file__).with_name("clock.c")
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    try:
        subprocess.run(command, check=True, timeout=60)
    except FileNotFoundError:
        return {}
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}


def put(environ: Mapping[str, str], seconds: int) -> None:
    """The clock of that environ is so many seconds ahead; negative: behind."""
    # In its place: the engine has it mapped, and a file cut to nothing would kill it.
    with Path(environ["CLOCK_OFFSET"]).open("r+b") as offset:
        offset.write(struct.pack("=q", seconds))
