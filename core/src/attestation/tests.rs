//! Statements of every format.

use super::*;
use crate::{Status, auth_data::AuthData, vectors::hex, webauthn::AttestationObject};

const SELF_ELEMENT: &[u8] = b"\xa2\x63fmt\x66packed\x67attStmt\xa2\x63alg\x26\x63sig\x42\x30\x00";
const U2F_ELEMENT: &[u8] = b"\xa2\x63fmt\x68fido-u2f\x67attStmt\xa2\x63sig\x42\x30\x00\x63x5c\x81\x42\x30\x00";

fn decode<'a>(format: &'a str, statement: &'a [u8]) -> Result<Statement<'a>, ErrorKind> {
    Statement::decode(format, Some(RawStatement(statement))).map_err(Error::kind)
}

fn compound(elements: &[&[u8]]) -> Vec<u8> {
    [&[0x80 | elements.len() as u8], elements.concat().as_slice()].concat()
}

#[test]
fn every_format_is_written_as_it_was_read() {
    let compound = compound(&[SELF_ELEMENT, U2F_ELEMENT]);
    for (format, bytes) in [
        ("none", &b"\xa0"[..]),
        ("packed", b"\xa2\x63alg\x26\x63sig\x42\x30\x00"),
        ("fido-u2f", b"\xa2\x63sig\x42\x30\x00\x63x5c\x81\x42\x30\x00"),
        ("compound", &compound),
        ("vendor", b"\x82\x01\x02"),
    ] {
        let statement = decode(format, bytes).unwrap();
        assert_eq!(statement.format(), format);
        let mut buffer = [0; 128];
        let len = cbor::encode(&statement, &mut buffer).unwrap();
        assert_eq!(&buffer[..len], bytes, "{format}");
    }
}

#[test]
fn a_compound_statement_holds_statements_of_other_formats() {
    let bytes = compound(&[SELF_ELEMENT, U2F_ELEMENT]);
    let Ok(Statement::Compound(elements)) = decode("compound", &bytes) else { panic!("not compound") };
    let formats: Vec<_> = elements.iter().map(|element| element.decode().unwrap().format()).collect();
    assert_eq!(formats, ["packed", "fido-u2f"]);
}

#[test]
fn a_compound_statement_has_at_least_two_elements_and_none_of_its_own_format() {
    let nested = b"\xa2\x63fmt\x68compound\x67attStmt\x80";
    let unsigned = b"\xa2\x63fmt\x66packed\x67attStmt\xa1\x63alg\x26";
    assert_eq!(decode("compound", &compound(&[])), Err(ErrorKind::Missing));
    assert_eq!(decode("compound", &compound(&[SELF_ELEMENT])), Err(ErrorKind::Missing));
    assert_eq!(decode("compound", &compound(&[SELF_ELEMENT, nested])), Err(ErrorKind::Forbidden));
    assert_eq!(decode("compound", &compound(&[SELF_ELEMENT, unsigned])), Err(ErrorKind::Missing));
    assert_eq!(decode("compound", b"\xa0"), Err(ErrorKind::UnexpectedType));
    assert_eq!(Statement::decode("compound", None).unwrap_err().status(), Status::CBOR_UNEXPECTED_TYPE);
}

#[test]
fn a_compound_statement_fits_into_a_response() {
    let message = [&b"\xa3\x01\x68compound\x02\x41\x00\x03"[..], &compound(&[SELF_ELEMENT, U2F_ELEMENT])].concat();
    let response: crate::ctap2::make_credential::Response<'_> = cbor::decode_tolerant(&message).unwrap();
    let statement = Statement::decode(response.fmt, response.att_stmt).unwrap();
    assert!(matches!(statement, Statement::Compound(elements) if elements.len() == 2));
    let mut buffer = [0; 128];
    let len = cbor::encode(&response, &mut buffer).unwrap();
    assert_eq!(buffer[..len], message);
}

#[test]
fn a_statement_is_a_map_or_an_array() {
    for bytes in [&b"\xa0"[..], b"\x80"] {
        assert_eq!(cbor::decode::<RawStatement<'_>>(bytes), Ok(RawStatement(bytes)));
    }
    for bytes in ["00", "20", "40", "60", "c000", "f5"] {
        let error = cbor::decode::<RawStatement<'_>>(&hex(bytes)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedType, "{bytes}");
    }
    assert_eq!(cbor::decode::<RawStatement<'_>>(b"").unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(cbor::decode::<RawStatement<'_>>(b"\x82\x00").unwrap_err().kind(), ErrorKind::Truncated);
}

#[test]
fn a_statement_whose_algorithm_is_outside_32_bits_is_read_as_of_none() {
    let statement = b"\xa2\x63alg\x1b\x00\x00\x00\x01\x00\x00\x00\x00\x63sig\x42\x30\x00";
    let Ok(Statement::Packed(packed)) = decode("packed", statement) else { panic!("not packed") };
    assert_eq!(packed.alg, Algorithm::RESERVED);
}

#[test]
fn a_member_that_is_there_twice_is_refused_in_what_is_signed() {
    for (format, statement) in [
        ("packed", &b"\xa3\x63alg\x26\x63sig\x42\x30\x00\x63alg\x26"[..]),
        ("packed", b"\xa4\x61x\xf5\x63alg\x26\x61x\xf5\x63sig\x42\x30\x00"),
        ("fido-u2f", b"\xa3\x63x5c\x81\x42\x30\x00\x63sig\x42\x30\x00\x63x5c\x81\x42\x30\x00"),
        ("none", b"\xa2\x61x\xf5\x61x\xf5"),
        ("vendor", b"\x81\xa2\x61x\xf5\x61x\xf5"),
        ("compound", b"\x82\xa3\x63fmt\x64none\x63fmt\x64none\x67attStmt\xa0\xa2\x63fmt\x64none\x67attStmt\xa0"),
    ] {
        assert_eq!(decode(format, statement), Err(ErrorKind::KeyOrder), "{format}");
    }

    // Authenticator data with extension outputs. The key is the one in the vectors of COSE keys.
    let head = [&[0x5a; 32][..], &[0x81, 0, 0, 0, 1]].concat();
    let with = |extensions: &[u8]| AuthData::decode(&[&head, extensions].concat()).map(drop).map_err(Error::kind);
    assert_eq!(with(b"\xa2\x68credBlob\x41\x00\x61x\xf5"), Ok(()));
    assert_eq!(with(b"\xa2\x68credBlob\x41\x00\x68credBlob\x41\x01"), Err(ErrorKind::KeyOrder));
    assert_eq!(with(b"\xa3\x61x\xf5\x68credBlob\x41\x00\x61x\xf5"), Err(ErrorKind::KeyOrder));
    assert_eq!(with(b"\xa1\x61x\xa2\x01\xf5\x01\xf5"), Err(ErrorKind::KeyOrder));

    let object = |members: &str| {
        let members: Vec<_> = members.split(' ').collect();
        let bytes = hex(&format!("{:02x}{}", 0xa0 + members.len(), members.concat()));
        AttestationObject::decode(&bytes).map(drop).map_err(Error::kind)
    };
    let (fmt, statement, data) = ("63666d74646e6f6e65", "6761747453746d74a0", "68617574684461746141aa");
    for order in [[fmt, statement, data], [data, fmt, statement], [statement, data, fmt]] {
        assert_eq!(object(&order.join(" ")), Ok(()));
        for twice in [fmt, statement, data, "6178f5 6178f5"] {
            assert_eq!(object(&format!("{} {twice}", order.join(" "))), Err(ErrorKind::KeyOrder), "{twice}");
        }
    }
}
