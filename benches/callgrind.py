"""Counts instructions with callgrind. Used by the scripts of this folder."""
import json
import os
import re
import subprocess
import sys

FEW, MANY = 3, 13
# The start-up of a program varies by some hundred instructions. An operation below SHORT instructions runs VERY_MANY
# times, so that this does not affect its count.
SHORT, VERY_MANY = 100_000, 1003


def build(folder, package, program, *features):
    """Builds `program` with profile bench and returns its path."""
    command = ["cargo", "build", "--profile", "bench", "-p", package, "--bin", program, "--features", ",".join(features),
               "--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines())
    return [message["executable"] for message in messages if message.get("executable")][-1]


def instructions(*command):
    """The instructions of one operation. The last argument of the program says how often it runs, so the start-up can
    be subtracted."""
    few = collected(*command, FEW)
    count = (collected(*command, MANY) - few) // (MANY - FEW)
    return count if count >= SHORT else (collected(*command, VERY_MANY) - few) // (VERY_MANY - FEW)


def collected(*command):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, command)]
    # The arguments lie on the stack. Whether it lies as before a multiple of 4,096 bytes from a buffer on the heap
    # decides how the C library copies, so arguments and environment have the same length in every run.
    padding = "-" * (400 - sum(len(part) for part in command))
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PADDING": padding})
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode or not found:
        sys.exit(f"{' '.join(command)}: {result.stderr}")
    return int(found.group(1))
