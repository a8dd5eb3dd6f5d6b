//! The maps that several messages share (WebAuthn L3 §5.4, §5.8.3; CTAP 2.3 §6.1, §6.2).

use crate::{
    cbor::{Error, List, Read, Reader, SMALL, Shape, Text, Write, Writer},
    cose::Algorithm,
    message,
};

/// The type of a credential. Values this version does not name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialType<'a>(pub &'a str);

/// The only credential type there is.
pub const PUBLIC_KEY: CredentialType<'static> = CredentialType("public-key");

impl<'a> Read<'a> for CredentialType<'a> {
    const SHAPE: Shape = Shape::Text;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        if !SMALL && r.skip_known(b"\x6apublic-key") {
            return Ok(PUBLIC_KEY);
        }
        r.text().map(Self)
    }
}

impl Write for CredentialType<'_> {
    #[inline]
    fn write(&self, w: &mut Writer<'_>) {
        if !SMALL && *self == PUBLIC_KEY {
            w.known(b"\x6apublic-key");
        } else {
            w.text(self.0);
        }
    }
}

message! {
    /// PublicKeyCredentialRpEntity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct RpEntity<'a> {
        /// The RP ID, a domain.
        b"id" => id: required &'a str,
        /// A name for display.
        b"name" => name: optional &'a str,
    } ignoring {
        b"icon": &'a str,
    }
}

message! {
    /// PublicKeyCredentialUserEntity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct UserEntity<'a> {
        /// The user handle: at most 64 bytes (CTAP 2.3 §6.1), at least 1 in WebAuthn (L3 §5.4.3).
        b"id" => id: required &'a [u8],
        /// The account's name.
        b"name" => name: optional &'a str,
        /// The user's name for display.
        b"displayName" => display_name: optional &'a str,
    } ignoring {
        b"icon": &'a str,
    }
}

message! {
    /// PublicKeyCredentialDescriptor. Its type is kept: a descriptor of another type than [`PUBLIC_KEY`] is ignored.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct CredentialDescriptor<'a> {
        /// The credential id.
        b"id" => id: required &'a [u8],
        /// [`PUBLIC_KEY`].
        b"type" => kind: required CredentialType<'a>,
        /// How to reach the authenticator; any number of any strings.
        b"transports" => transports: optional List<'a, Text<'a>>,
    } usually usual_descriptor
}

/// The descriptor of a public-key credential without transports, in canonical form.
#[inline]
fn usual_descriptor<'a>(r: &mut Reader<'a>) -> Option<CredentialDescriptor<'a>> {
    let mut ahead = *r;
    ahead.enter().ok()?;
    ahead.skip_known(b"\xa2\x62id").then_some(())?;
    let id = ahead.bytes().ok()?;
    ahead.skip_known(b"\x64type\x6apublic-key").then_some(())?;
    ahead.leave();
    *r = ahead;
    Some(CredentialDescriptor::new(id))
}

impl<'a> CredentialDescriptor<'a> {
    /// The descriptor of a public-key credential, without transports.
    pub const fn new(id: &'a [u8]) -> Self {
        Self { id, kind: PUBLIC_KEY, transports: None }
    }
}

message! {
    /// PublicKeyCredentialParameters: one algorithm that a relying party accepts. Parameters of another type than
    /// [`PUBLIC_KEY`] are ignored.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct CredentialParameters<'a> {
        /// The algorithm.
        b"alg" => algorithm: required Algorithm,
        /// [`PUBLIC_KEY`].
        b"type" => kind: required CredentialType<'a>,
    } usually usual_parameters
}

/// Parameters for public-key credentials, in canonical form.
#[inline]
fn usual_parameters<'a>(r: &mut Reader<'a>) -> Option<CredentialParameters<'a>> {
    let algorithm = r.known_map_of_negative(b"\xa2\x63alg", b"\x64type\x6apublic-key")?;
    Some(CredentialParameters::new(Algorithm(algorithm)))
}

impl CredentialParameters<'_> {
    /// Parameters for public-key credentials.
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, kind: PUBLIC_KEY }
    }
}

message! {
    /// Options of authenticatorMakeCredential and authenticatorGetAssertion; absent means the standard's default.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct CommandOptions {
        /// A discoverable credential; false by default. A sign-in has no such option: it is kept to be refused.
        b"rk" => rk: optional bool,
        /// User presence; true by default. A registration allows nothing else.
        b"up" => up: optional bool,
        /// Built-in user verification; false by default.
        b"uv" => uv: optional bool,
    } usually usual_options
}

/// What registers a discoverable credential: `{"rk": true}`.
#[inline]
fn usual_options(r: &mut Reader<'_>) -> Option<CommandOptions> {
    r.known_map::<0>(b"\xa1\x62rk\xf5")?;
    Some(CommandOptions { rk: Some(true), up: None, uv: None })
}
