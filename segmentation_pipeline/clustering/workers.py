"""Threads that leave no trace in the numbers: work is split by item, never inside a reduction.

What belongs here: running independent jobs on several cores. Which jobs there are belongs to the
modules that call it.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A number of threads, in each of which BLAS and OpenMP run on one thread.

    scikit-learn's K-Means adds its threads' partial sums in the order in which they finish, and a
    product split over threads may round differently: the last bits of both depend on the thread
    count, and labels near a border with them. One library thread for each job, and parallel jobs,
    keep both cores busy and give the same bits on any machine with the same kernels.

    Make one after importing the libraries whose threads it is to hold (scikit-learn's OpenMP).
    """

    def __init__(self, count: int) -> None:
        self._count = max(1, count)
        self._controller = _libraries(len(sys.modules))

    def map(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        on_done: Callable[[Item], None] | None = None,
    ) -> list[Result]:
        """Run `job` for every item; results in the order of the items.

        `on_done` is called in the caller's thread, in that order too. The first job that raises
        ends the map with its error; jobs that have not begun are dropped.
        """
        waiting = list(items)
        results = []
        # OpenBLAS has one limit for the process, held here; OpenMP has one for each thread.
        with (
            self._controller.limit(limits=1, user_api="blas"),
            ThreadPoolExecutor(min(self._count, max(1, len(waiting)))) as pool,
        ):
            for item, result in zip(
                waiting,
                pool.map(lambda item: self._run(job, item), waiting),
                strict=True,
            ):
                results.append(result)
                if on_done is not None:
                    on_done(item)
        return results

    def _run(self, job: Callable[[Item], Result], item: Item) -> Result:
        with self._controller.limit(limits=1, user_api="openmp"):
            return job(item)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:  # noqa: ARG001
    """Find the libraries with threads of their own, anew where modules were imported since.

    Looking through all that the process has loaded takes 4 ms, and a search makes 60 `Workers`.
    """
    return ThreadpoolController()
