//! Messages from real clients and authenticators, and what the tracer says about them.

use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    Instant,
    transport::{Received, ReportIo, Transport},
};

/// The getInfo response of a key with every member.
const INFO: &str = "\
    00b81a0185665532465f5632684649444f5f325f306c4649444f5f325f315f505245684649444f5f325f31684649444f5f325f3302886b\
    6372656450726f746563746b686d61632d7365637265746c6c61726765426c6f624b65796863726564426c6f626c6d696e50696e4c656e\
    6774686e686d61632d7365637265742d6d6371746869726450617274795061796d656e746b707265766965775369676e0350f8a011f38c\
    0a4d15800617111f9edc7d04ae626570f462726bf5627570f564706c6174f468616c776179735576f468637265644d676d74f569617574\
    686e72436667f569636c69656e7450696ef46a6c61726765426c6f6273f56d706572437265644d676d74524ff56e70696e557641757468\
    546f6b656ef56f7365744d696e50494e4c656e677468f5706d616b654372656455764e6f74527164f57563726564656e7469616c4d676d\
    7450726576696577f5051906000682020107080818800983636e6663637573626a736d6172742d636172640a83a263616c672664747970\
    656a7075626c69632d6b6579a263616c672764747970656a7075626c69632d6b6579a263616c67382264747970656a7075626c69632d6b\
    65790b1910000cf40d040e010f182010011418641681667061636b65641818f51819582091817b7c2ebdf9a7be753a93d0a169ee2916c3\
    daa6abf46898c4928e114efb0f181a82637573626a736d6172742d63617264181bf5181c5368747470733a2f2f6578616d706c652e636f\
    6d181d183f181e582064b09968afdb3b09b5eb292ee502f2059f75704e9e966b9492ca64c2940bb52b181f83010203\
";
/// The makeCredential request of a browser.
const MAKE: &str = "\
    01a50158208dd8744d7903b0a3538a49eafaaec833acbfd285a5df4403a20e4e13e3d53e5002a26269646861636d652e636f6d646e616d\
    656441636d6503a3626964481098237235409872646e616d65766a6f686e70736d697468406578616d706c652e636f6d6b646973706c61\
    794e616d656d4a6f686e20502e20536d6974680481a263616c672664747970656a7075626c69632d6b657907a0\
";
/// The getAssertion request of a browser, silent.
const GET: &str = "\
    02a4016861636d652e636f6d0258208dd8744d7903b0a3538a49eafaaec833acbfd285a5df4403a20e4e13e3d53e500381a26269645840\
    3ebd89bf77ec509755ee9c2635efaaac7b2b9c5cef1736c3717da48534c8c6b654d7ff945f50b5cc4e78055bdd396b64f78da2c5f96200\
    ccd415cd08fe42003864747970656a7075626c69632d6b657905a1627570f4\
";
/// A registration with self attestation.
const SELF: &str = "\
    00a301667061636b65640258a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000df850e09db\
    6afbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca5010203262001215820\
    eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f61f13bfd44\
    119c325d5896e183fee484f203a263616c672663736967584630440220067a20754ab925005dbf378097c92120031581c73228d1fb4f5b\
    881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d\
";
/// A registration with a certificate.
const YUBICO: &str = "\
    00a301667061636b65640258c449960de5880e8c687434170f6476605b8fe4aeb9a28632c7995cf3ba831d97634500000000f8a011f38c\
    0a4d15800617111f9edc7d0040ed8848a1db564d0f0dc88f0fe916b178a9409871a0b3f2cf05736c12bf0096f37b93ba49ee23b4782efb\
    ce27a8c22678cc952d40dbd1403d2ba331a0758263f0a50102032620012158209d95a1b5d611bfe228a07fca1ed9090f0de78e29e82e11\
    db556213d726c27e2b225820be742aacde114076310bed55def303e41cac42638fe83063b7074e5dfb175e9b03a363616c672663736967\
    58483046022100fbd126763474acf6d85c5dbcdae043e0a5429fc7e2183ee22c9478bf9ceb3e9d022100ab211bc43069ee7f09e66b9998\
    34077b9a58b2e877e0ba7dab65f8ba2acb9a4163783563815902b3308202af30820197a0030201020204485b3db6300d06092a864886f7\
    0d01010b05003021311f301d06035504030c1659756269636f204649444f2050726576696577204341301e170d31383034313231303537\
    31305a170d3138313233313130353731305a306f310b300906035504061302534531123010060355040a0c0959756269636f2041423122\
    3020060355040b0c1941757468656e74696361746f72204174746573746174696f6e3128302606035504030c1f59756269636f20553246\
    2045452053657269616c20313231333933393132363059301306072a8648ce3d020106082a8648ce3d03010703420004fb2cdd304328c5\
    724a50cce6f60bad7d27a91b59e1e66f297b89c9d43dc2b2c77889b4f0ff9d0228cb946dfce01b19589b67804aac977f28189ccdb32574\
    ca28a36c306a302206092b0601040182c40a020415312e332e362e312e342e312e34313438322e312e363013060b2b0601040182e51c02\
    01010404030204303021060b2b0601040182e51c01010404120410f8a011f38c0a4d15800617111f9edc7d300c0603551d130101ff0402\
    3000300d06092a864886f70d01010b0500038201010032f3e4bd58d7422baf499986081f0da93bc6aa1c7211f92853ebf3eb73da693b06\
    de31338e5d02ecf676e95c42bea58f25d3373f77bb2a9d7cb23e118c41d49a4c9ad8f3e2a4ec01777a74a8c41243c31ece208f2d0f6ebc\
    619be184a172f6a9accbf8736d5be298b36bece71e778d0a69aaf994b8636de8faf62fd3ce7f044c322cf7263e3499e6a5b2b02abbad5b\
    d9ece5b0714d73bb9461499c942a5f1dccaf65033b3939d447d9fcc47b0b16d8e901fcec3f8c1bc0c6ac0b5d74c7bb03056917e9981a19\
    b9095ca1f4ab9f027c280f8af9ed1d293cf6cc2f046d9ad662b4a96eb1cacaac5e053e8391477c1f8b6001de653abff2aabb559886917e\
    ad3b36\
";
/// An assertion, without its status.
const ASSERT: &str = "\
    a301a26269645840fe3aac036d14c1e1c65518b698dd1da8f596bc33e11072813466c6bf3845691509b80fb76d59309b8d39e0a9345268\
    8f6ca3a39a76f3fc52744fb73948b1578364747970656a7075626c69632d6b65790258250021f5fc0b85cd22e60623bcd7d1ca48948909\
    249b4776eb515154e57b66ae12010000001d035846304402206765cbf6e871d3af7f01ae96f06b13c90f26f54b905c5166a2c791274fc2\
    397102200b143893586cc799fba4da83b119eaea1bd80ac3ce88fcedb3efbd596a1f4f63\
";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn report(hex: &str) -> [u8; 64] {
    crate::bytes::padded(&bytes(hex))
}

