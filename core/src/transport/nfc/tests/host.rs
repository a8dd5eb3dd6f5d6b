//! The client's end.

use super::*;

/// A host and its frame.
struct Reader {
    host: Host,
    frame: Vec<u8>,
    buffer: Vec<u8>,
}

impl Reader {
    fn new(lengths: Lengths, frame: usize) -> Self {
        Self { host: Host::new(lengths), frame: vec![0; frame], buffer: vec![0; 8192] }
    }

    /// A host that has selected an authenticator.
    fn selected() -> Self {
        let mut reader = Self::new(Lengths::Short, SHORT_FRAME);
        reader.host.select();
        assert_eq!(reader.next(&[]), Some(hex(SELECT_FIDO)));
        assert_eq!(reader.hear("5532465f5632 9000"), Some(HostEvent::Selected(Version::U2fV2)));
        reader
    }

    fn next(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let len = self.host.transmit(request, &mut self.frame)?;
        Some(self.frame[..len].to_vec())
    }

    fn hear(&mut self, response: &str) -> Option<HostEvent> {
        self.host.receive(&hex(response), &mut self.buffer)
    }

    /// Sends a CTAP2 request of one byte.
    fn send(&mut self) {
        assert_eq!(self.host.send(Protocol::Ctap2, &[4]), Ok(()));
        assert_eq!(self.next(&[4]), Some(hex("8010800001 04 00")));
    }
}

fn failed(failure: NfcFailure) -> Option<HostEvent> {
    Some(HostEvent::Failed(failure))
}

#[test]
fn select_says_which_protocols_there_are() {
    for (answer, version) in [("5532465f5632", Version::U2fV2), ("4649444f5f325f30", Version::Fido2_0)] {
        let mut reader = Reader::new(Lengths::Short, SHORT_FRAME);
        assert_eq!(reader.host.send(Protocol::Ctap2, &[4]), Err(NfcFailure::NotSelected));
        reader.host.select();
        assert!(reader.next(&[]).is_some());
        assert_eq!(reader.next(&[]), None, "the response first");
        assert_eq!(reader.hear(&format!("{answer}9000")), Some(HostEvent::Selected(version)));
        assert_eq!(reader.host.version(), Some(version));
        assert!(reader.host.is_ready());
    }
}

#[test]
fn a_card_that_is_no_authenticator_is_told() {
    for (answer, failure) in [
        ("6a82", NfcFailure::Refused(StatusWord::FILE_NOT_FOUND)),
        ("4649444f5f325f31 9000", NfcFailure::NotFido), // "FIDO_2_1"
        ("9000", NfcFailure::NotFido),
        ("", NfcFailure::Malformed),
        ("90", NfcFailure::Malformed),
    ] {
        let mut reader = Reader::new(Lengths::Short, SHORT_FRAME);
        reader.host.select();
        reader.next(&[]);
        assert_eq!(reader.hear(answer), failed(failure), "{answer}");
        assert_eq!((reader.host.is_ready(), reader.host.version()), (false, None));
    }
}

#[test]
fn a_long_request_is_a_chain_of_commands() {
    let mut reader = Reader::selected();
    let request: Vec<u8> = (0..500_u32).map(|i| i as u8).collect();
    assert_eq!(reader.host.send(Protocol::Ctap2, &request), Ok(()));
    assert_eq!(reader.host.send(Protocol::Ctap2, &request), Err(NfcFailure::Pending));
    assert_eq!(reader.next(&request).unwrap(), [&hex("90108000f0"), &request[..240]].concat());
    assert_eq!(reader.hear("9000"), None);
    assert_eq!(reader.next(&request).unwrap(), [&hex("90108000f0"), &request[240..480]].concat());
    assert!(!reader.host.is_sent());
    assert_eq!(reader.hear("9000"), None);
    assert_eq!(reader.next(&request).unwrap(), [&hex("8010800014"), &request[480..], &[0]].concat());
    assert!(reader.host.is_sent());
    assert_eq!(reader.hear("00 9000"), Some(HostEvent::Response { len: 1 }));
}

#[test]
fn a_chain_that_is_refused_ends() {
    let mut reader = Reader::selected();
    reader.host.send(Protocol::Ctap2, &[0; 500]).unwrap();
    reader.next(&[0; 500]);
    assert_eq!(reader.hear("6700"), failed(NfcFailure::Refused(StatusWord::WRONG_LENGTH)));
    assert_eq!(reader.next(&[0; 500]), None);
}

