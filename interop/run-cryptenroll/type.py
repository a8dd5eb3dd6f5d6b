"""type.py LINE COMMAND...: runs the command on a terminal of its own, and types the line when it asks for a PIN."""

import os
import pty
import sys

line, command = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, typed = b"", False
while True:
    try:
        piece = os.read(terminal, 1024)
    except OSError:  # the command has closed its end
        break
    if not piece:
        break
    shown += piece
    if not typed and b"PIN" in shown:
        os.write(terminal, line.encode() + b"\n")
        typed = True
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
