//! The extension `largeBlob` (2.3): a blob that is kept with a discoverable credential, in its record, as
//! `length before compression 8 BE | blob`. A credential that can have one and has none keeps nothing.

use keyfob_core::{
    Status,
    bytes::{self, Secret},
    cbor::{self, RawMap},
    ctap2::get_assertion::Request,
    extensions::{
        GetAssertionInputs, UnsignedOutputs,
        large_blob::{GetAssertionInput, UnsignedOutput},
    },
};

use super::{
    authenticator::{Authenticator, store_status},
    call::decode,
    ceremony::{Asked, CeremonyState, LargeBlobAction},
    extensions::inputs,
    platform::Platform,
    proof::Counted,
};
use crate::store::{Change, Credential, MAX_RECORD, NamelessCredential, Number, Setting, StoreError};

/// The longest blob, in bytes: a response with it fits in the smallest message. Long names leave less room.
const MAX_LARGE_BLOB: usize = 400;
/// The length before compression, in bytes.
const SIZE: usize = 8;
/// `{"largeBlob": {"blob": .., "originalSize": ..}}`, at most, in bytes.
pub(super) const MAX_UNSIGNED_OUTPUTS: usize = 48 + MAX_LARGE_BLOB;

impl<P: Platform> Authenticator<'_, P> {
    /// Stores the blob of a request with the credential of this number, in one commit with the count of the signature.
    /// `None` for one that does not fit, or does not belong there: it is not stored, and the signature is still to be
    /// counted.
    #[inline(never)]
    pub fn write_large_blob(
        &mut self,
        ceremony: &CeremonyState,
        number: Option<Number>,
        input: GetAssertionInput<'_>,
        scratch: &mut [u8],
    ) -> Result<Option<Counted>, Status> {
        let Some(number) = number.filter(|_| ceremony.is_verified() || !self.is_protected()) else { return Ok(None) };
        let (Some(blob), Some(size)) = (input.write, input.original_size) else { return Err(Status::OTHER) };
        let mut kept = Secret([0; SIZE + MAX_LARGE_BLOB]);
        let Some(kept) = kept.get_mut(..SIZE.saturating_add(blob.len())) else { return Ok(None) };
        bytes::join(kept, &[&size.to_be_bytes(), blob]);

        let state = self.new_store_state()?;
        let rp_id_hash = &ceremony.rp_id_hash;
        let opened = self.open_number(rp_id_hash, number, scratch).map_err(store_status)?;
        let stored = opened.and_then(|opened| opened.stored).and_then(|(_, record)| Credential::decode(record));
        let Some(stored) = stored else { return Ok(None) };
        if stored.large_blob.is_none() {
            return Ok(None); // it was not made for one
        }
        let mut record = Secret([0; MAX_RECORD]);
        let Ok(len) = Credential { large_blob: Some(kept), ..stored }.encode(&mut *record) else {
            return Ok(None);
        };
        let record = record.get(..len).ok_or(Status::OTHER)?;
        let state = state.as_ref().map(|state| Change::Set(Setting::StoreState, state));
        match self.count_signature([Some(Change::Replace { number, rp_id_hash, record }), state]) {
            Ok(counted) => Ok(Some(counted)),
            Err(StoreError::Full) => Ok(None),
            Err(error) => Err(store_status(error)),
        }
    }
}

/// What a request asks of the extension. Apart, so that the request is not on the stack below the rest.
#[inline(never)]
pub(super) fn input(message: &[u8], len: usize) -> Result<GetAssertionInput<'_>, Status> {
    let request: Request<'_> = decode(message, len)?;
    Ok(inputs::<GetAssertionInputs<'_>>(request.extensions)?.large_blob.unwrap_or_default())
}

/// The outputs of a registration that are not signed.
pub(super) fn registration_outputs(asked: &Asked) -> Option<UnsignedOutputs<'static>> {
    let supported = UnsignedOutput { supported: Some(true), ..UnsignedOutput::default() };
    (asked.large_blob == LargeBlobAction::Make).then_some(UnsignedOutputs { large_blob: Some(supported) })
}

/// The outputs of an assertion that are not signed, written to `out`.
pub(super) fn assertion_outputs<'o>(
    asked: &Asked,
    stored: Option<NamelessCredential<'_>>,
    out: &'o mut [u8],
) -> Result<Option<RawMap<'o>>, Status> {
    let output = match asked.large_blob {
        LargeBlobAction::Read => {
            let kept = stored.and_then(|credential| credential.large_blob);
            let Some((size, blob)) = kept.and_then(<[u8]>::split_first_chunk::<SIZE>) else { return Ok(None) };
            UnsignedOutput {
                blob: Some(blob),
                original_size: Some(u64::from_be_bytes(*size)),
                ..UnsignedOutput::default()
            }
        }
        LargeBlobAction::Written(written) => UnsignedOutput { written: Some(written), ..UnsignedOutput::default() },
        LargeBlobAction::Nothing | LargeBlobAction::Make | LargeBlobAction::Write => return Ok(None),
    };
    let len = cbor::encode(&UnsignedOutputs { large_blob: Some(output) }, out).map_err(|_| Status::OTHER)?;
    Ok(out.get(..len).map(RawMap))
}
