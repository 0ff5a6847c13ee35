"""The cluster: the same tasks on the workers of a dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from terraficta.synth.types.refusal import Refusal, last_line

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_A_THREAD = 2
"""tasks that are handed out ahead: enough that nobody waits, few enough that memory does not grow with the corpus"""
TIMEOUT_S = 30
"""how long a scheduler may take to answer"""


def connect(address: str) -> Any:
    """A client of a dask scheduler, to be closed.

    Raises
    ------
    Refusal
        no dask here, nobody at the address
    """
    try:
        from distributed import Client
    except ImportError as error:
        mend = 'pip install "terraficta[cluster]"'
        raise Refusal("--scheduler", "dask", "no dask.distributed here", "it installed", mend) from error
    try:
        return Client(address, timeout=TIMEOUT_S)
    except (OSError, ValueError) as error:
        mend = "start one with `dask scheduler`, workers with `dask worker ADDRESS`, and check the address"
        raise Refusal("--scheduler", "address", f"{address}: {last_line(error)}", "a dask scheduler", mend) from error


def spread(address: str, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """Do the tasks on a cluster; yields what each returns, in the order in which they are finished.

    A task of a worker that is lost goes to another: it writes the same bytes, and what was half written is replaced.

    Parameters
    ----------
    address : str
        of a dask scheduler, e.g. tcp://10.0.0.1:8786
    work : Callable[[Task], Result]
        a function at the top level of a module, or a partial of one; files that it names are seen by all workers
    tasks : Sequence[Task]
        what it is called with

    Raises
    ------
    Refusal
        as in `connect`, and workers that die at the same task again and again
    """
    client = connect(address)
    from distributed import KilledWorker, as_completed

    with client:
        left = iter(tasks)
        ahead = TASKS_A_THREAD * max(1, sum(client.nthreads().values()))
        submit = lambda task: client.submit(work, task, pure=False)  # noqa: E731
        under_way = as_completed([submit(task) for task in islice(left, ahead)])
        for future in under_way:
            try:
                yield future.result()
            except KilledWorker as error:
                mend = "look into its log; most often it has too little memory: give it more, or ask for smaller tiles"
                found = last_line(error)
                raise Refusal("--scheduler", "worker", found, "one that stays alive", mend) from error
            for task in islice(left, 1):
                under_way.add(submit(task))
