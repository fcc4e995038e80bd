"""How a command of this project ends: one clear line for what a user can mend."""

import sys
from collections.abc import Callable

INTERRUPTED = 130  # 128 + SIGINT


def run_stage(main: Callable[[], None]) -> int:
    """Run a command; print `error: …` for bad input, keep the traceback of a bug.

    Returns:
        The exit status: 0, 1 after a `ValueError` or `OSError`, or 130 after Ctrl-C, as of a shell.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0
