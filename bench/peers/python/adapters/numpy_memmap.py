"""NumPy over a mapped npy file."""

from pathlib import Path

import numpy

from adapters.arrays import ArrayTable, sync


class Peer:
    package = "numpy"
    layout = "a file an entry"
    durability = {"full": "written in place, fsync"}

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def store(self, name: str, values: numpy.ndarray) -> None:
        path = self._folder / f"{name}.npy"
        numpy.save(path, values)
        sync(path)

    def open(self, name: str, columns: int) -> ArrayTable:
        return ArrayTable(numpy.load(self._folder / f"{name}.npy", mmap_mode="r"))

    def close(self) -> None:
        pass