#[test]
fn an_extended_request_is_one_command_as_far_as_the_frame_allows() {
    let mut reader = Reader::new(Lengths::Extended, 1033);
    reader.host.select();
    reader.next(&[]);
    reader.hear("5532465f5632 9000");
    let request = [7; 1024];
    reader.host.send(Protocol::Ctap2, &request).unwrap();
    assert_eq!(reader.next(&request).unwrap(), [&hex("80108000 000400")[..], &request, &hex("0407")].concat());
    assert_eq!(reader.hear("00 9000"), Some(HostEvent::Response { len: 1 }));
    let request = [7; 1025];
    reader.host.send(Protocol::Ctap2, &request).unwrap();
    assert_eq!(reader.next(&request).unwrap(), [&hex("90108000 000400")[..], &request[1..]].concat());
    reader.hear("9000");
    assert_eq!(reader.next(&request).unwrap(), hex("80108000 000001 07 0407"));
    assert!(matches!(reader.hear("01 9100"), Some(HostEvent::KeepAlive(_))));
    assert_eq!(reader.next(&request).unwrap(), hex("80110000 000407"), "the response comes in one piece");
}

#[test]
fn the_rest_of_a_response_is_fetched() {
    let mut reader = Reader::selected();
    reader.send();
    assert_eq!(reader.hear("0102 6100"), None);
    assert_eq!(reader.next(&[]), Some(hex("80c0000000")));
    assert_eq!(reader.hear("03 6103"), None);
    assert_eq!(reader.next(&[]), Some(hex("80c0000003")));
    assert_eq!(reader.hear("040506 9000"), Some(HostEvent::Response { len: 6 }));
    assert_eq!(reader.buffer[..6], [1, 2, 3, 4, 5, 6]);

    let version = hex("00030000000000");
    reader.host.send(Protocol::Ctap1, &version).unwrap();
    assert_eq!(reader.next(&version), Some(hex("0003000000")));
    assert_eq!(reader.hear("6103"), None, "a reader that brings the data with the next command");
    assert_eq!(reader.next(&[]), Some(hex("00c0000003")), "in the class of U2F");
    assert_eq!(reader.hear("010203 6a80"), Some(HostEvent::Response { len: 5 }));
    assert_eq!(reader.buffer[..5], hex("010203 6a80"));
}

#[test]
fn u2f_is_sent_in_short_length_encoding() {
    let mut reader = Reader::selected();
    let request = [hex("00020300 000141"), vec![9; 321], hex("0000")].concat();
    reader.host.send(Protocol::Ctap1, &request).unwrap();
    assert_eq!(reader.next(&request).unwrap(), [&hex("10020300f0")[..], &[9; 240]].concat());
    reader.hear("9000");
    assert_eq!(reader.next(&request).unwrap(), [&hex("0002030051")[..], &[9; 81], &[0]].concat());
    assert_eq!(reader.hear("6985"), Some(HostEvent::Response { len: 2 }));
    assert_eq!(reader.host.send(Protocol::Ctap1, &[0, 1]), Err(NfcFailure::NotAnApdu));
    assert!(reader.host.is_ready());
}

#[test]
fn an_authenticator_that_works_is_asked_again() {
    let mut reader = Reader::selected();
    reader.send();
    for (answer, status) in [
        ("01 9100", KeepAlive::Processing),
        ("02 9100", UP_NEEDED),
        ("07 9100", KeepAlive::Other(7)),
        ("9100", KeepAlive::Processing),
    ] {
        assert_eq!(reader.hear(answer), Some(HostEvent::KeepAlive(status)));
        assert!(reader.host.pauses());
        assert_eq!(reader.next(&[]), Some(hex("8011000000")));
        assert!(!reader.host.pauses());
    }
    assert_eq!(reader.hear("00 6102"), None);
    assert_eq!(reader.next(&[]), Some(hex("80c0000002")));
    assert_eq!(reader.hear("0102 9000"), Some(HostEvent::Response { len: 3 }));
}