fn request(hex: &str) -> String {
    TraceEvent::Request(Protocol::Ctap2, &bytes(hex)).to_string()
}

fn response(command: Command, hex: &str) -> String {
    TraceEvent::Response(Protocol::Ctap2, command, &bytes(hex)).to_string()
}

#[track_caller]
fn shows(shown: &str, expected: &[&str]) {
    let lines: Vec<&str> = shown.lines().map(str::trim_start).collect();
    assert_eq!(lines, expected, "{shown}");
}

#[test]
fn frames_are_a_line_each() {
    let to = |hex| TraceEvent::Report(Direction::ToAuthenticator, &report(hex)).to_string();
    let from = |hex| TraceEvent::Report(Direction::ToClient, &report(hex)).to_string();
    assert_eq!(to("ffffffff860008 80435640b14ed92d"), "-> cid ffffffff INIT 8 bytes, nonce 80435640b14ed92d");
    assert_eq!(
        from("ffffffff860011 80435640b14ed92d 00220002 02 050201 05"),
        "<- cid ffffffff INIT 17 bytes, nonce 80435640b14ed92d, cid 00220002, protocol 2, version 5.2.1, \
         capabilities 0x05 / WINK|CBOR /"
    );
    assert_eq!(from("00220002bb000102"), "<- cid 00220002 KEEPALIVE UPNEEDED");
    assert_eq!(from("00220002bf000106"), "<- cid 00220002 ERROR CHANNEL_BUSY");
    assert_eq!(to("0022000290000104"), "-> cid 00220002 CBOR 1 byte");
    assert_eq!(to("0022000290002204"), "-> cid 00220002 CBOR 34 bytes");
    assert_eq!(to("0022000200"), "-> cid 00220002 cont 00");
    assert_eq!(to("00220002910000"), "-> cid 00220002 CANCEL");
    assert_eq!(to("00220002c1ffff"), "-> cid 00220002 HidCommand(0x41) 65535 bytes");
}

