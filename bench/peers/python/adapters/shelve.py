"""shelve: pickles in a dbm file, for one writer."""

import shelve
from pathlib import Path


class Peer:
    package = ""
    layout = "one file"
    durability = {"process": "dbm, not synced"}

    def __init__(self, folder: str) -> None:
        self._shelf = shelve.open(str(Path(folder) / "shelf"))

    def set(self, key: str, value: bytes) -> None:
        self._shelf[key] = value

    def set_many(self, pairs) -> None:
        for key, value in pairs:
            self._shelf[key] = value

    def get(self, key: str):
        return self._shelf.get(key)

    def close(self) -> None:
        self._shelf.close()
