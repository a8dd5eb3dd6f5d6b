//! What every error says to a person: one sentence each, without a full stop, so that it can stand behind a colon. The
//! sentences about configurations are in `engine/config_error.rs`.

use crate::store::{StoreError, flash::FlashError};

/// Implements `Display` and `core::error::Error` from a table of variants and format strings.
macro_rules! says {
    ($type:ident: $($pattern:pat => $sentence:literal,)*) => {
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $($pattern => write!(f, $sentence),)*
                }
            }
        }

        impl core::error::Error for $type {}
    };
}

pub(crate) use says;

says! { StoreError:
    Self::Full => "the store is full",
    Self::TooLong => "a record of the store is longer than the space given for it",
    Self::Failed => "the store cannot be read or written",
}

says! { FlashError:
    Self::Foreign => "the flash holds something else than a store, and is not erased",
    Self::Version(version) => "the flash holds a store of another format, version {version}",
    Self::OtherGeometry => "the flash holds a store that was written in words of another size",
    Self::TooSmall => "the flash does not have enough pages",
    Self::TooMany => "the flash holds more credentials than the index has room for",
    Self::Failed => "the flash cannot be read or written",
}

#[cfg(feature = "std")]
mod simulated {
    use crate::store::flash::PowerIsOff;

    super::says! { PowerIsOff:
        Self => "the simulated flash has no power, or its page is broken",
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::error::Error;

    use keyfob_core::cose::Algorithm;

    use crate::{
        Caps,
        devices::KeyError,
        engine::ConfigError,
        store::{StoreError, flash::FlashError, flash::PowerIsOff},
    };

    fn boxed<E: Error + 'static>(errors: impl IntoIterator<Item = E>) -> Vec<Box<dyn Error>> {
        errors.into_iter().map(|error| Box::new(error) as Box<dyn Error>).collect()
    }

    fn configurations() -> [ConfigError; 12] {
        use ConfigError::*;
        [
            NotCompiled(Caps::U2F),
            Needs(Caps::BIO_ENROLL, Caps::BUILT_IN_UV),
            Algorithms,
            AlgorithmOff(Algorithm::ES384),
            PinProtocol,
            UserVerification,
            MaxMsgSize,
            BufferTooSmall { needed: 2_000 },
            Store(StoreError::Full),
            Store(StoreError::Failed),
            Policy,
            RandomSource,
        ]
    }

    #[test]
    fn every_error_is_a_sentence() {
        let errors = [
            boxed([StoreError::Full, StoreError::TooLong, StoreError::Failed]),
            boxed({
                use FlashError::*;
                [Foreign, Version(9), OtherGeometry, TooSmall, TooMany, Failed]
            }),
            boxed([PowerIsOff]),
            boxed(configurations()),
            boxed([KeyError::Config(ConfigError::MaxPinRetries)]),
            #[cfg(feature = "testing")]
            boxed([crate::testing::Unplugged]),
            #[cfg(feature = "testing")]
            boxed({
                use crate::testing::TestError::*;
                let read =
                    [CredentialIdTaken, UnknownCredential, PrivateKey, OtherCurve, CredentialId, RpId, UserHandle];
                [&read[..], &[Unplugged, NotAsked, Random, LargeBlob, CredProtect, Store(StoreError::Full), Response]]
                    .concat()
            }),
        ];
        for error in errors.into_iter().flatten() {
            let (text, debug) = (error.to_string(), format!("{error:?}"));
            assert!(text.split(' ').count() >= 3, "{debug} says {text:?}");
            assert!(!text.ends_with('.') && !text.contains(&debug), "{debug} says {text:?}");
        }
    }
}