#[test]
fn real_messages_are_shown_member_by_member() {
    let shown = [
        request(MAKE),
        request(GET),
        response(Command::GET_INFO, INFO),
        response(Command::MAKE_CREDENTIAL, SELF),
        response(Command::MAKE_CREDENTIAL, YUBICO),
        response(Command::GET_NEXT_ASSERTION, &format!("00{ASSERT}")),
    ];
    assert_eq!(shown.join("\n"), include_str!("snapshot.txt").trim_end());
}

#[test]
fn a_status_alone_is_a_line() {
    assert_eq!(response(Command::RESET, "00"), "<- authenticatorReset: OK (0x00), 1 byte");
    assert_eq!(response(Command::CLIENT_PIN, "31"), "<- authenticatorClientPIN: PIN_INVALID (0x31), 1 byte");
    assert_eq!(response(Command::SELECTION, ""), "<- authenticatorSelection: empty");
    assert_eq!(request("0b"), "-> authenticatorSelection, 1 byte");
}

#[test]
fn an_unknown_command_is_raw() {
    shows(&request("50a10102"), &["-> command 0x50, 4 bytes", "body: h'a10102'"]);
}

#[test]
fn a_body_that_cannot_be_decoded_is_raw_with_the_error() {
    shows(&request("01a1"), &["-> authenticatorMakeCredential, 2 bytes", "body: h'a1' / Truncated at byte 1 /"]);
    shows(&request("02a000"), &["-> authenticatorGetAssertion, 3 bytes", "body: h'a000' / TrailingBytes at byte 1 /"]);
    shows(
        &response(Command::GET_ASSERTION, "00a10241ff"),
        &["<- authenticatorGetAssertion: OK (0x00), 5 bytes", "authData: h'ff' / Truncated at byte 0 /"],
    );
}

#[test]
fn a_request_that_is_not_canonical_is_shown_and_said_to_be() {
    shows(
        &request("06a202010101"),
        &[
            "-> authenticatorClientPIN, 6 bytes",
            "not canonical: KeyOrder at byte 4",
            "subCommand: 1 / getPINRetries /",
            "pinUvAuthProtocol: 1",
        ],
    );
}

#[test]
fn nested_members_and_values_have_names() {
    shows(
        &request("0da2010302a2010602816161"),
        &[
            "-> authenticatorConfig, 12 bytes",
            "subCommand: 3 / setMinPINLength /",
            "subCommandParams: {newMinPINLength: 6, minPinLengthRPIDs: [\"a\"]}",
        ],
    );
    shows(
        &response(Command::BIO_ENROLLMENT, "00a10781a2014101026166"),
        &[
            "<- authenticatorBioEnrollment: OK (0x00), 11 bytes",
            "templateInfos: [{templateId: h'01', templateFriendlyName: \"f\"}]",
        ],
    );
    shows(
        &request("06a3010202090903"),
        &[
            "-> authenticatorClientPIN, 8 bytes",
            "pinUvAuthProtocol: 2",
            "subCommand: 9 / getPinUvAuthTokenUsingPinWithPermissions /",
            "permissions: 0x03 / mc|ga /",
        ],
    );
    shows(
        &response(Command::CLIENT_PIN, "00a101a5010203381820012141aa2241bb"),
        &[
            "<- authenticatorClientPIN: OK (0x00), 17 bytes",
            "keyAgreement: {kty: 2 / EC2 /, alg: -25 / ECDH-ES + HKDF-256 /, crv: 1 / P-256 /, x: h'aa', y: h'bb'}",
        ],
    );
}

