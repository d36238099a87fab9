"""A stored matrix that is, or becomes, one NumPy array."""

import os

import numpy


def sync(path) -> None:
    """Brings a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


class ArrayTable:
    def __init__(self, values: numpy.ndarray) -> None:
        self._values = values

    def gather(self, rows: numpy.ndarray) -> numpy.ndarray:
        return self._values[rows]

    def gather_into(self, rows: numpy.ndarray, out: numpy.ndarray) -> numpy.ndarray:
        # Any other mode than the default, which first copies to memory of its own.
        return numpy.take(self._values, rows, axis=0, out=out, mode="clip")

    def slice(self, start: int, end: int) -> numpy.ndarray:
        return self._values[start:end]

    def all(self) -> numpy.ndarray:
        return self._values
