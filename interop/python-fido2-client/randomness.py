"""The fixed values that both clients use in place of randomness."""

from cryptography.hazmat.primitives.asymmetric import ec

BYTE = b"\x11"
PLATFORM_KEY = ec.derive_private_key(int.from_bytes(BYTE * 32, "big"), ec.SECP256R1())
