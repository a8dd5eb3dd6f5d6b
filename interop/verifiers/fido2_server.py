"""The judge `fido2.server`."""

import functools
import warnings

import fido2.utils
from fido2.attestation import Attestation, verify_x509_chain
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from judge import judge

warnings.simplefilter("ignore")  # some flips make a certificate about which only the parser warns

# The library determines the types of its classes each time it reads a response, which takes four fifths of the time
# here.
fido2.utils.get_type_hints = functools.cache(fido2.utils.get_type_hints)


def relying_party(rp):
    def verify_attestation(attestation_object, client_data_hash):
        verifier = Attestation.for_type(attestation_object.fmt)()
        result = verifier.verify(attestation_object.att_stmt, attestation_object.auth_data, client_data_hash)
        if result.trust_path:
            verify_x509_chain([*result.trust_path, websafe_decode(rp["root"])])

    return Fido2Server({"id": rp["id"], "name": rp["id"]}, "direct", verify_attestation=verify_attestation)


def state(case, ceremony):
    verification = "required" if case["userVerified"] else "discouraged"
    return {"challenge": case[ceremony]["challenge"], "user_verification": verification}


def register(case, rp):
    response = case["registration"]["credential"]
    return relying_party(rp).register_complete(state(case, "registration"), response).credential_data


def authenticate(case, rp, registered):
    response = case["authentication"]["credential"]
    relying_party(rp).authenticate_complete(state(case, "authentication"), [registered], response)


judge(register, authenticate)
