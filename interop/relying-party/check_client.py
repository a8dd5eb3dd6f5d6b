"""python-fido2's client on a virtual key, client-direct."""

from rest import Api, FidoKey, changed, flip
from server import Key, Server, check

with Server() as server, Key() as key:
    api, fido = Api(server), FidoKey(key, server.url)
    for attestation in "none", "direct":
        who = {"username": f"alice {attestation}", "attestation": attestation, "discoverable_credential": "required"}
        status, options = api.post("attestation/options", who)
        check(f"python-fido2: options, attestation {attestation}", status == 200, options)
        credential = fido.create(options)
        status, answer = api.post("attestation/result", credential)
        check(f"python-fido2: registers, format {answer.get('credential', {}).get('attestation')}", status == 200, answer)
        status, answer = api.post("attestation/result", credential)
        check("python-fido2: the same answer again is refused", answer["errorCode"] == "session-expired", answer)
        _, options = api.post("assertion/options", {"username": who["username"]})
        status, answer = api.post("assertion/result", fido.get(options))
        check("python-fido2: signs in", status == 200 and answer["username"] == who["username"], answer)
        for member in "signature", "authenticatorData":
            _, options = api.post("assertion/options", {"username": who["username"]})
            credential = fido.get(options)
            status, answer = api.post("assertion/result", changed(credential, **{member: flip(credential["response"][member])}))
            check(f"python-fido2: another {member} is refused: {answer['errorMessage']}", status == 401, answer)
    _, options = api.post("assertion/options", {})
    status, answer = api.post("assertion/result", fido.get(options))
    check("python-fido2: signs in without a name", status == 200, answer)
    fido.close()
