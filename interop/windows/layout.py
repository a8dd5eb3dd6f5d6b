"""Writes a C program that compiles only if webauthn.h has the members where host/windows has them.

    layout.py HEADER LAYOUT: the header, for the members that it knows, and host/windows/src/abi/layout.rs
"""

import pathlib
import re
import sys

header, layout = (pathlib.Path(argument).read_text() for argument in sys.argv[1:])
structs = dict((name, body) for body, name in re.findall(r"\{([^{}]*)\}\s*(WEBAUTHN_\w+)\s*,", header))
members = 0
print("#include <stddef.h>\n#include <windows.h>\n#include <webauthn.h>\n")
for name, numbers in re.findall(r"layout!\(\s*(\w+), \d+,([^)]*)\)", layout):
    for member, offset in re.findall(r"(\w+) (\d+)", numbers):
        if re.search(rf"\b{member}\b", structs.get(name, "")):
            print(f'_Static_assert(offsetof({name}, {member}) == {offset}, "{name}.{member}");')
            members += 1
if members < 80:
    sys.exit(f"only {members} members are known")
print(f"// {members} members")
