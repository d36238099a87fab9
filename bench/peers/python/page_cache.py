"""What a figure finds in memory, as ../page-cache.ts has it."""

import subprocess


def bring_into_memory(folder: str) -> None:
    """Reads all files below a folder, by programs of their own."""
    subprocess.run(["find", folder, "-type", "f", "-exec", "cat", "{}", "+"], stdout=subprocess.DEVNULL, check=True)
