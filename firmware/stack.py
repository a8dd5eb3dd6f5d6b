#!/usr/bin/env python3
"""Reads off a linked program what its machines cost: flash, static RAM, and the stack below each machine.

    stack.py PROGRAM [--levels [MACHINE:]FUNCTION=N]... [--max-stack MACHINE=BYTES]...
        [--max-code MACHINE=BYTES]...

A machine is a function X beside which the program notes the size of its state as `state_of_X`. Its code is the sum of the
functions it can reach, those of a vtable that it uses included, so machines share some. Its stack is the deepest path through
the call graph that the disassembly shows, with frames from the compiler (.stack_sizes) and, for the few precompiled routines
that have none, from the instructions that move the stack pointer. What such a walk cannot know is said in the table: calls
through a register are not followed, but for those of THROUGH, and a recursive function counts once unless --levels bounds how
often it can be on the stack.

Fails when the program holds a panic, an allocator or formatting, or when a machine takes more than --max-stack or
--max-code.
"""
import argparse
import collections
import copy
import itertools
import re
import struct
import subprocess
import sys

TOOLS = 'arm-none-eabi-'
ALLOCATOR = re.compile(r'__rust_(re|de)?alloc|__rg_|\balloc::|\bmalloc\b')
PANIC = re.compile(r'core(\[\w+\])?::(panicking|result::unwrap_failed|option::(unwrap|expect)_failed)|keyfob_panicked|rust_begin_unwind')
FORMAT = re.compile(r'core(\[\w+\])?::fmt')

# Where calls through a register go, as (machine, function, targets): in that machine, those in the functions whose names match go
# to those that match. The first rule for a function counts.
OPERATION = 'as keyfob_core::client::operation::AnyOperation.*::'
THROUGH = [
    # Of what is read by a function, an authenticator's messages have COSE keys and algorithms.
    ('engine', r'Reader>::check$', r'cose::.* as .*::SHAPE::\{closure'),
    (None, r'Reader>::check$', r'SHAPE::\{closure'),
    *((machine, 'Ceremony<dyn .*::' + function, ceremony + OPERATION + method)
      for machine, ceremony in [('client_make_credential', 'MakeCredential '), ('client_get_assertion', 'GetAssertion '), ('client', '')]
      for function, method in [('learn', 'examine'), ('command', 'request'), ('', '(?!examine)')]),
]

Function = collections.namedtuple('Function', 'name address size')