#[test]
fn diagnostic_notation_is_that_of_the_rfc() {
    let shown = |hex| Diagnostic(&bytes(hex)).to_string();
    assert_eq!(shown("20"), "-1");
    assert_eq!(shown("3bffffffffffffffff"), "-18446744073709551616");
    assert_eq!(shown("83f4f5f6"), "[false, true, null]");
    assert_eq!(shown("c101"), "1(1)");
    assert_eq!(shown("f7"), "undefined");
    assert_eq!(shown("f8ff"), "simple(255)");
    assert_eq!(shown("fb3ff199999999999a"), "1.1_3");
    assert_eq!(shown("a2616101636162630a"), "{\"a\": 1, \"abc\": 10}");
    assert_eq!(shown("621b0a"), "\"\\u{1b}\\n\"", "no control characters reach a terminal");
    assert_eq!(shown("8201"), "h'8201' / Truncated at byte 2 /");
}

#[test]
fn long_values_are_shortened_and_say_so() {
    let shown = |cbor: &[u8]| Diagnostic(cbor).to_string();
    let mut long = vec![0x58, 33];
    long.extend(0..33);
    assert_eq!(shown(&long), "h'000102030405060708090a0b…1d1e1f20' / 33 bytes /");
    let mut text = vec![0x78, 200];
    text.extend([b'x'; 200]);
    assert_eq!(shown(&text), format!("\"{}\"… / 200 bytes /", "x".repeat(128)));
    let mut list = vec![0x82, 0x98, 40];
    list.extend([1; 41]);
    assert_eq!(shown(&list), format!("[[{}, … / 8 more /], 1]", ["1"; 32].join(", ")));
}

/// Answers a request with a keep-alive, the same again, and a status; gives back the report that was written.
struct Script(Vec<Received>, Option<[u8; 64]>);

impl Transport for Script {
    type Error = ();

    fn send(&mut self, _: Protocol, _: &[u8]) -> Result<(), ()> {
        let alive = Received::KeepAlive(KeepAlive::UpNeeded);
        self.0 = vec![Received::Response(1), alive, alive];
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<Received, ()> {
        buffer[0] = 0x27;
        self.0.pop().ok_or(())
    }

    fn cancel(&mut self) -> Result<(), ()> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), ()> {
        Err(())
    }
}

impl ReportIo for Script {
    type Error = ();

    fn write(&mut self, report: &[u8; 64]) -> Result<(), ()> {
        self.1 = Some(*report);
        Ok(())
    }

    fn read(&mut self, _: Duration) -> Result<Option<[u8; 64]>, ()> {
        Ok(self.1.take())
    }
}

