"""What a figure finds in memory, as ../page-cache.ts has it."""

import subprocess


def bring_into_memory(folder: str) -> None:
    """Reads all files below a folder, by programs of their own; those that are removed meanwhile are passed over."""
    command = ["find", folder, "-type", "f", "-exec", "cat", "{}", "+"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