class Elf:
    """Sections and symbols of a 32-bit little-endian ELF file."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            self.data = file.read()
        if self.data[:6] != b'\x7fELF\x01\x01':
            sys.exit(f'{path}: not a 32-bit little-endian ELF file')
        offset, = struct.unpack_from('<I', self.data, 32)
        size, count, names = struct.unpack_from('<HHH', self.data, 46)
        headers = [struct.unpack_from('<10I', self.data, offset + size * n) for n in range(count)]
        self.headers = headers
        self.sections = {self.text(headers[names][4] + header[0]): header for header in headers}

    def text(self, offset):
        return self.data[offset:self.data.index(b'\0', offset)].decode()

    def size(self, *sections):
        return sum(self.sections[name][5] for name in sections if name in self.sections)

    def content(self, section):
        _, _, _, _, offset, size, *_ = self.sections[section]
        return self.data[offset:offset + size]

    def symbols(self):
        """(name, value, size, type, section index)"""
        _, _, _, _, offset, size, link, *_ = self.sections['.symtab']
        for at in range(offset, offset + size, 16):
            name, value, length, info, _, section = struct.unpack_from('<IIIBBH', self.data, at)
            yield self.text(self.headers[link][4] + name), value, length, info & 15, section

    def stack_sizes(self):
        """Frame sizes by function address: an address and a ULEB128 number each."""
        data, at, sizes = self.content('.stack_sizes'), 0, {}
        while at < len(data):
            address, = struct.unpack_from('<I', data, at)
            at, shift, size = at + 4, 0, 0
            while True:
                byte, at = data[at], at + 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            sizes[address & ~1] = size
        return sizes


class Program:
    """The functions of a program, their frames and their calls."""

    def __init__(self, path):
        self.elf = Elf(path)
        self.functions, self.states, self.addresses = {}, {}, {}
        symbols = list(self.elf.symbols())
        names = subprocess.run([TOOLS + 'c++filt'], input='\n'.join(symbol[0] for symbol in symbols), text=True,
                               capture_output=True, check=True).stdout.split('\n')
        for (raw, value, size, kind, section), name in zip(symbols, names):
            if kind == 2 and section:  # STT_FUNC, defined
                name = re.sub(r'\[[0-9a-f]{8,}\]', '', name)  # crate hashes
                self.functions[value & ~1] = Function(name, value & ~1, size)
                self.addresses[raw] = value & ~1  # merged functions share one
            elif raw.startswith('state_of_'):
                self.states[raw.removeprefix('state_of_')] = struct.unpack_from('<I', self.elf.content('.machines'), value)[0]
        self.names = set(names)
        self.frames = self.elf.stack_sizes()
        self.estimated = set()
        # A call keeps the caller's frame; before a tail jump the frame is already released.
        self.calls = collections.defaultdict(set)
        self.jumps = collections.defaultdict(set)
        # The functions whose addresses a function knows: calls through a register can go to them.
        self.references = collections.defaultdict(set)
        self.indirect = collections.Counter()
        self.lines = []
        self.disassemble(path)

    def disassemble(self, path):
        listing = subprocess.run([TOOLS + 'objdump', '-d', '--no-show-raw-insn', path], text=True, capture_output=True,
                                 check=True).stdout
        starts = sorted(self.functions)
        bodies = collections.defaultdict(list)
        current = iter(starts)
        here, after = None, next(current, None)
        for line in listing.split('\n'):
            match = re.match(r'\s*([0-9a-f]+):\t(\S+)\s*(.*)', line)
            if not match:
                continue
            address = int(match[1], 16)
            while after is not None and address >= after:
                here, after = after, next(current, None)
            # After the end of a function comes padding.
            if here is not None and (address < here + self.functions[here].size or not self.functions[here].size):
                bodies[here].append((match[2], match[3]))
                self.lines.append((address, here, match[3]))
        for address, body in bodies.items():
            self.edges(address, body)
            self.references[address] = {target for value in constants(body) for target in self.pointed_at(value)}
            if address not in self.frames:
                self.frames[address] = frame(body)
                self.estimated.add(address)
        self.direct = (self.calls, self.indirect)

    def pointed_at(self, value):
        """The function at an address, or those of the vtable at an address: drop, size, alignment, and methods."""
        function = lambda word: word & 1 and word & ~1 in self.functions
        if function(value):
            return {value & ~1}
        at = value - self.elf.sections['.rodata'][3]
        words = memoryview(self.elf.content('.rodata')[at & ~3:] if at >= 0 else b'')
        words = [word for word, in struct.iter_unpack('<I', words[:len(words) & ~3][:4 * 64])]
        if at & 3 or len(words) < 4 or not (words[0] == 0 or function(words[0])) or words[2] not in (1, 2, 4, 8):
            return set()
        methods = itertools.takewhile(function, words[3:])
        return {word & ~1 for word in [words[0], *methods] if word}

    def follow(self, machine):
        """Adds the calls through a register that THROUGH knows in this machine, in place of another's."""
        self.calls, self.indirect = copy.deepcopy(self.direct)
        for only, name, target in THROUGH:
            targets = {address for address, function in self.functions.items() if re.search(target, function.name)}
            for address, function in self.functions.items():
                if only in (None, machine) and targets and re.search(name, function.name) and self.indirect.pop(address, 0):
                    self.calls[address] |= targets

    def edges(self, address, body):
        function = self.functions[address]
        for operation, operands in body:
            mnemonic = operation.split('.')[0]
            if mnemonic in ('blx', 'bx') and re.match(r'(r\d+|ip|fp|sl)\b', operands):
                self.indirect[address] += 1
            elif mnemonic.startswith('b') or mnemonic in ('cbz', 'cbnz'):
                target = re.search(r'\b([0-9a-f]+) <', operands)
                if not target or mnemonic in ('bic', 'bics', 'bfi', 'bfc', 'bkpt'):
                    continue
                target = int(target[1], 16)
                if mnemonic in ('bl', 'blx'):
                    self.calls[address].add(target)
                elif not function.address <= target < function.address + max(function.size, 1):
                    self.jumps[address].add(target)
        for target in self.calls[address] | self.jumps[address]:
            if target not in self.functions:
                sys.exit(f'{function.name} calls 0x{target:x}, which is no function')

    def sites(self, path, pattern):
        """The source lines from which matching functions are called. A call that several places share has all their
        lines."""
        match = {address for address, function in self.functions.items() if pattern.search(function.name)}
        calls = {address for address, here, operands in self.lines
                 if here not in match and any(operands.startswith(f'{target:x} <') for target in match)}
        shared = {address for address, _, operands in self.lines for call in calls if f'{call:x} <' in operands}
        for address in sorted(calls | shared):
            frames = subprocess.run([TOOLS + 'addr2line', '-ie', path, hex(address)], text=True, capture_output=True,
                                    check=True).stdout.split()
            ours = [line for line in frames if '/rustc/' not in line and '/registry/' not in line]
            yield f'0x{address:x} ' + ' < '.join('/'.join(line.split('/')[-3:]) for line in ours[:3])

    def reach(self, start, without=frozenset(), references=True):
        """The functions that `start` can reach without passing through `without`."""
        seen, todo = set(), [start]
        while todo:
            address = todo.pop()
            if address not in seen and address not in without:
                seen.add(address)
                todo += self.calls[address] | self.jumps[address] | (self.references[address] if references else set())
        return seen

    def cycles(self, addresses):
        """Groups of functions that call each other, smallest first to be called."""
        reach = {address: self.reach(address, references=False) for address in addresses}
        groups = {}
        for address in addresses:
            if any(address in reach[to] for to in self.calls[address] | self.jumps[address]):
                group = frozenset(other for other in reach[address] if address in reach[other])
                groups.update((member, group) for member in group)
        return groups

    def stack(self, start, levels):
        """The deepest path from `start`: bytes, path, and the recursive functions without a bound."""
        groups = self.cycles(self.reach(start, references=False))
        unbounded, memo = set(), {}

        def depth(address):
            group = groups.get(address, frozenset([address]))
            if group in memo:
                return memo[group]
            if address in groups:
                bound = [count for name, count in levels.items()
                         for member in group if self.functions[member].name.endswith(name)]
                if not bound:
                    unbounded.update(self.functions[member].name for member in group)
                own = sum(self.frames[member] for member in group) * max(bound, default=1)
            else:
                own = self.frames[address]
            best = (own, [address])
            for member in group:
                for target in self.calls[member] - group:
                    below, path = depth(target)
                    best = max(best, (own + below, [address] + path))
                for target in self.jumps[member] - group:
                    below, path = depth(target)
                    best = max(best, ((own if address in groups else 0) + below, [address] + path))
            memo[group] = best
            return best

        return *depth(start), unbounded


