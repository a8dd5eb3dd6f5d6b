# A user who touches the key and knows its PIN.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

configure() { pamu2fcfg --username "$user" --origin pam://keyfob --appid pam://keyfob "$@"; }
export -f configure

check "pamu2fcfg registers the key" bash -c 'configure >plain </dev/null'
service plain
check "a login with a touch" bash -c 'login </dev/null'
service plain cue
check "a login with a cue that asks for the touch" bash -c 'login </dev/null 2>&1 | tee cue; grep -q "touch the device" cue && grep -q success cue'
service plain userverification=1
check "a login by the finger" bash -c 'login </dev/null'
service plain pinverification=1
check "a login with the PIN" bash -c 'echo 975310 | login'
refused "and not with another" bash -c 'echo 975311 | login'
check "pamu2fcfg registers a key that verifies" bash -c 'configure --pin-verification >verified <<<975310'
service verified
check "a login with the PIN that it asks for" bash -c 'echo 975310 | login'
check "pamu2fcfg registers a resident key" bash -c 'configure --resident >resident <<<975310'
check "whose handle is not in the file" grep -q ':\*,' resident
service resident
check "a login with it" bash -c 'login </dev/null'
check "pamu2fcfg registers a key that needs no touch" bash -c 'configure --no-user-presence >untouched </dev/null'
service untouched
check "a login with it" bash -c 'login </dev/null'
