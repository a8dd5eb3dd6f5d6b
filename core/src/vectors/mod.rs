//! Test vectors from `core/vectors`, recorded from other implementations or composed, and the tests that each of them
//! must pass.

mod bad_input;
mod round_trip;
pub mod value;

use core::fmt::Debug;

use crate::{
    attestation,
    cbor::{self, Error, Message, Reader, Write, Writer},
    cose::CoseKey,
    ctap2::{
        CredentialDescriptor, RpEntity, UserEntity, bio_enrollment, client_pin, config, credential_management,
        get_assertion, get_info, large_blobs, make_credential,
    },
    extensions::{self, hmac_secret},
};

/// A message.
pub struct Vector {
    pub name: &'static str,
    /// Canonical CBOR, without the command or status byte.
    pub bytes: Vec<u8>,
    /// The required members, as [`value::Value::key`] writes them.
    pub required: Vec<&'static str>,
    pub codec: Codec,
    /// The name of its type.
    pub ty: &'static str,
}

/// Functions that read a message and write it again.
#[derive(Clone, Copy)]
pub struct Codec {
    pub strict: fn(&[u8]) -> Result<Vec<u8>, Error>,
    pub tolerant: fn(&[u8]) -> Result<Vec<u8>, Error>,
    /// Checks that the interpreter of tables does the same.
    pub same_by_table: fn(&[u8]),
}

/// Every vector of `core/vectors/messages.txt`.
pub fn all() -> Vec<Vector> {
    include_str!("../../vectors/messages.txt").split("\n\n[").skip(1).map(parse).collect()
}

/// The bytes of the vector `name`.
pub fn bytes(name: &str) -> Vec<u8> {
    all().into_iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("no vector {name}")).bytes
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn parse(block: &'static str) -> Vector {
    let (name, members) = block.split_once("]\n").unwrap();
    let member = |key| {
        let line = members.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} has no {key}")).trim()
    };
    Vector {
        name,
        bytes: hex(member("hex")),
        required: member("required").split_whitespace().collect(),
        codec: codec(member("type")),
        ty: member("type"),
    }
}

/// Checks that the interpreter of tables reads and writes a message as the code does that is compiled for it.
fn same_by_table<'a, T: Message<'a> + Write + PartialEq + Debug>(bytes: &'a [u8]) {
    for start in [Reader::strict(bytes), Reader::tolerant(bytes)] {
        let (mut fast, mut small) = (start, start);
        let value = T::read(&mut fast);
        assert_eq!(T::read_by_table(&mut small), value, "{bytes:02x?}");
        let Ok(value) = value else { continue };
        assert_eq!(small, fast, "{bytes:02x?}");
        for room in [bytes.len(), bytes.len() / 2, 0] {
            let (mut fast, mut small) = (vec![0; room], vec![0; room]);
            let mut w = Writer::new(&mut small);
            value.write_by_table(&mut w, &[]);
            let small = w.finish().map(|len| &small[..len]);
            assert_eq!(small, cbor::encode(&value, &mut fast).map(|len| &fast[..len]), "{bytes:02x?}");
        }
    }
}

/// Reads `$ty` with `$decode`, writes it, checks that it reads as the same value, and returns the written bytes.
macro_rules! round_trip {
    ($decode:path, $ty:ty) => {
        |bytes| {
            let value: $ty = $decode(bytes)?;
            let mut written = vec![0; bytes.len()];
            let length = cbor::encode(&value, &mut written).expect("the shortest form fits where it came from");
            written.truncate(length);
            let again: $ty = $decode(&written).expect("what was written can be read");
            assert_eq!(again, value);
            Ok(written)
        }
    };
}

macro_rules! codecs {
    ($given:expr; $($name:literal $ty:ty,)*) => {
        match $given {
            $($name => {
                Codec {
                    strict: round_trip!(cbor::decode, $ty),
                    tolerant: round_trip!(cbor::decode_tolerant, $ty),
                    same_by_table: |bytes| same_by_table::<$ty>(bytes),
                }
            })*
            "CoseKey" => Codec {
                strict: round_trip!(cbor::decode, CoseKey<'_>),
                tolerant: round_trip!(cbor::decode_tolerant, CoseKey<'_>),
                same_by_table: |_| (), // has no table
            },
            other => panic!("no type {other}"),
        }
    };
}

fn codec(name: &str) -> Codec {
    codecs! { name;
        "get_info::Response" get_info::Response<'_>,
        "make_credential::Request" make_credential::Request<'_>,
        "make_credential::Response" make_credential::Response<'_>,
        "get_assertion::Request" get_assertion::Request<'_>,
        "get_assertion::Response" get_assertion::Response<'_>,
        "client_pin::Request" client_pin::Request<'_>,
        "client_pin::Response" client_pin::Response<'_>,
        "bio_enrollment::Request" bio_enrollment::Request<'_>,
        "bio_enrollment::Params" bio_enrollment::Params<'_>,
        "bio_enrollment::Response" bio_enrollment::Response<'_>,
        "credential_management::Request" credential_management::Request<'_>,
        "credential_management::Params" credential_management::Params<'_>,
        "credential_management::Response" credential_management::Response<'_>,
        "large_blobs::Request" large_blobs::Request<'_>,
        "large_blobs::Response" large_blobs::Response<'_>,
        "large_blobs::LargeBlobMap" large_blobs::LargeBlobMap<'_>,
        "config::Request" config::Request<'_>,
        "config::SetMinPinLength" config::SetMinPinLength<'_>,
        "config::VendorPrototype" config::VendorPrototype,
        "extensions::MakeCredentialInputs" extensions::MakeCredentialInputs<'_>,
        "extensions::MakeCredentialOutputs" extensions::MakeCredentialOutputs<'_>,
        "extensions::GetAssertionInputs" extensions::GetAssertionInputs<'_>,
        "extensions::GetAssertionOutputs" extensions::GetAssertionOutputs<'_>,
        "extensions::UnsignedOutputs" extensions::UnsignedOutputs<'_>,
        "hmac_secret::Input" hmac_secret::HmacSecretInput<'_>,
        "RpEntity" RpEntity<'_>,
        "UserEntity" UserEntity<'_>,
        "CredentialDescriptor" CredentialDescriptor<'_>,
        "attestation::Packed" attestation::Packed<'_>,
        "attestation::FidoU2f" attestation::FidoU2f<'_>,
        "attestation::Tpm" attestation::Tpm<'_>,
        "attestation::AndroidKey" attestation::AndroidKey<'_>,
        "attestation::Apple" attestation::Apple<'_>,
        "attestation::AndroidSafetyNet" attestation::AndroidSafetyNet<'_>,
        "attestation::Element" attestation::Element<'_>,
    }
}
