"""The judge `webauthn` from PyPI."""

import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fido2.utils import websafe_decode
from judge import judge
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers.cose import COSEAlgorithmIdentifier

warnings.simplefilter("ignore")  # some flips make a certificate about which only the parser warns


def register(case, rp):
    root = x509.load_der_x509_certificate(websafe_decode(rp["root"])).public_bytes(Encoding.PEM)
    return verify_registration_response(
        credential=case["registration"]["credential"],
        expected_challenge=websafe_decode(case["registration"]["challenge"]),
        expected_rp_id=rp["id"],
        expected_origin=rp["origin"],
        require_user_verification=case["userVerified"],
        supported_pub_key_algs=[*COSEAlgorithmIdentifier],
        pem_root_certs_bytes_by_fmt={"packed": [root], "fido-u2f": [root]},
    )


def authenticate(case, rp, registered):
    verify_authentication_response(
        credential=case["authentication"]["credential"],
        expected_challenge=websafe_decode(case["authentication"]["challenge"]),
        expected_rp_id=rp["id"],
        expected_origin=rp["origin"],
        credential_public_key=registered.credential_public_key,
        credential_current_sign_count=registered.sign_count,
        require_user_verification=case["userVerified"],
    )


judge(register, authenticate)
