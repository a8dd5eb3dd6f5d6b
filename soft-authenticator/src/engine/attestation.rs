//! The response of a registration: authenticator data and its attestation (CTAP 2.3 §6.1.2 step 19, WebAuthn L3 §8).

use keyfob_core::{
    Failure,
    attestation::{FidoU2f, Packed},
    auth_data::Flags,
    cbor::{List, MapWriter, Message, Text, Write, Writer},
    cose::{Algorithm, CoseKey},
    ctap2::make_credential::Response,
};

use super::{
    authenticator::{Authenticator, store_status},
    call::{Outcome, begin, written},
    ceremony::CeremonyState,
    config::{AttestationMode, Certified, Config},
    credential::{NewCredential, Subject},
    extensions::unsigned_registration_outputs,
    platform::Platform,
    signing::{look_again, room_for_signature},
};
use crate::caps::Caps;

/// An attestation statement format that this authenticator writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    None,
    Packed,
    FidoU2f,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Packed => "packed",
            Self::FidoU2f => "fido-u2f",
        }
    }

    /// The formats for credentials of `algorithm`, the usual one first. A statement of U2F needs a certificate for an
    /// ES256 key, and an ES256 credential.
    pub const fn supported(config: &Config<'_>, algorithm: Algorithm) -> &'static [Self] {
        let es256 = matches!(algorithm, Algorithm::ES256);
        match &config.attestation {
            AttestationMode::None => &[Self::None],
            AttestationMode::FidoU2f(_) if es256 => &[Self::FidoU2f, Self::Packed, Self::None],
            AttestationMode::Certified(Certified { algorithm: Algorithm::ES256, .. }) if es256 => {
                &[Self::Packed, Self::FidoU2f, Self::None]
            }
            _ => &[Self::Packed, Self::None],
        }
    }
}

/// How a registration is attested.
#[derive(Clone, Copy, Default)]
pub(super) struct Attested {
    pub format: Format,
    /// Enterprise attestation is given.
    pub enterprise: bool,
}

impl<P: Platform> Authenticator<'_, P> {
    /// The first format of the platform's that is supported, or the usual one. Enterprise attestation is always packed,
    /// because that shows the certificate.
    pub fn choose_format(
        &self,
        algorithm: Algorithm,
        preference: Option<List<'_, Text<'_>>>,
        enterprise: bool,
    ) -> Format {
        if enterprise {
            return Format::Packed;
        }
        let supported = Format::supported(&self.config, algorithm);
        let find = |name: Text<'_>| supported.iter().find(|format| name == format.name());
        let preferred = preference.and_then(|names| names.iter().find_map(find));
        preferred.or(supported.first()).copied().unwrap_or_default()
    }

    /// The attestation key, unless it is the credential's own.
    pub fn certified(&self, enterprise: bool) -> Option<Certified<'_>> {
        match (self.config.enterprise, self.config.attestation) {
            (Some(configured), _) if self.has(Caps::ENTERPRISE_ATTESTATION) && enterprise => Some(configured.certified),
            (_, AttestationMode::Certified(certified) | AttestationMode::FidoU2f(certified))
                if self.has(Caps::CERTIFIED_ATTESTATION) =>
            {
                Some(certified)
            }
            _ => None,
        }
    }

    /// Writes the response, signed.
    #[inline(never)]
    pub fn write_attestation(
        &mut self,
        ceremony: &CeremonyState,
        new: &NewCredential,
        attested: Attested,
        message: &mut [u8],
    ) -> Outcome {
        let mut w = begin(message);
        let mut m = MapWriter::new(&mut w, Response::KEYS, &[]);
        m.required(&attested.format.name());
        let data = m.value();
        let start = data.begin_bytes();
        self.write_auth_data(ceremony, Subject::New(new, attested.format == Format::FidoU2f), data)?;
        let auth_data = data.end_bytes(start).ok_or(Failure::OTHER)?;
        look_again(ceremony, auth_data)?;
        #[cfg(feature = "testing")]
        let auth_data = self.altered(&new.id, (new.algorithm, &new.secret), auth_data.len(), data)?;
        let certified = self.certified(attested.enterprise);
        let mut signature = room_for_signature(certified.map_or(new.algorithm, |certified| certified.algorithm));
        let sig = self.sign_attestation(ceremony, new, attested, auth_data, &mut signature)?;
        let statement = m.value();
        match (attested.format, certified.map(|certified| certified.chain)) {
            (Format::None, _) => statement.map(0),
            (Format::FidoU2f, chain) => {
                // Exactly one certificate (WebAuthn L3 §8.6).
                let leaf = chain.and_then(|chain| chain.get(..1)).ok_or(Failure::OTHER)?;
                FidoU2f { sig, x5c: List::Slice(leaf) }.write(statement);
            }
            (Format::Packed, chain) => {
                let alg = certified.map_or(new.algorithm, |certified| certified.algorithm);
                Packed { alg, sig, x5c: chain.map(List::Slice) }.write(statement);
            }
        }
        m.flag(attested.enterprise.then_some(true));
        let asked = &ceremony.asked;
        let key = asked.large_blob_key.then(|| self.large_blob_key(&ceremony.rp_id_hash, &new.id));
        m.bytes(key.as_ref().map(|key| &key[..]));
        m.optional(&unsigned_registration_outputs(asked));
        m.end();
        written(w.finish())
    }

    /// The signature over authenticator data, written to `signature`. Empty without an attestation.
    fn sign_attestation<'s>(
        &self,
        ceremony: &CeremonyState,
        new: &NewCredential,
        attested: Attested,
        auth_data: &[u8],
        signature: &'s mut [u8],
    ) -> Result<&'s [u8], Failure> {
        let (packed, u2f);
        let parts: &[&[u8]] = match attested.format {
            Format::None => return Ok(&[]),
            Format::Packed => {
                packed = [auth_data, &ceremony.client_data_hash];
                &packed
            }
            Format::FidoU2f => {
                u2f = [&[0], &ceremony.rp_id_hash[..], &ceremony.client_data_hash, &new.id, &[4], &new.public];
                &u2f
            }
        };
        let (algorithm, secret) = match self.certified(attested.enterprise) {
            Some(Certified { algorithm, secret, .. }) => (algorithm, secret),
            None => (new.algorithm, &new.secret[..]),
        };
        let len = self.sign(&ceremony.random, algorithm, secret, parts, signature)?;
        signature.get(..len).ok_or(Failure::OTHER)
    }

    /// Writes authenticator data as it is signed (WebAuthn L3 §6.1).
    pub fn write_auth_data(
        &mut self,
        ceremony: &CeremonyState,
        subject: Subject<'_>,
        w: &mut Writer<'_>,
    ) -> Result<(), Failure> {
        let sign_count = self.sign_count().map_err(store_status)?;
        w.raw(&ceremony.rp_id_hash);
        let place = w.len();
        let mut flags = ceremony.flags();
        w.byte(flags.0);
        w.raw(&sign_count.to_be_bytes());
        if let Subject::New(new, by_u2f) = subject {
            flags = flags.with(Flags::AT, true);
            // U2F knows no models.
            w.raw(if by_u2f { &[0; 16] } else { &self.config.aaguid });
            w.raw(&(new.id.len() as u16).to_be_bytes());
            w.raw(&new.id);
            CoseKey::from_raw(new.algorithm, &new.public).ok_or(Failure::OTHER)?.write(w);
        }
        let extensions = w.len();
        self.write_outputs(ceremony, subject, w)?;
        w.overwrite(place, &[flags.with(Flags::ED, w.len() > extensions).0]);
        Ok(())
    }
}
