# A user who does not touch the key.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

refused "a user who declines: fido2-cred" 'FIDO_ERR_OPERATION_DENIED\|ERR_ACTION_TIMEOUT' make declined es256
