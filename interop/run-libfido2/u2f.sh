# A key that knows U2F alone.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check "U2F only: fido2-cred -M -u" make only es256 -u
check "U2F only: fido2-assert -G -u" get only es256 -u -p
check "U2F only: without -u, the tools find out" make itself es256
refused "U2F only: it has no PIN" FIDO_ERR with '1234\n1234' fido2-token -S "$DEVICE"
