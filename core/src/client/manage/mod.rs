//! Management: what is done with an authenticator besides registering and signing in.
//!
//! ```text
//! pin            SetPin, ChangePin, Retries
//! credentials    CredentialsMetadata, ListRelyingParties, ListCredentials, DeleteCredential, UpdateUser
//! persistent     GetPersistentToken, recognize            to list credentials without the user, on a device known before
//! fingerprints   SensorInfo, Enroll, ListFingerprints, ChangeFingerprints
//! large_blobs    ReadLargeBlobs, WriteLargeBlobs          the array between them is `crate::large_blob`
//! config         Configure
//! device         Select, Reset, Call                      Call sends any command, a vendor's too
//! ```
//!
//! Each is a [`Ceremony`](super::Ceremony): made with the caller's buffer, stepped or [`run`](super::run), and finished.
//! Where the command needs a token, the user is asked for the PIN or for built-in user verification, as in the two
//! ceremonies; where it does not and the authenticator is not protected, nobody is asked. Operations that have several
//! things to tell show them one after the other ([`Output::Item`](super::Output::Item),
//! [`run_each`](super::run_each)); none is collected.

mod config;
mod credentials;
mod device;
mod fingerprints;
mod large_blobs;
mod persistent;
mod pin;
mod proven;

pub use config::{Configuration, Configure, Setting};
pub use credentials::{
    Access, Change, Credential, CredentialManagement, Credentials, CredentialsMetadata, DeleteCredential, Enumeration,
    Kind, ListCredentials, ListRelyingParties, Listed, Metadata, RelyingParties, RelyingParty, UpdateUser,
};
pub use device::{AnyCommand, Call, Reset, Resetting, Select, Selection};
pub use fingerprints::{
    Answer, BioEnrollment, ChangeFingerprints, Done, Enroll, Enrollment, ListFingerprints, Sample, Sensor, SensorInfo,
    Templates,
};
pub use large_blobs::{ReadLargeBlobs, Reading, WriteLargeBlobs, Writing};
pub use persistent::{GetPersistentToken, Issue, PersistentToken, recognize};
pub use pin::{ChangePin, Left, NewPin, Retries, RetriesLeft, SetPin};
