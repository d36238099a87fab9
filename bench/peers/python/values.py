"""What is stored: the formulas of ../values.ts."""

import hashlib

import numpy


def bytes_of(size: int, seed: int) -> bytes:
    index = numpy.arange(size, dtype=numpy.uint64)
    return ((index * 31 + seed * 7 + (index >> 8)) & 255).astype(numpy.uint8).tobytes()


def key_at(size: int, index: int) -> str:
    return f"blob-{size}-{index}"


def matrix(rows: int, columns: int) -> numpy.ndarray:
    index = numpy.arange(rows * columns, dtype=numpy.int64)
    return ((index * 7) % 1013).astype(numpy.float32).reshape(rows, columns)


def random_rows(rows: int, count: int, turn: int) -> numpy.ndarray:
    index = numpy.arange(count, dtype=numpy.int64)
    return ((index + turn * count) * 7919 + turn) % rows


def digest_of(values) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(value)
    return digest.hexdigest()
