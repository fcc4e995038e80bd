"""Apply a function to many items in several processes, results in the order of the items."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4  # results that may wait per worker, so that a slow reader does not fill the memory


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield `function(item)` for each item; what comes out does not depend on `workers`.

    Args:
        function: At the top of a module, as it is sent to other processes by name.
        items: Each is sent to a process.
        workers: Processes; 1 runs in this one.
    """
    if workers == 1:
        yield from map(function, items)
        return
    # A forked copy of a process with threads (tqdm has one) may hang; spawned ones start afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
