//! The prf vectors of WebAuthn L3 §16.17.1, bit for bit: from keys and inputs to what goes over the wire and back.

use std::convert::Infallible;

use rand_chacha::rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::{
    crypto::RustCrypto,
    pin_uv::{PinUvAuthProtocol, SharedSecret, encapsulate},
    vectors::hex,
};

const PLATFORM_SECRET: &str = "0971bc7fb1be48270adcd3d9a5fc15d5fb0f335b3071ff36a54c007fa6c76514";
const PLATFORM_X: &str = "a6ad249c9c2558e03e4ffbef60255d942b0166f5446cef916ab5f4ec4335a1c5";
const PLATFORM_Y: &str = "67315207e09ce082c31b052c7e2bcb700e79f1c53bd3bb4e3bb6fef89d227bc1";
const AUTHENTICATOR_X: &str = "a30522c2de402b561965c3cf949a1cab020c6f6ea36fcf7e911ac1a0f1515300";
const AUTHENTICATOR_Y: &str = "9961a929abdb2f42e6566771887d41484d889e735e3248518a53112d2b915f00";
const CRED_RANDOM: &str = "437e065e723a98b2f08f39d8baf7c53ecb3c363c5e5104bdaaf5d5ca2e028154";
const FIRST: &str = "576562417574686e20505246207465737420766563746f727302";
const SECOND: &str = "576562417574686e20505246207465737420766563746f727303";
const SALT_1: &str = "527413ebb48293772df30f031c5ac4650c7de14bf9498671ae163447b6a772b3";
const SALT_2: &str = "d68ac03329a10ee5e0ec834492bb9a96a0e547baf563bf78ccbe8789b22e776b";
const OUTPUT_1: &str = "3c33e07d202c3b029cc21f1722767021bf27d595933b3d2b6a1b9d5dddc77fae";
const OUTPUT_2: &str = "a62a8773b19cda90d7ed4ef72a80a804320dbd3997e2f663805ad1fd3293d50b";

/// Randomness that is given.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.copy_from_slice(&self.0.drain(..to.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Given {}

fn agreed(protocol: PinUvAuthProtocol) -> SharedSecret {
    let (x, y) = (hex(AUTHENTICATOR_X).try_into().unwrap(), hex(AUTHENTICATOR_Y).try_into().unwrap());
    let authenticator = P256Point { x, y };
    let mut rng = Given(hex(PLATFORM_SECRET));
    let (public, shared) =
        encapsulate(&RustCrypto, &mut rng, protocol, &CoseKey::key_agreement(&authenticator)).unwrap();
    assert_eq!((public.x.to_vec(), public.y.to_vec()), (hex(PLATFORM_X), hex(PLATFORM_Y)));
    shared
}

fn salts(second: bool) -> Salts {
    let (first, more) = (hex(FIRST), hex(SECOND));
    Salts::of_prf(&RustCrypto, &PrfInput { first: &first, second: second.then_some(&more) })
}

/// What `shared` makes of a plaintext with the initialisation vector of the ciphertext that is expected.
fn encrypted(shared: &SharedSecret, plaintext: &[u8], expected: &[u8]) -> Vec<u8> {
    let iv = expected.get(..shared.protocol().overhead()).unwrap().to_vec();
    let mut out = vec![0; 80];
    let length = shared.encrypt(&RustCrypto, &mut Given(iv), plaintext, &mut out).unwrap();
    out.truncate(length);
    out
}

#[test]
fn inputs_of_prf_become_the_vectors_salts_and_these_the_vectors_outputs() {
    assert_eq!(salts(false).as_bytes(), hex(SALT_1));
    assert_eq!(salts(true).as_bytes(), [hex(SALT_1), hex(SALT_2)].concat());
    for (salt, output) in [(SALT_1, OUTPUT_1), (SALT_2, OUTPUT_2)] {
        assert_eq!(RustCrypto.hmac_sha256(&hex(CRED_RANDOM), &[&hex(salt)]).to_vec(), hex(output));
    }
}

#[test]
fn the_vectors_salts_and_outputs_are_encrypted_and_decrypted_under_both_protocols() {
    let two = [hex(OUTPUT_1), hex(OUTPUT_2)].concat();
    for (protocol, salt_enc, salt_auth, outputs, output_enc) in [
        (
            PinUvAuthProtocol::One,
            "ab8c878bb05d04700f077ed91845ec9c503c925cb12b327ddbeb4243c397f913",
            "3dccd36b39c6df11dd85837ce672a9bb",
            hex(OUTPUT_1),
            "15d4e4f3f04109b492b575c1b38c28585b6719cf8d61304215108d939f37ccfb",
        ),
        (
            PinUvAuthProtocol::Two,
            "23dde5e3462daf36559b85c4ac5f9656aa9bfd81c1dc2bf8533c8b9f3882854786b4f500e25b4e3d81f7fc7c74236229",
            "8edf4c9d4770439b093d91df4e0788064a1f521c4041adb6338229b38b4f605c",
            two,
            "90ee52f739043bc17b3488a74306d7801debb5b61f18662c648a25b5b5678ede482cdaff99a537a44f064fcb10ce6e04\
            dfd27619dc96a0daff8507e499296b1eecf0981f7c8518b277a7a3018f5ec6fb",
        ),
    ] {
        let (shared, salt_enc, output_enc) = (agreed(protocol), hex(salt_enc), hex(output_enc));
        assert_eq!(encrypted(&shared, salts(false).as_bytes(), &salt_enc), salt_enc, "{protocol:?}");
        assert_eq!(shared.authenticate(&RustCrypto, &[&salt_enc]).as_bytes(), hex(salt_auth), "{protocol:?}");
        assert_eq!(encrypted(&shared, &outputs, &output_enc), output_enc, "{protocol:?}");
        let mut clear = [0; 64];
        let length = shared.decrypt(&RustCrypto, &output_enc, &mut clear).unwrap();
        assert_eq!(&clear[..length], outputs, "{protocol:?}");
    }
}
