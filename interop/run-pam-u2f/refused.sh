# A user who does not touch the key, or another key.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

service plain
refused "no login without the touch, or with another key" bash -c 'login </dev/null'
