"""Many small fits at once, with the same result whatever the number of threads."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from joblib import Parallel, delayed

T = TypeVar("T")
R = TypeVar("R")


@cache
def _thread_pools() -> Any:
    # Imported late and kept: scanning the loaded libraries costs more than a small fit.
    import sklearn.cluster  # noqa: F401  (its OpenMP library must be loaded to be found)
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def map_in_threads(function: Callable[[T], R], tasks: Iterable[T], *, n_jobs: int) -> list[R]:
    """`[function(task) for task in tasks]` on `n_jobs` threads; each task computes on one.

    A library that splits one small fit over threads adds their sums in the order in which they
    finish, so that the last bits vary from run to run, and waits more than it computes.
    """
    pools = _thread_pools()

    def run(task: T) -> R:
        # OpenMP's limit belongs to the calling thread, BLAS's to the whole process: set the
        # second once outside, or two threads restore each other's value in the wrong order.
        with pools.limit(limits=1, user_api="openmp"):
            return function(task)

    with pools.limit(limits=1, user_api="blas"):
        if n_jobs == 1:
            return [run(task) for task in tasks]
        results: list[R] = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(run)(task) for task in tasks
        )
        return results
