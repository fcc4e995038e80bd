"""How a command of this project ends: one clear line for what a user can mend."""

import sys
from collections.abc import Callable


def run_stage(main: Callable[[], None]) -> int:
    """Run a command; print `error: …` for bad input, keep the traceback of a bug.

    Returns:
        The exit status: 0, or 1 after a `ValueError` or `OSError`.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