#[test]
fn a_tracer_writes_what_passes_and_changes_nothing() {
    let (mut out, mut now) = (String::new(), 0);
    let clock = || {
        now += 5;
        Instant::from_millis(now)
    };
    let mut tracer = Tracer::new(Script(Vec::new(), None), text(&mut out, clock));
    let mut buffer = [0; 8];
    let wait = Duration::ZERO;
    tracer.send(Protocol::Ctap2, &[0x0B]).unwrap();
    for _ in 0..2 {
        assert_eq!(tracer.receive(&mut buffer, wait), Ok(Received::KeepAlive(KeepAlive::UpNeeded)));
    }
    tracer.cancel().unwrap();
    assert_eq!(tracer.receive(&mut buffer, wait), Ok(Received::Response(1)));
    assert_eq!(tracer.reconnect(), Err(()));
    tracer.write(&report("0022000200")).unwrap();
    assert_eq!(tracer.read(wait), Ok(Some(report("0022000200"))));
    assert_eq!(tracer.read(wait), Ok(None));
    drop(tracer);
    let expected = [
        "       5 ms -> authenticatorSelection, 1 byte",
        "      10 ms <- keep-alive UPNEEDED",
        "      15 ms -> cancel",
        "      20 ms <- authenticatorSelection: OPERATION_DENIED (0x27), 1 byte",
        "      25 ms -- reconnect",
        "      30 ms -- the transport failed",
        "      35 ms -> cid 00220002 cont 00",
        "      40 ms <- cid 00220002 cont 00",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn keys_of_large_blobs_are_not_shown() {
    for (command, member) in
        [(Command::MAKE_CREDENTIAL, "05"), (Command::GET_ASSERTION, "07"), (Command::CREDENTIAL_MANAGEMENT, "0b")]
    {
        let message = bytes(&format!("00 a1 {member} 5820 {}", "c5".repeat(32)));
        let event = TraceEvent::Response(Protocol::Ctap2, command, &message);
        let (text, secret) = (event.to_string(), json(event));
        assert!(text.ends_with("largeBlobKey: h'' / 32 bytes, a secret /") && !text.contains("c5c5"), "{text}");
        assert_eq!(secret, serde_json::json!({ "largeBlobKey": { "secret": 32 } }));
    }
}

fn json(event: TraceEvent<'_>) -> serde_json::Value {
    let text = Json(&event).to_string();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn members_in_json_have_the_types_that_they_have_in_cbor() {
    let info = json(TraceEvent::Response(Protocol::Ctap2, Command::GET_INFO, &bytes(INFO)));
    assert_eq!((&info["maxMsgSize"], &info["forcePINChange"]), (&1536.into(), &false.into()));
    assert_eq!((&info["versions"][0], &info["options"]["up"]), (&"U2F_V2".into(), &true.into()));
    assert_eq!(info["aaguid"], serde_json::json!({ "hex": "f8a011f38c0a4d15800617111f9edc7d" }));
    let made = json(TraceEvent::Response(Protocol::Ctap2, Command::MAKE_CREDENTIAL, &bytes(SELF)));
    let (data, statement) = (&made["authData"], &made["attStmt"]);
    assert_eq!((&data["flags"], &data["signCount"], &statement["alg"]), (&0x5D.into(), &0.into(), &(-7).into()));
    assert_eq!(data["credentialPublicKey"]["x"]["hex"].as_str().unwrap().len(), 64);
    let asked = json(TraceEvent::Request(Protocol::Ctap2, &bytes(MAKE)));
    assert_eq!(asked["user"]["displayName"], "John P. Smith");

    // {99: 1.5, "\"\n": null, h'00': 24("a"), 1: NaN}
    let odd = bytes("00 a4 1863fb3ff8000000000000 62220af6 4100d8186161 01fb7ff8000000000000");
    let odd = json(TraceEvent::Response(Protocol::Ctap2, Command::CLIENT_PIN, &odd));
    assert_eq!(odd, serde_json::json!({ "99": 1.5, "\"\n": null, "h'00'": "a", "keyAgreement": null }));
    for (event, shown) in [
        (TraceEvent::Response(Protocol::Ctap2, Command::CLIENT_PIN, &[0]), "{}"),
        (TraceEvent::Response(Protocol::Ctap2, Command::CLIENT_PIN, &[0, 0xA1]), r#"{"body":{"hex":"a1"}}"#),
        (TraceEvent::Response(Protocol::Ctap2, Command::CLIENT_PIN, &[0, 0x80]), r#"{"body":{"hex":"80"}}"#),
        (TraceEvent::Request(Protocol::Ctap2, &[0x70, 1, 2]), r#"{"body":{"hex":"0102"}}"#),
        (TraceEvent::Request(Protocol::Ctap1, &[0, 3, 0, 0]), r#"{"apdu":{"hex":"00030000"}}"#),
        (TraceEvent::Cancel, "{}"),
    ] {
        assert_eq!(Json(&event).to_string(), shown, "{event:?}");
    }
}

proptest! {
    #[test]
    fn every_string_of_bytes_is_traced(message in proptest::collection::vec(any::<u8>(), 0..300), command: u8) {
        for protocol in [Protocol::Ctap1, Protocol::Ctap2] {
            let _ = TraceEvent::Request(protocol, &message).to_string();
            let _ = TraceEvent::Response(protocol, Command(command), &message).to_string();
            json(TraceEvent::Request(protocol, &message));
            json(TraceEvent::Response(protocol, Command(command), &message));
        }
        for direction in [Direction::ToAuthenticator, Direction::ToClient] {
            let _ = TraceEvent::Report(direction, &crate::bytes::padded(&message)).to_string();
        }
        let _ = Diagnostic(&message).to_string();
    }

    #[test]
    fn every_damaged_message_is_traced(which in 0..5_usize, at: prop::sample::Index, byte: u8) {
        let mut message = bytes([MAKE, GET, INFO, SELF, YUBICO][which]);
        *at.get_mut(&mut message) = byte;
        let _ = TraceEvent::Request(Protocol::Ctap2, &message).to_string();
        for command in [Command::MAKE_CREDENTIAL, Command::GET_INFO, Command::CREDENTIAL_MANAGEMENT] {
            let _ = TraceEvent::Response(Protocol::Ctap2, command, &message).to_string();
            json(TraceEvent::Response(Protocol::Ctap2, command, &message));
        }
        json(TraceEvent::Request(Protocol::Ctap2, &message));
    }
}
