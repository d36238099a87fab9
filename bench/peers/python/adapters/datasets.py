"""datasets of Hugging Face: Arrow files, rows by number, decoded into NumPy."""

import shutil
from pathlib import Path

import datasets
import numpy

datasets.disable_progress_bars()


class _Table:
    def __init__(self, path: Path) -> None:
        self._rows = datasets.load_from_disk(str(path)).with_format("numpy")

    def gather(self, rows: numpy.ndarray) -> numpy.ndarray:
        return self._rows[rows]["vector"]

    def slice(self, start: int, end: int) -> numpy.ndarray:
        return self._rows[start:end]["vector"]

    def all(self) -> numpy.ndarray:
        return self._rows[:]["vector"]


class Peer:
    package = "datasets"
    layout = "columns"
    durability = {"process": "Arrow files, not synced"}

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def store(self, name: str, values: numpy.ndarray) -> None:
        features = datasets.Features(
            {"vector": datasets.Sequence(datasets.Value("float32"), length=values.shape[1])}
        )
        path = self._folder / name
        shutil.rmtree(path, ignore_errors=True)
        rows = datasets.Dataset.from_dict({"vector": values}, features=features)
        rows.save_to_disk(str(path))

    def open(self, name: str, columns: int) -> _Table:
        return _Table(self._folder / name)

    def close(self) -> None:
        pass
