//! Management: what is done with an authenticator besides registering and signing in.
//!
//! ```text
//! pin            SetPin, ChangePin, VerifyPin, Retries
//! credentials    CredentialsMetadata, ListRelyingParties, ListCredentials, DeleteCredential, UpdateUser
//! persistent     GetPersistentToken, recognize: to list credentials without the user, on a device known before
//! fingerprints   SensorInfo, Enroll, ListFingerprints, ChangeFingerprints, CancelEnrollment
//! large_blobs    ReadLargeBlobs, WriteLargeBlobs: the array; what is in it reads `crate::large_blob`
//! config         Configure
//! device         GetInfo, Selection, Reset, RawCommand: any command, a vendor's too
//! ```
//!
//! Each is the operation of a [`Ceremony`](super::Ceremony), which is stepped or [`run`](super::run), and finished.
//! Where the command needs a token, the user is asked for the PIN or for built-in user verification, as in the two
//! ceremonies; where it does not and the authenticator is not protected, the user is not asked. Operations that have several
//! things to tell show them one after the other ([`Output::Item`](super::Output::Item),
//! [`run_each`](super::run_each)); none is collected.

mod config;
mod credentials;
mod device;
mod fingerprints;
mod large_blobs;
mod persistent;
mod pin;

pub use config::{ConfigSubcommand, Configure};
pub use credentials::{
    Access, CredentialsMetadata, DeleteCredential, ListCredentials, ListRelyingParties, ListedCredential,
    ListedRelyingParty, Metadata, UpdateUser,
};
pub use device::{GetInfo, RawCommand, Reset, Selection};
pub use fingerprints::{CancelEnrollment, ChangeFingerprints, Enroll, ListFingerprints, Sample, SensorInfo};
pub use large_blobs::{ReadLargeBlobs, WriteLargeBlobs};
pub use persistent::{GetPersistentToken, PersistentToken, recognize};
pub use pin::{ChangePin, Retries, RetriesLeft, SetPin, VerifyPin};