def constants(body):
    """The 32-bit constants that instructions load: words beside them, and pairs of halves."""
    halves = {}
    for operation, operands in body:
        match = re.match(r'(\w+), #(\d+)', operands)
        if operation == '.word':
            yield int(operands.split()[0], 16)
        elif operation == 'movw' and match:
            halves[match[1]] = int(match[2])
        elif operation == 'movt' and match and match[1] in halves:
            yield int(match[2]) << 16 | halves.pop(match[1])


def frame(body):
    """The stack that straight-line instructions use, for routines without a size from the compiler."""
    size = 0
    for operation, operands in body:
        mnemonic = operation.split('.')[0]
        if mnemonic in ('push', 'vpush') or (mnemonic == 'stmdb' and operands.startswith('sp!')):
            registers = operands[operands.index('{') + 1:operands.index('}')]
            for part in registers.split(','):
                first, _, last = part.strip().partition('-')
                count = int(last[1:]) - int(first[1:]) + 1 if last else 1
                size += count * (8 if first.startswith('d') else 4)
        elif match := re.match(r'sp, (?:sp, )?#(\d+)', operands):
            size += int(match[1]) if mnemonic in ('sub', 'subw') else 0
        elif match := re.match(r'\w+, (?:\w+, )?\[sp, #-(\d+)\]!', operands):
            size += int(match[1])
    return size


