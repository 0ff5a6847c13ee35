"""Workers: the tilesets of a benchmark in several processes, one thread each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

from terraficta.eval.benchmark.arms import Arm
from terraficta.eval.benchmark.benchmark import Step, Task, work_on
from terraficta.eval.benchmark.lineup import Arms
from terraficta.eval.benchmark.recipe import BenchmarkRecipe
from terraficta.synth.corpus.workers import start_worker, worker_pool

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    Steps = Queue[Step]

WAIT_S = 0.2
"""between looks at the processes while no cell is reported [s]"""

MakeArms = Callable[[], Arms]
"""makes the arms in a process of its own; can be pickled"""


class Workers:
    """Processes that work on tilesets, the largest first.

    Each makes the arms for itself and writes its cells to disk; what it reads of a tileset is kept there too.

    Parameters
    ----------
    recipe : BenchmarkRecipe
        amounts
    make : MakeArms
        gives the arms
    out : Path
        folder of the benchmark
    count : int
        processes; no more than there are tilesets
    """

    def __init__(self, recipe: BenchmarkRecipe, make: MakeArms, out: Path, count: int) -> None:
        self._recipe, self._make, self._out, self._count = recipe, make, out, count

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Step]:
        """Do the tasks; steps come as they are done, and an error of a worker is raised here."""
        if not tasks:
            return
        steps: Steps = multiprocessing.get_context("spawn").Queue()
        given = (steps, self._recipe, self._make, self._out)
        largest_first = sorted(tasks, key=lambda task: -task.size)
        with worker_pool(min(self._count, len(tasks)), _start, given) as pool:
            yield from _reported(steps, [pool.submit(_work, task) for task in largest_first])


def _reported(steps: Steps, futures: Sequence[Future[int]]) -> Iterator[Step]:
    """Steps until every task is done and all its steps are told."""
    told = 0
    while True:
        try:
            yield steps.get(timeout=WAIT_S)
            told += 1
        except Empty:
            finished = wait(futures, 0, FIRST_EXCEPTION).done
            if told == sum(future.result() for future in finished) and len(finished) == len(futures):
                return


_GIVEN: list[tuple[Steps, BenchmarkRecipe, Mapping[str, Arm], Path]] = []
"""of a worker: what it was started with"""


def _start(steps: Steps, recipe: BenchmarkRecipe, make: MakeArms, out: Path) -> None:
    start_worker()
    _GIVEN[:] = [(steps, recipe, make().arms, out)]


def _work(task: Task) -> int:
    """Do a task in a worker; how many steps it reported."""
    steps, recipe, arms, out = _GIVEN[0]
    count = 0
    for step in work_on(task, recipe, arms, out):
        steps.put(step)
        count += 1
    return count
