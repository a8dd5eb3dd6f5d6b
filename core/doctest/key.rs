// A security key for the examples in the docs, which include this file. It answers with the registration and the
// sign-in of WebAuthn L3 §16 (packed.self.ES256), accepts any PIN and enrols any finger with two samples.

use std::{convert::Infallible, time::Duration};

use keyfob_core::{
    Instant,
    cbor::{Write, decode},
    cose::CoseKey,
    crypto::{Agreement, P256Secret, RustCrypto},
    ctap2::{
        bio_enrollment,
        client_pin::{
            Request, Response,
            subcommand::{GET_KEY_AGREEMENT, GET_PIN_RETRIES, SET_PIN},
        },
        encode_response, large_blobs,
    },
    pin_uv::{PinUvAuthProtocol, decapsulate},
    transport::{AsyncTransport, Protocol, Received, Transport},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The response to getInfo: FIDO_2_0 and FIDO_2_1, options rk, up, credMgmt, bioEnroll, clientPin, largeBlobs and
/// pinUvAuthToken; protocol one.
const INFO: &str = "00a4018268 4649444f5f325f30 68 4649444f5f325f31 0350 00000000000000000000000000000000
    04a7 62726bf5 627570f5 6863726564 4d676d74f5 6962696f456e726f6c6cf4 69636c69656e7450696ef4
    6a6c61726765426c6f6273f5 6e70696e557641757468546f6b656ef5 068101";
pub const REGISTRATION: &str =
    "00a301667061636b65640258a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5
    5d00000000df850e09db6afbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c
    a5010203262001215820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834
    d233a2d34f61f13bfd44119c325d5896e183fee484f203a263616c672663736967584630440220067a20754ab925005dbf378097c92120
    031581c73228d1fb4f5b881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d";
pub const SIGN_IN: &str =
    "00a301a2626964 5820455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c 6474797065
    6a7075626c69632d6b6579 025825bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50900000000 035846
    304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd959
    94a83ef584b3b6b825ea3550251b66";
/// The response to enumerateRPsBegin: one relying party, example.org.
const RELYING_PARTY: &str = "00a303a16269646b6578616d706c652e6f7267 045820bfabc37432958b063360d3ad6461c9c4735ae7f8edd4
    6592a5e0f01452b2e4b5 0501";

/// The client data of both, and their challenges.
pub const CREATE_CLIENT_DATA: &[u8] = concat!(
    r#"{"type":"webauthn.create","challenge":"eGnCt3LUtY66k3jPjynibPk1qnffDaifqZwL3Ap29-U","origin":"https://exa"#,
    r#"mple.org","crossOrigin":false,"extraData":"clientDataJSON may be extended with additional fields in the f"#,
    r#"uture, such as this: U9hTXvKE2URkMnb_0xYHVg"}"#,
)
.as_bytes();
pub const GET_CLIENT_DATA: &[u8] = concat!(
    r#"{"type":"webauthn.get","challenge":"RHihCxNSNI3RYME1Ow1Gm12xnrkcJ_ffpv7Tn-Jq8gs","origin":"https://exampl"#,
    r#"e.org","crossOrigin":false,"extraData":"clientDataJSON may be extended with additional fields in the futu"#,
    r#"re, such as this: gTb53rz6EhSWomXGzimC1Q"}"#,
)
.as_bytes();
pub const CREATE_CHALLENGE: &str = "7869c2b772d4b58eba9378cf8f29e26cf935aa77df0da89fa99c0bdc0a76f7e5";
pub const GET_CHALLENGE: &str = "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b";

#[derive(Default)]
pub struct Key {
    has_pin: bool,
    response: Vec<u8>,
}

impl Key {
    pub fn with_pin() -> Self {
        Self { has_pin: true, ..Self::default() }
    }

    fn client_pin(&mut self, request: Request<'_>) -> Vec<u8> {
        let secret = P256Secret([1; 32]);
        let mut response = Response::default();
        let mut token = [0; 32];
        let point = RustCrypto.p256_public(&secret).unwrap();
        match request.sub_command {
            Some(GET_PIN_RETRIES) => response.pin_retries = Some(8),
            Some(GET_KEY_AGREEMENT) => response.key_agreement = Some(CoseKey::key_agreement(&point)),
            Some(SET_PIN) => {
                self.has_pin = true;
                return vec![0];
            }
            _ => {
                let platform = request.key_agreement.unwrap();
                let shared = decapsulate(&RustCrypto, PinUvAuthProtocol::One, &secret, &platform).unwrap();
                shared.encrypt_with_iv(&RustCrypto, [0; 16], &[7; 32], &mut token).unwrap();
                response.pin_uv_auth_token = Some(&token);
            }
        }
        answer(&response)
    }
}

fn answer(response: &impl Write) -> Vec<u8> {
    let mut buffer = [0; 256];
    let len = encode_response(response, &mut buffer).unwrap();
    buffer[..len].to_vec()
}

/// The response to the first sample of a finger, and to the second.
fn enrollment(request: bio_enrollment::Request<'_>) -> bio_enrollment::Response<'static> {
    let begins = request.sub_command == Some(bio_enrollment::subcommand::ENROLL_BEGIN);
    bio_enrollment::Response {
        template_id: begins.then_some(&[1]),
        last_enroll_sample_status: Some(bio_enrollment::SampleStatus::GOOD),
        remaining_samples: Some(u32::from(begins)),
        ..Default::default()
    }
}

impl Transport for Key {
    type Error = Infallible;

    fn send(&mut self, _: Protocol, request: &[u8]) -> Result<(), Infallible> {
        self.response = match request[0] {
            0x01 => hex(REGISTRATION),
            0x02 => hex(SIGN_IN),
            0x04 if self.has_pin => hex(&INFO.replace("50696ef4", "50696ef5")),
            0x04 => hex(INFO),
            0x06 => self.client_pin(decode(&request[1..]).unwrap()),
            0x09 => answer(&enrollment(decode(&request[1..]).unwrap())),
            0x0C => answer(&large_blobs::Response { config: Some(&large_blobs::INITIAL_ARRAY) }),
            _ => hex(RELYING_PARTY),
        };
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<Received, Infallible> {
        buffer[..self.response.len()].copy_from_slice(&self.response);
        Ok(Received::Response(self.response.len()))
    }

    fn cancel(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The same for async executors.
pub struct AsyncKey(pub Key);

impl AsyncTransport for AsyncKey {
    type Error = Infallible;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Infallible> {
        self.0.send(protocol, request)
    }

    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Infallible> {
        self.0.receive(buffer, wait)
    }

    async fn cancel(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

pub fn clock() -> Instant {
    Instant::default()
}
