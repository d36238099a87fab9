"""safetensors: a mapped file of named tensors, slices of which are copied."""

from pathlib import Path

import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

from adapters.arrays import sync


class _Table:
    def __init__(self, path: Path) -> None:
        self._file = safe_open(str(path), framework="numpy")
        self._values = None

    def gather(self, rows: numpy.ndarray) -> numpy.ndarray:
        return self.all()[rows]

    def slice(self, start: int, end: int) -> numpy.ndarray:
        return self._file.get_slice("values")[start:end]

    def all(self) -> numpy.ndarray:
        if self._values is None:
            self._values = self._file.get_tensor("values")
        return self._values


class Peer:
    package = "safetensors"
    layout = "a file an entry"
    durability = {"full": "written in place, fsync"}

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def store(self, name: str, values: numpy.ndarray) -> None:
        path = self._folder / name
        save_file({"values": values}, str(path))
        sync(path)

    def open(self, name: str, columns: int) -> _Table:
        return _Table(self._folder / name)

    def close(self) -> None:
        pass
