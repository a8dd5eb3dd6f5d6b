#!/usr/bin/env python3
"""Writes the seeds: real messages, so that the fuzzers start inside the format and not at its door."""
import pathlib

HERE = pathlib.Path(__file__).parent

VECTORS = HERE.parent.parent / 'core' / 'vectors'


def vectors():
    """Name, type and CBOR of the messages that the tests of core read too."""
    for block in (VECTORS / 'messages.txt').read_text().split('\n\n[')[1:]:
        name, members = block.split(']\n', 1)
        members = dict(line.split(' =', 1) for line in members.splitlines())
        yield name, members['type'].strip(), members['hex'].strip()


EXTENSIONS = [(name, kind, text) for name, kind, text in vectors() if kind.startswith(('extensions', 'hmac_secret'))]
KEYS = [(name, kind, text) for name, kind, text in vectors() if kind == 'CoseKey']
MESSAGES = [vector for vector in vectors() if vector not in EXTENSIONS + KEYS]

U2F = [
    ('version', 'python-fido2 tests/test_ctap1.py', '000300000000000000'),
    ('register', 'python-fido2 tests/test_ctap1.py',
     '00010000000040' '4142d21c00d94ffb9d504ada8f99b721f4b191ae4e37ca0140f696b6983cfacb'
     'f0e6a6a97042a4f1f1c87f5f7d44315b2d852c2df5c7991cc66241bf7072d1c4' '0000'),
    ('register_short', 'the same in short encoding',
     '0001000040' '4142d21c00d94ffb9d504ada8f99b721f4b191ae4e37ca0140f696b6983cfacb'
     'f0e6a6a97042a4f1f1c87f5f7d44315b2d852c2df5c7991cc66241bf7072d1c4' '00'),
    ('authenticate', 'python-fido2 tests/test_ctap1.py',
     '00020300000081' 'ccd6ee2e47baef244d49a222db496bad0ef5b6f93aa7cc4d30c4821b3b9dbc57'
     '4b0be934baebb5d12d26011b69227fa5e86df94e7d94aa2949a89f2d493992ca' '40' + '03' * 64 + '0000'),
    ('register_response', 'python-fido2 tests/test_ctap1.py',
     (VECTORS / 'u2f_register_response.hex').read_text().strip()),
    ('authenticate_response', 'python-fido2 tests/test_ctap1.py',
     '0100000001' '304402204b5f0cd17534cedd8c34ee09570ef542a353df4436030ce43d406de870b847780220267bb998fac9b7266eb60e7c'
     'b0b5eabdfd5ba9614f53c7b22272ec10047a923f' '9000'),
]

AUTH_DATA = [
    ('registration', 'W3C WebAuthn L3 test vectors, none.ES256',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a'
     '1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b'
     '2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290'
     'af2e2664796b9220'),
    ('assertion', 'W3C WebAuthn L3 test vectors, none.ES256',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000'),
    ('extensions', 'the assertion, with an hmac-secret output',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b58500000001'
     'a16b686d61632d7365637265745820' + '5a' * 32),
]

# What the messages hardly hold: every head, the edges of every length, and forms that canonical CBOR forbids.
ITEMS = [
    ('integers', 'RFC 8949 appendix A', '8a00171818190100' '1a00010000' '1b0000000100000000' '203863390100'
     '3b7fffffffffffffff' '1bffffffffffffffff'),
    ('padded_integers', 'not canonical', '84' '1800' '190001' '1a00000001' '1b0000000000000001'),
    ('misordered_map', 'not canonical', 'a2020201f5'),
    ('floats_and_tags', 'RFC 8949 appendix A',
     '86' 'f93c00' 'fa47c35000' 'fb3ff199999999999a' 'c11a514b67b0' 'f7' 'f8ff'),
    ('nested', 'depth four', '8181a1008100'),
    ('indefinite', 'refused', '9f01ff'),
]


def write(target, seeds):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    for name, _source, text in seeds:
        (folder / name).write_bytes(bytes.fromhex(text))


write('messages', MESSAGES)
write('cose_key', KEYS)
write('extensions', EXTENSIONS)
write('ctap1', U2F)
write('auth_data', AUTH_DATA)
write('cbor_reader', MESSAGES + EXTENSIONS + KEYS + ITEMS)
