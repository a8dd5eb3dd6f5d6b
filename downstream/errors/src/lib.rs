//! `?` into `Box<dyn Error>`, from every error that `keyfob-core` and `keyfob-soft-authenticator` return.

#[cfg(test)]
mod tests {
    use std::{error::Error, io};

    use keyfob_core::{
        Status, cbor,
        client::{Cause, Error as CeremonyError, InvalidOption, Stage},
        crypto, ctap1, ctap2, json, large_blob,
        pin_uv::{PaddedPin, PinError},
        transport::{
            ble::{BleError, BleErrorCode, BleFailure},
            fault::FaultError,
            hid::{HidError, HidErrorCode, HidFailure},
            nfc::{NfcError, NfcFailure},
            stream::StreamError,
        },
        verify,
        webauthn::{OriginError, SuffixListError, base64url},
    };
    use keyfob_soft_authenticator::{
        devices::{KeyError, uhid, usbip},
        engine::ConfigError,
        store::{
            FileStore, StoreError,
            file::OpenError,
            flash::{FlashError, PowerIsOff},
        },
    };

    type Boxed = Box<dyn Error + Send + Sync>;

    /// What the caller of a function with this error sees of it.
    fn passed<E: Error + Send + Sync + 'static>(error: E) -> String {
        fn fails<E: Error + Send + Sync + 'static>(error: E) -> Result<(), Boxed> {
            Err(error)?;
            Ok(())
        }
        fails(error).unwrap_err().to_string()
    }

    #[test]
    fn every_error_passes_through_a_question_mark() {
        let malformed = cbor::decode::<u64>(&[]).unwrap_err();
        let overflow = cbor::encode(&1_000_u64, &mut []).unwrap_err();
        let json = json::Reader::new(b"\xff").expect_err("it is not UTF-8");
        let said = [
            passed(malformed),
            passed(overflow),
            passed(json),
            passed(json::WriteError::Overflow(overflow)),
            passed(base64url::Error::Character),
            passed(OriginError::RpId),
            passed(SuffixListError::NotARule(7)),
            passed(Status::PIN_INVALID),
            passed(keyfob_core::Failure::PIN_INVALID),
            passed(ctap1::StatusWord::WRONG_DATA),
            passed(ctap1::RequestError::Length),
            passed(ctap1::ResponseError::Der),
            passed(ctap2::ResponseError::Empty),
            passed(crypto::Error::Mismatch),
            passed(PinError::TooLong),
            passed(large_blob::Error::Compression),
            passed(HidErrorCode::OTHER),
            passed(HidFailure::Timeout),
            passed(HidError::Io(io::Error::other("unplugged"))),
            passed(FaultError::Inner(HidError::<io::Error>::Failed(HidFailure::Timeout))),
            passed(NfcFailure::NotFido),
            passed(NfcError::Io(io::Error::other("the card is gone"))),
            passed(BleErrorCode::INVALID_LEN),
            passed(BleFailure::RequestTooLong),
            passed(BleError::<io::Error>::Device(BleErrorCode::INVALID_LEN)),
            passed(StreamError::Stream(io::Error::other("the socket is closed"))),
            passed(InvalidOption::UserId),
            passed(Cause::PinNotSet),
            passed(CeremonyError { code: Cause::Timeout.code(), stage: Stage::Command, cause: Cause::Timeout }),
            passed(verify::Error::Signature),
            passed(ConfigError::MaxMsgSize),
            passed(KeyError::Config(ConfigError::MaxMsgSize)),
            passed(uhid::Error::Size(5_000)),
            passed(usbip::Error::Length(7)),
            passed(StoreError::Full),
            passed(FlashError::TooSmall),
            passed(PowerIsOff),
        ];
        assert!(said.iter().all(|text| text.contains(' ')), "{said:?}");
    }

    #[test]
    fn functions_that_fail_in_several_ways_need_no_conversions() {
        fn first() -> Result<(), Boxed> {
            PaddedPin::new("12", 4)?;
            Ok(())
        }
        fn second() -> Result<FileStore, Boxed> {
            Ok(FileStore::open("/nowhere/at/all")?)
        }
        assert!(first().unwrap_err().to_string().contains("PIN"));
        assert!(second().unwrap_err().downcast::<OpenError>().is_ok());
    }
}
