"""diskcache: SQLite, with values above 32 KB in files."""

from pathlib import Path

import diskcache


class Peer:
    package = "diskcache"
    layout = "packed"
    durability = {"process": "WAL, synchronous NORMAL"}

    def __init__(self, folder: str) -> None:
        self._cache = diskcache.Cache(str(Path(folder) / "diskcache"), size_limit=2**40)

    def set(self, key: str, value: bytes) -> None:
        self._cache.set(key, value)

    def set_many(self, pairs) -> None:
        with self._cache.transact():
            for key, value in pairs:
                self._cache.set(key, value)

    def get(self, key: str):
        return self._cache.get(key)

    def close(self) -> None:
        self._cache.close()