def short_name(name):
    """The last part of a path, without its type arguments."""
    while (plain := re.sub(r'::<[^<>]*>|<[^<>]*>', '', name)) != name and plain.rpartition('::')[2]:
        name = plain
    return name.rpartition('::')[2]


def pairs(arguments):
    return {name: int(value) for name, value in (argument.split('=') for argument in arguments)}


def over(what, sizes, limits):
    return [f'{machine} takes {size} bytes of {what}, allowed are {limits[machine]}'
            for machine, size in sizes.items() if size > limits.get(machine, size)]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1].strip())
    parser.add_argument('program')
    parser.add_argument('--levels', action='append', default=[])
    parser.add_argument('--max-stack', action='append', default=[])
    parser.add_argument('--max-code', action='append', default=[])
    arguments = parser.parse_args()
    levels, max_stack, max_code = pairs(arguments.levels), pairs(arguments.max_stack), pairs(arguments.max_code)
    program = Program(arguments.program)
    elf, failures, notes, stacks, codes = program.elf, [], [], {}, {}

    print(f'flash       {elf.size(".text", ".rodata", ".data"):7} bytes (.text {elf.size(".text")}, '
          f'.rodata {elf.size(".rodata")}, .data {elf.size(".data")})')
    print(f'static RAM  {elf.size(".data", ".bss"):7} bytes (.data {elf.size(".data")}, .bss {elf.size(".bss")})')
    for what, pattern in (('allocator', ALLOCATOR), ('panicking', PANIC), ('formatting', FORMAT)):
        found = sorted(name for name in program.names if pattern.search(name))
        print(f'{what:11} {len(found):7} symbols')
        if found:
            failures.append(f'{what} symbols: {", ".join(found)}')

    print(f'\n{"machine":32} {"code":>7} {"state":>7} {"stack":>7}   deepest path')
    for machine, state in program.states.items():
        if machine not in program.addresses:
            failures.append(f'{machine} was inlined or removed: its cost is not known')
            continue
        start = program.addresses[machine]
        program.follow(machine)
        reached = program.reach(start)
        bounds = {name: count for name, count in levels.items() if ':' not in name}
        bounds |= {name.partition(':')[2]: count for name, count in levels.items() if name.startswith(machine + ':')}
        stack, path, unbounded = program.stack(start, bounds)
        mark = ''
        if unbounded:
            mark = '+'
            notes.append(f'{machine}: recursive, counted once: {", ".join(sorted(unbounded))}')
        if indirect := {program.functions[a].name: program.indirect[a] for a in reached if program.indirect[a]}:
            mark = '+'
            notes.append(f'{machine}: calls through a register, not followed: '
                         + ', '.join(f'{name} ({count})' for name, count in sorted(indirect.items())))
        code = sum(program.functions[address].size for address in reached)
        trail = ' > '.join(short_name(program.functions[address].name) for address in path[1:])
        print(f'{machine:32} {code:7} {state:7} {stack:7}{mark or " "}  {trail}')
        stacks[machine], codes[machine] = stack, code

    if program.estimated:
        names = sorted(program.functions[address].name for address in program.estimated)
        notes.append(f'frames read from instructions: {", ".join(names)}')
    for function, count in sorted(levels.items()):
        notes.append(f'recursion: {function} counts {count} times')
    if any(failure.startswith('panicking') for failure in failures):
        failures += [f'panics at {site}' for site in program.sites(arguments.program, PANIC)]
    failures += over('stack', stacks, max_stack) + over('code', codes, max_code)
    for machine in (max_stack.keys() | max_code.keys()) - program.states.keys():
        failures.append(f'a limit names {machine}, which is no machine')
    print('\n' + '\n'.join(notes))
    for failure in failures:
        print(f'FAILED: {failure}')
    sys.exit(bool(failures))


if __name__ == '__main__':
    main()