#[test]
fn an_authenticator_that_works_for_ever_is_given_up() {
    let mut reader = Reader::selected();
    reader.send();
    for _ in 0..MAX_POLLS {
        assert!(matches!(reader.hear("01 9100"), Some(HostEvent::KeepAlive(_))));
        assert!(reader.next(&[]).is_some());
    }
    assert_eq!(reader.hear("01 9100"), failed(NfcFailure::Timeout));
}

#[test]
fn a_cancellation_goes_with_the_next_question_and_only_once() {
    let mut reader = Reader::selected();
    reader.send();
    reader.host.cancel();
    assert!(matches!(reader.hear("02 9100"), Some(HostEvent::KeepAlive(_))));
    assert!(!reader.host.pauses(), "a cancellation does not wait");
    assert_eq!(reader.next(&[]), Some(hex("8011110000")));
    reader.host.cancel();
    assert!(matches!(reader.hear("01 9100"), Some(HostEvent::KeepAlive(_))));
    assert_eq!(reader.next(&[]), Some(hex("8011000000")));
    assert_eq!(reader.hear("2d 9000"), Some(HostEvent::Response { len: 1 }));
    // The next request is not cancelled.
    reader.send();
    assert!(matches!(reader.hear("02 9100"), Some(HostEvent::KeepAlive(_))));
    assert_eq!(reader.next(&[]), Some(hex("8011000000")));
}

#[test]
fn an_authenticator_that_does_not_know_cancellation_is_asked_without() {
    let mut reader = Reader::selected();
    reader.send();
    reader.hear("02 9100");
    reader.host.cancel();
    assert_eq!(reader.next(&[]), Some(hex("8011110000")));
    assert_eq!(reader.hear("6a86"), None);
    assert_eq!(reader.next(&[]), Some(hex("8011000000")));
    assert_eq!(reader.hear("6a86"), failed(NfcFailure::Refused(StatusWord::INCORRECT_P1_P2)));
}

#[test]
fn u2f_has_no_cancellation_and_no_status_updates() {
    let mut reader = Reader::selected();
    let version = hex("00030000000000");
    reader.host.send(Protocol::Ctap1, &version).unwrap();
    reader.next(&version);
    reader.host.cancel();
    assert_eq!(reader.hear("01 9100"), Some(HostEvent::Response { len: 3 }));
}

#[test]
fn a_refused_request_ends_and_the_next_begins_with_select() {
    for status in ["6985", "6f00", "6d00", "6c10"] {
        let mut reader = Reader::selected();
        reader.send();
        let word = u16::from_str_radix(status, 16).unwrap();
        assert_eq!(reader.hear(status), failed(NfcFailure::Refused(StatusWord(word))));
        assert_eq!(reader.host.send(Protocol::Ctap2, &[4]), Err(NfcFailure::NotSelected));
    }
}

#[test]
fn parts_without_data_and_without_end_are_given_up() {
    let mut reader = Reader::selected();
    reader.send();
    assert_eq!(reader.hear("6110"), None);
    reader.next(&[]);
    assert_eq!(reader.hear("6110"), failed(NfcFailure::Malformed));

    let mut reader = Reader::selected();
    reader.send();
    let part = format!("{} 6100", "a5".repeat(256));
    let parts = std::iter::from_fn(|| {
        let event = reader.hear(&part);
        reader.next(&[]);
        Some(event)
    });
    let parts: Vec<_> = parts.take(400).take_while(Option::is_none).collect();
    assert_eq!(parts.len(), 256);
    assert!(!reader.host.is_ready());
}

#[test]
fn a_response_that_is_too_long_is_fetched_and_its_length_told() {
    let mut reader = Reader::selected();
    reader.buffer = vec![0; 3];
    reader.send();
    assert_eq!(reader.hear("0102 6102"), None);
    reader.next(&[]);
    assert_eq!(reader.hear("0304 9000"), failed(NfcFailure::BufferTooSmall { needed: 4 }));
    assert!(reader.host.is_ready());
}

#[test]
fn a_response_that_nobody_asked_for_is_ignored() {
    let mut reader = Reader::selected();
    assert_eq!(reader.hear("00 9000"), None);
    reader.host.send(Protocol::Ctap2, &[4]).unwrap();
    assert_eq!(reader.hear("00 9000"), None);
    reader.next(&[4]);
    assert_eq!(reader.hear("00 9000"), Some(HostEvent::Response { len: 1 }));
}
