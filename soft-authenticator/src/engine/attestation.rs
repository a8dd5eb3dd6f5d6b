//! The response of a registration: authenticator data and its attestation (CTAP 2.3 §6.1.2 step 19, WebAuthn L3 §8).

use keyfob_core::{
    Failure, Status,
    attestation::{FidoU2f, Packed, Statement},
    auth_data::{AttestedCredentialData, AuthData},
    cbor::{List, Text, Write, Writer},
    cose::{Algorithm, CoseKey},
};

use super::{
    authenticator::{Authenticator, store_status},
    ceremony::CeremonyState,
    config::{AttestationMode, Certified, Config},
    credential::NewCredential,
    extensions::{MAX_OUTPUTS, unsigned_registration_outputs},
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
    /// The first format of the platform's that is supported, or the usual one. Enterprise attestation is packed: who
    /// asks for it wants the certificate.
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
    ) -> Result<usize, Failure> {
        let mut outputs = [0; MAX_OUTPUTS];
        let auth_data = AuthData {
            rp_id_hash: &ceremony.rp_id_hash,
            flags: ceremony.flags(),
            sign_count: self.sign_count().map_err(store_status)?,
            attested_credential_data: Some(AttestedCredentialData {
                // U2F knows no models.
                aaguid: if attested.format == Format::FidoU2f { &[0; 16] } else { &self.config.aaguid },
                credential_id: &new.id,
                public_key: CoseKey::from_raw(new.algorithm, &new.public).ok_or(Failure::OTHER)?,
            }),
            extensions: self.registration_outputs(ceremony, &new.id, &mut outputs)?,
        };
        let asked = &ceremony.asked;
        let large_blob_key = asked.large_blob_key.then(|| self.large_blob_key(&ceremony.rp_id_hash, &new.id));
        let unsigned = unsigned_registration_outputs(asked);
        let optional = [attested.enterprise, large_blob_key.is_some(), unsigned.is_some()];

        let mut w = Writer::new(message);
        w.byte(Status::OK.0);
        w.map(optional.iter().fold(3, |members, present| usize::saturating_add(members, usize::from(*present))));
        w.unsigned(1);
        w.text(attested.format.name());
        w.unsigned(2);
        let len = auth_data.encoded_len();
        w.bytes_head(len);
        let start = w.len();
        auth_data.encode(&mut w);
        w.unsigned(3);
        self.write_statement(ceremony, new, attested, &mut w, start, len)?;
        if attested.enterprise {
            w.unsigned(4);
            w.bool(true);
        }
        if let Some(key) = large_blob_key {
            w.unsigned(5);
            w.bytes(&*key);
        }
        if let Some(unsigned) = unsigned {
            w.unsigned(6);
            unsigned.write(&mut w);
        }
        w.finish().map_err(|_| Failure::OTHER)
    }

    /// Signs the authenticator data, which lies at `start` and is `len` bytes long, and writes the statement.
    fn write_statement(
        &self,
        ceremony: &CeremonyState,
        new: &NewCredential,
        attested: Attested,
        w: &mut Writer<'_>,
        start: usize,
        len: usize,
    ) -> Result<(), Failure> {
        let certified = self.certified(attested.enterprise);
        let auth_data = w.written().and_then(|written| written.get(start..start.saturating_add(len)));
        let auth_data = auth_data.ok_or(Failure::OTHER)?;
        look_again(ceremony, auth_data)?;
        let (packed, u2f);
        let parts: &[&[u8]] = match attested.format {
            Format::None => {
                Statement::None.write(w);
                return Ok(());
            }
            Format::Packed => {
                packed = [auth_data, &ceremony.client_data_hash];
                &packed
            }
            Format::FidoU2f => {
                u2f = [&[0], &ceremony.rp_id_hash[..], &ceremony.client_data_hash, &new.id, &[4], &new.public];
                &u2f
            }
        };
        let (alg, secret) = match certified {
            Some(Certified { algorithm, secret, .. }) => (algorithm, secret),
            None => (new.algorithm, &new.secret[..]),
        };
        let mut signature = room_for_signature(alg);
        let len = self.sign(&ceremony.random, alg, secret, parts, &mut signature)?;
        let sig = signature.get(..len).ok_or(Failure::OTHER)?;
        let chain = certified.map(|certified| certified.chain);
        let statement = match (attested.format, chain) {
            (Format::FidoU2f, chain) => {
                // Exactly one certificate (WebAuthn L3 §8.6).
                let leaf = chain.and_then(|chain| chain.get(..1)).ok_or(Failure::OTHER)?;
                Statement::FidoU2f(FidoU2f { sig, x5c: List::Slice(leaf) })
            }
            (_, chain) => Statement::Packed(Packed { alg, sig, x5c: chain.map(List::Slice) }),
        };
        statement.write(w);
        Ok(())
    }
}
