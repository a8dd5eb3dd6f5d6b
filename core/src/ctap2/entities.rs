//! The maps that several messages share (WebAuthn L3 §5.4, §5.8.3).

use crate::{
    cbor::{Error, ErrorKind, List, Read, Reader, Write, Writer},
    cose::Algorithm,
    message,
};

/// The only credential type there is.
pub const PUBLIC_KEY: &str = "public-key";

message! {
    /// PublicKeyCredentialRpEntity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct RpEntity<'a> {
        /// The RP ID, a domain.
        b"id" => id: required &'a str,
        /// A name for display.
        b"name" => name: optional &'a str,
    }
}

message! {
    /// PublicKeyCredentialUserEntity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct UserEntity<'a> {
        /// The user handle, 1 to 64 bytes.
        b"id" => id: required &'a [u8],
        /// The account's name.
        b"name" => name: optional &'a str,
        /// The user's name for display.
        b"displayName" => display_name: optional &'a str,
    }
}

message! {
    /// PublicKeyCredentialDescriptor. Its type is kept: a descriptor of another type than [`PUBLIC_KEY`] is ignored.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct CredentialDescriptor<'a> {
        /// The credential id.
        b"id" => id: required &'a [u8],
        /// [`PUBLIC_KEY`].
        b"type" => kind: required &'a str,
        /// How to reach the authenticator; any number of any strings.
        b"transports" => transports: optional List<'a, &'a str>,
    }
}

impl<'a> CredentialDescriptor<'a> {
    /// The descriptor of a public-key credential, without transports.
    pub const fn new(id: &'a [u8]) -> Self {
        Self { id, kind: PUBLIC_KEY, transports: None }
    }
}

/// PublicKeyCredentialParameters: one algorithm that a relying party accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialParameters {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether the type is [`PUBLIC_KEY`]; parameters of another type are ignored.
    pub public_key: bool,
}

impl CredentialParameters {
    /// Parameters for public-key credentials.
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, public_key: true }
    }
}

impl Read<'_> for CredentialParameters {
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let (mut algorithm, mut kind) = (None, None);
        let mut map = r.map()?;
        while let Some(key) = r.next_text(&mut map)? {
            match key {
                b"alg" => algorithm = Some(Algorithm::read(r)?),
                b"type" => kind = Some(r.text()?),
                key => r.skip_member(key)?,
            }
        }
        r.leave();
        match (algorithm, kind) {
            (Some(algorithm), Some(kind)) => Ok(Self { algorithm, public_key: kind == PUBLIC_KEY }),
            _ => Err(r.error(ErrorKind::Missing)),
        }
    }
}

impl Write for CredentialParameters {
    fn write(&self, w: &mut Writer<'_>) {
        w.map(2);
        w.text("alg");
        self.algorithm.write(w);
        w.text("type");
        w.text(PUBLIC_KEY);
    }
}
