"""The workers: tasks done one after another here, in several processes, or on the workers of a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from terraficta.synth.types.refusal import Refusal

Task = TypeVar("Task")
Result = TypeVar("Result")


def require_workers(workers: int) -> None:
    """Refuse a number of processes that is none."""
    if workers < 1:
        raise Refusal("--workers", "workers", workers, "1 or more processes", "write --workers 2")


def work_through(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int = 1,
    device: str = "cpu",
    scheduler: str | None = None,
) -> Iterator[Result]:
    """Do tasks that do not hang on each other; yields what each returns, in the order in which they are finished.

    Parameters
    ----------
    work : Callable[[Task], Result]
        a function at the top level of a module, or a partial of one
    tasks : Sequence[Task]
        what it is called with
    workers : int
        processes, each with one thread; on a GPU the work stays in one
    device : str
        cpu or cuda
    scheduler : str | None
        address of a dask scheduler whose workers do the work in place of processes here
    """
    require_workers(workers)
    if scheduler is not None:
        from terraficta.synth.corpus.cluster import spread

        yield from spread(scheduler, work, tasks)
        return
    if workers == 1 or device != "cpu" or len(tasks) <= 1:
        for task in tasks:
            yield work(task)
        return
    with worker_pool(min(workers, len(tasks))) as pool:
        for future in as_completed([pool.submit(work, task) for task in tasks]):
            yield future.result()


@contextmanager
def worker_pool(
    count: int, start: Callable[..., None] | None = None, given: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """So many processes with one thread each, which are ended at once where the work in them breaks off.

    Parameters
    ----------
    start : Callable[..., None] | None
        called in each process before its work, in place of `start_worker`, which it calls itself
    given : tuple[Any, ...]
        what `start` is called with
    """
    # spawned, not forked: a forked process inherits the locks of torch's and GDAL's threads
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, context, initializer=start or start_worker, initargs=given) as pool:
        try:
            yield pool
        except BaseException:  # an interrupt too: do not wait for what is under way
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


def start_worker() -> None:
    """Make a spawned process a worker of its parent: one thread, no interrupt of its own, and no life after it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End this worker when its parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
