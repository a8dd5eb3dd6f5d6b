//! A door that opens for FIDO cards, on a chip with an NFC reader and no network.
//!
//! To enrol a card, the door registers with it as a relying party, and keeps the new credential's id and public key. To
//! open, it has a card sign a fresh challenge with one of these credentials, and verifies the signature itself. The door
//! keeps no secret: what it stores lets nobody in.
//!
//! ```text
//!  reader.rs of the board    ApduIo: one command to the card, one response back
//!  NfcTransport              SELECT, chains, GET RESPONSE: messages over that
//!  client::run               the ceremony: MakeCredential to enrol, GetAssertion to open
//!  verify::…                 the relying party's checks, and the signature
//! ```
#![no_std]

use core::time::Duration;

use heapless::Vec;
use keyfob_core::{
    Instant,
    attestation::RawStatement,
    cbor::{self, List},
    client::{self, Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, UserInteraction},
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    transport::nfc::{ApduIo, NfcTransport},
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::{AttestationObject, ClientData, ClientDataType, Requirement},
};
use rand_core::CryptoRng;

/// The relying party of this door. A card makes a credential for it, and signs for no other with that.
pub const RP_ID: &str = "door.example";
const ORIGIN: &str = "https://door.example";
/// Everyone who is let in is one user to the cards.
const USER: &[u8] = b"door";
/// Cards that can be enrolled.
pub const CARDS: usize = 8;
/// The longest credential id that is kept, in bytes. Cards that wrap their keys into ids have up to about 200.
const ID: usize = 256;
/// Bytes in the client data, which has fixed members and 32 random bytes.
const CLIENT_DATA: usize = 160;
/// Room for one request or response. Cards with messages of 1,024 bytes are common.
const MESSAGE: usize = 2_048;
const ES256: [CredentialParameters<'_>; 1] = [CredentialParameters::new(Algorithm::ES256)];

/// A card that may open the door: what the door keeps in its flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The credential's id.
    pub id: Vec<u8, ID>,
    /// Its public key, as COSE.
    pub public_key: Vec<u8, 80>,
    /// The card's signature counter when it was used last.
    pub sign_count: u32,
}

/// The door may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// For which of the enrolled cards.
    pub card: usize,
    /// Its signature counter now, to be stored with it. A copy of the card would go on from an older one.
    pub sign_count: u32,
}

/// Why the door stays closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Closed {
    /// The card is no FIDO card, has no credential of this door, or was taken away too early.
    Card(client::Error),
    /// The card is not the one that was enrolled, or the answer is an old one.
    Verification(verify::Error),
    /// The credential's id or key is longer than the door can keep, or no more cards can be enrolled.
    NoRoom,
}

impl core::fmt::Display for Closed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Card(error) => error.fmt(f),
            Self::Verification(error) => error.fmt(f),
            Self::NoRoom => f.write_str("the door has no room for this card"),
        }
    }
}

impl core::error::Error for Closed {}

impl From<client::Error> for Closed {
    fn from(error: client::Error) -> Self {
        Self::Card(error)
    }
}

impl From<verify::Error> for Closed {
    fn from(error: verify::Error) -> Self {
        Self::Verification(error)
    }
}

/// A visitor has a card and no keyboard. To place the card on the reader is the consent.
struct Visitor;

impl UserInteraction for Visitor {}

/// The door: its reader, its random source and its clock.
pub struct Door<I, D, R, C> {
    transport: NfcTransport<I, D>,
    rng: R,
    clock: C,
}

impl<I: ApduIo, D: FnMut(Duration), R: CryptoRng, C: FnMut() -> Instant> Door<I, D, R, C> {
    /// A door. `delay` waits, while a card computes.
    pub const fn new(reader: I, delay: D, rng: R, clock: C) -> Self {
        Self { transport: NfcTransport::new(reader, delay), rng, clock }
    }

    /// The reader.
    pub const fn reader(&mut self) -> &mut I {
        self.transport.io_mut()
    }

