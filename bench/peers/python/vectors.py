"""Gathers rows for the numbers on each line of standard input, with NumPy and with Hugging Face datasets."""

import sys
import time

import numpy
from datasets import load_from_disk

path, folder, start, rows, columns = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
mapped = numpy.memmap(path, dtype="<f4", mode="r", offset=start, shape=(rows, columns))
dataset = load_from_disk(folder).with_format("numpy").select_columns(["embeddings"])
how = {
    "numpy": lambda picked: mapped[picked],
    "datasets": lambda picked: dataset[picked]["embeddings"],
}
float(mapped.sum())
print("ready", flush=True)
for line in sys.stdin:
    name, numbers = line.split(" ")
    picked = numpy.array([int(number) for number in numbers.split(",")])
    began = time.perf_counter_ns()
    found = how[name](picked)
    taken = time.perf_counter_ns() - began
    print(taken, float(numpy.asarray(found).sum(dtype="f8")), flush=True)
