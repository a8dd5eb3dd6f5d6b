"""python-fido2 against `keyfob serve`. Usage: check.py PATH-TO-KEYFOB"""

import logging
import sys

import ceremonies  # noqa: F401 - each of these adds its checks
import fingers  # noqa: F401
import pin  # noqa: F401
import policies  # noqa: F401
import transport  # noqa: F401
import u2f  # noqa: F401
from runner import run

# "Channel busy, trying again": one of the checks provokes it.
logging.getLogger("fido2.hid").setLevel(logging.ERROR)
sys.exit(1 if run(sys.argv[1]) else 0)