    /// Enrols the card that was just placed on the reader: returns what is to be stored behind `cards`, which are those
    /// that are enrolled already. To be called only where someone in charge has allowed it.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn enrol(&mut self, cards: &[Enrolled]) -> Result<Enrolled, Closed> {
        if cards.len() >= CARDS {
            return Err(Closed::NoRoom);
        }
        let challenge = self.challenge();
        let client_data = client_data(ClientDataType::Create, &challenge)?;
        let hash = RustCrypto.sha256(&[&client_data]);
        let known = descriptors(cards);
        let (rp, user) = (RpEntity { id: RP_ID, name: None }, UserEntity { id: USER, name: None, display_name: None });
        let options = MakeOptions {
            exclude_list: List::Slice(&known), // a card is not enrolled twice
            user_verification: Requirement::Discouraged,
            ..MakeOptions::new(&hash, rp, user, &ES256)
        };
        let mut buffer = [0; MESSAGE];
        self.new_card();
        let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, &mut self.rng);
        let made = client::run(ceremony, &mut self.transport, &mut Visitor, &mut self.clock)?;
        let object = AttestationObject {
            fmt: made.response.fmt,
            att_stmt: made.response.att_stmt.unwrap_or(RawStatement::EMPTY),
            auth_data: made.response.auth_data,
        };
        let response = AttestationResponse { client_data_json: &client_data, attestation_object: object };
        let verified = verify::registration(&RustCrypto, &expected(&challenge), &response)?;
        let mut public_key = Vec::from_array([0; 80]);
        let len = cbor::encode(&verified.credential.public_key, &mut public_key).map_err(|_| Closed::NoRoom)?;
        public_key.truncate(len);
        Ok(Enrolled {
            id: Vec::from_slice(verified.credential.credential_id).map_err(|_| Closed::NoRoom)?,
            public_key,
            sign_count: verified.auth_data.sign_count,
        })
    }

    /// Whether the card that was just placed on the reader is one of `cards` and may open the door. Its new counter is to
    /// be stored before the bolt is drawn.
    ///
    /// # Errors
    /// [`Closed`]: the door stays closed.
    pub fn open(&mut self, cards: &[Enrolled]) -> Result<Opened, Closed> {
        let challenge = self.challenge();
        let client_data = client_data(ClientDataType::Get, &challenge)?;
        let hash = RustCrypto.sha256(&[&client_data]);
        let allowed = descriptors(cards);
        let options = GetOptions {
            allow_list: List::Slice(&allowed),
            user_verification: Requirement::Discouraged,
            ..GetOptions::new(RP_ID, &hash)
        };
        let mut buffer = [0; MESSAGE];
        self.new_card();
        let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, &mut self.rng);
        let signed = client::run(ceremony, &mut self.transport, &mut Visitor, &mut self.clock)?;
        let signed = signed.get(0).ok_or(verify::Error::CredentialId)?;
        let found = cards.iter().enumerate().find(|(_, card)| card.id == signed.credential_id);
        let (place, card) = found.ok_or(verify::Error::CredentialId)?;
        let credential = StoredCredential {
            id: &card.id,
            public_key: cbor::decode::<CoseKey<'_>>(&card.public_key).map_err(verify::Error::AuthData)?,
            sign_count: card.sign_count,
            user_handle: USER,
            backup_eligible: None,
        };
        let response = AssertionResponse {
            credential_id: signed.credential_id,
            client_data_json: &client_data,
            authenticator_data: signed.response.auth_data,
            signature: signed.response.signature,
            user_handle: signed.user_handle(),
        };
        let verified = verify::assertion(&RustCrypto, &expected(&challenge), &credential, &response)?;
        Ok(Opened { card: place, sign_count: verified.auth_data.sign_count })
    }

    /// Another card may lie there than the one that was selected last.
    fn new_card(&mut self) {
        // What fails here fails again in the ceremony, which tells why.
        let _ = self.transport.select();
    }

    /// The door asks each time for something new, so that no old answer fits.
    fn challenge(&mut self) -> [u8; 32] {
        let mut challenge = [0; 32];
        self.rng.fill_bytes(&mut challenge);
        challenge
    }
}

/// The ids of the cards, for the card to find its own.
fn descriptors(cards: &[Enrolled]) -> Vec<CredentialDescriptor<'_>, CARDS> {
    cards.iter().take(CARDS).map(|card| CredentialDescriptor::new(&card.id)).collect()
}

/// The client data, which is signed with everything else.
fn client_data(kind: ClientDataType, challenge: &[u8; 32]) -> Result<Vec<u8, CLIENT_DATA>, Closed> {
    let mut json = Vec::from_array([0; CLIENT_DATA]);
    let data = ClientData { kind, challenge, origin: ORIGIN, cross_origin: false, top_origin: None };
    let len = data.write(&mut json).map_err(|_| Closed::NoRoom)?;
    json.truncate(len);
    Ok(json)
}

/// What the door expects of every answer.
const fn expected(challenge: &[u8; 32]) -> Expected<'_> {
    Expected {
        challenge,
        origins: &[ORIGIN],
        top_origins: None,
        rp_id: RP_ID,
        user_presence: true,
        user_verification: false,
        algorithms: &[Algorithm::ES256],
        allow_credentials: &[],
        user_handle: Some(USER),
        policy: RelyingPartyPolicy::STANDARD,
    }
}

#[cfg(test)]
mod tests;
