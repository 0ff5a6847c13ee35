"""The cluster: the same tasks on the workers of a dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from terraficta.synth.types.refusal import Refusal, last_line

TASKS_A_THREAD = 2
"""tasks that are handed out ahead: enough that nobody waits, few enough that memory does not grow with the corpus"""
TIMEOUT_S = 30
"""how long a scheduler may take to answer"""


def spread(
    address: str, work: Callable[[Path, range, str], int], folder: Path, tasks: Sequence[range], device: str
) -> Iterator[int]:
    """Do the tasks on a cluster; yields what each returns, in the order in which they are finished.

    A task of a worker that is lost goes to another: it writes the same bytes, and what was half written is replaced.

    Parameters
    ----------
    address : str
        of a dask scheduler, e.g. tcp://10.0.0.1:8786
    work : Callable[[Path, range, str], int]
        a function of folder, task and device
    folder : Path
        that all workers see under this path
    tasks : Sequence[range]
        what is to be done
    device : str
        for all workers

    Raises
    ------
    Refusal
        no dask here, nobody at the address, workers that die at the same task again and again
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        mend = 'pip install "terraficta[cluster]"'
        raise Refusal("--scheduler", "dask", "no dask.distributed here", "it installed", mend) from error
    try:
        client = Client(address, timeout=TIMEOUT_S)
    except (OSError, ValueError) as error:
        mend = "start one with `dask scheduler`, workers with `dask worker ADDRESS`, and check the address"
        raise Refusal("--scheduler", "address", f"{address}: {last_line(error)}", "a dask scheduler", mend) from error
    with client:
        left = iter(tasks)
        ahead = TASKS_A_THREAD * max(1, sum(client.nthreads().values()))
        submit = lambda task: client.submit(work, folder, task, device, pure=False)  # noqa: E731
        under_way = as_completed([submit(task) for task in islice(left, ahead)])
        for future in under_way:
            try:
                yield future.result()
            except KilledWorker as error:
                mend = "look into its log; most often it has too little memory: make --size smaller, or give it more"
                found = last_line(error)
                raise Refusal("--scheduler", "worker", found, "one that stays alive", mend) from error
            for task in islice(left, 1):
                under_way.add(submit(task))
