//! The authenticator's end.

use super::*;

/// §11.3.3: SELECT
#[test]
fn select_tells_which_protocols_there_are() {
    for (u2f, ctap2, answer) in [(true, true, "U2F_V2"), (true, false, "U2F_V2"), (false, true, "FIDO_2_0")] {
        let mut card = Card::new(DeviceConfig { u2f, ctap2, ..DeviceConfig::default() });
        assert!(!card.device.is_selected());
        for select in [SELECT_FIDO, "00a4040008a0000006472f0001", "00a4040c08a0000006472f000100"] {
            assert_eq!(card.ask(select), [answer.as_bytes(), &[0x90, 0]].concat());
            assert!(card.device.is_selected());
        }
        assert_eq!(card.events, [DeviceEvent::Ended; 3]);
        assert_eq!(card.transmit(), None, "one response to one command");
    }
}

#[test]
fn another_application_is_not_found() {
    let mut card = Card::selected();
    assert_eq!(card.ask("00a4040007a000000527210100"), hex("6a82"));
    assert_eq!(card.ask("00a4000002 3f00"), hex("6a86"), "SELECT by file identifier");
    assert!(card.device.is_selected());
    assert_eq!(card.events, []);
}

#[test]
fn commands_before_select_and_after_end_are_refused() {
    for command in ["8010000001 04 00", "0003000000", "8011000000", "8012010000"] {
        let mut card = Card::new(DeviceConfig::default());
        assert_eq!(card.ask(command), hex("6985"), "{command}");
        card.ask(SELECT_FIDO);
        assert_eq!(card.ask("80120100"), hex("9000"));
        assert!(!card.device.is_selected());
        assert_eq!(card.ask(command), hex("6985"), "{command}");
        assert_eq!(card.events, [DeviceEvent::Ended; 2]);
    }
}

#[test]
fn each_malformed_or_unknown_command_has_its_error() {
    let mut card = Card::selected();
    for (command, status) in [
        ("", "6700"),
        ("801000", "6700"),
        ("8010000005 04", "6700"),
        ("8010000001 04 00 00", "6700"),
        ("80100000", "6700"),            // an empty message
        ("8010000000", "6700"),          // Le alone
        ("8010 00 01 01 04 00", "6a86"), // P2
        ("8012 02 00", "6a86"),          // NFCCTAP_CONTROL other than END
        ("8012 01 01", "6a86"),
        ("8013 0000", "6d00"),
        ("80a4 0400 08 a0000006472f0001", "6d00"), // SELECT in the wrong class
        ("9011 0000", "6d00"),                     // NFCCTAP_GETRESPONSE in a chain
        ("0010 0000 01 04", "6d00"),
        ("0004 0000", "6d00"),
        ("4010 0000 01 04", "6e00"),
        ("8110 0000 01 04", "6e00"), // a logical channel
        ("ff00 0000", "6e00"),
        ("00c0 0000 00", "6985"), // no response is left
        ("80c0 0000 00", "6985"),
        ("8011 0000 00", "6985"), // no request is pending
        ("8011 1100 00", "6985"),
    ] {
        assert_eq!(card.ask(command), hex(status), "{command}");
    }
    assert_eq!(card.events, []);
    card.ask("8010000001 04 00");
    assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));
}

#[test]
fn what_is_not_supported_is_an_unknown_instruction() {
    let mut card = Card::new(DeviceConfig { u2f: false, ..DeviceConfig::default() });
    card.ask(SELECT_FIDO);
    assert_eq!(card.ask("0003000000"), hex("6d00"));
    let mut card = Card::new(DeviceConfig { ctap2: false, ..DeviceConfig::default() });
    card.ask(SELECT_FIDO);
    assert_eq!(card.ask("8010000001 04 00"), hex("6d00"));
    assert_eq!(card.ask("8011000000"), hex("6d00"));
}

/// §11.3.5: short and extended length encoding
#[test]
fn extended_length_can_be_switched_off() {
    let mut card = Card::selected();
    card.ask("80100000 000001 04 0000");
    assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));
    let mut card = Card::new(DeviceConfig { extended_length: false, ..DeviceConfig::default() });
    card.ask(SELECT_FIDO);
    assert_eq!(card.ask("80100000 000001 04 0000"), hex("6700"));
    assert_eq!(card.ask("00030000 000000"), hex("6700"));
}

/// §11.3.6: the standard's example of a chained command and a chained response
#[test]
fn a_chain_of_commands_and_a_response_in_parts_go_as_in_the_standard() {
    let mut card = Card::selected();
    let first = vec![0xA5; 240];
    assert_eq!(card.ask(&format!("90100000f0 {}", "a5".repeat(240))), hex("9000"));
    assert_eq!(card.ask("8010000017 726bf50850fc43aaa411d948cc6c37068b8da1d5080901 00"), NO_RESPONSE);
    let last = hex("726bf50850fc43aaa411d948cc6c37068b8da1d5080901");
    assert_eq!(card.request(), (Protocol::Ctap2, [first, last].concat()));

    let answer: Vec<u8> = (0..256 + 256 + 0xA7_u32).map(|i| i as u8).collect();
    card.answer(&answer);
    assert_eq!(card.transmit().unwrap(), [&answer[..256], &[0x61, 0x00]].concat());
    assert_eq!(card.ask("80c0000000"), [&answer[256..512], &[0x61, 0xA7]].concat());
    assert_eq!(card.ask("80c00000a7"), [&answer[512..], &[0x90, 0x00]].concat());
    assert_eq!(card.ask("80c0000000"), hex("6985"));
}

#[test]
fn a_response_comes_in_parts_of_the_length_that_is_asked_for() {
    // In either class, and without Le as if it were the longest.
    let mut card = Card::selected();
    card.ask("8010000001 04 10");
    card.answer(&[7; 300]);
    assert_eq!(card.transmit().unwrap(), [&[7; 16][..], &hex("6100")].concat());
    assert_eq!(card.ask("00c0000020"), [&[7; 32][..], &hex("61fc")].concat());
    assert_eq!(card.ask("8013000000"), hex("6d00"), "another command's error takes nothing away");
    assert_eq!(card.ask("80c00000"), [&[7; 252][..], &hex("9000")].concat());
}

#[test]
fn an_extended_response_comes_in_one_piece() {
    for command in ["80100000 000001 04 0000", "80100000 000001 04"] {
        let mut card = Card::selected();
        card.ask(command);
        card.answer(&[7; 7609]);
        assert_eq!(card.transmit().unwrap(), [&[7; 7609][..], &hex("9000")].concat());
    }
    let mut card = Card::selected();
    card.ask("80100000 000001 04 0400"); // of at most 1,024 bytes
    card.answer(&[7; 1500]);
    assert_eq!(card.transmit().unwrap(), [&[7; 1024][..], &hex("6100")].concat());
    assert_eq!(card.ask("80c00000 000000"), [&[7; 476][..], &hex("9000")].concat());
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_next_is_taken() {
    let mut card = Card::new(DeviceConfig { max_message: 300, ..DeviceConfig::default() });
    card.ask(SELECT_FIDO);
    let piece = format!("90100000c8 {}", "a5".repeat(200));
    assert_eq!(card.ask(&piece), hex("9000"));
    assert_eq!(card.ask(&piece), hex("6700"));
    card.ask("8010000001 04 00");
    assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));

    let long = format!("80100000 00012d {} 0000", "a5".repeat(301));
    assert_eq!(card.ask(&long), hex("6700"));
    assert_eq!(card.events.last(), Some(&DeviceEvent::Aborted));
    card.buffer.truncate(100);
    assert_eq!(card.ask(&piece), hex("6700"), "the buffer is a limit too");
}

#[test]
fn a_command_that_does_not_continue_the_chain_stands_for_itself() {
    for other in ["8010800001 04 00", "8010000001 04 00"] {
        let mut card = Card::selected();
        assert_eq!(card.ask("9010000002 0102"), hex("9000"));
        assert_eq!(card.ask("8013000000"), hex("6d00"), "an error drops the chain");
        card.ask(other);
        assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));
    }
    let mut card = Card::selected();
    assert_eq!(card.ask("9010000002 0102"), hex("9000"));
    card.ask("8010800001 04 00"); // another P1
    assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));
    card.answer(&[0]);
    card.transmit();

    card.ask("9010000002 0102");
    assert_eq!(card.ask("9001000002 0304"), hex("6d00"));
    card.ask("1001000002 0304"); // a chain of U2F begins
    card.ask("0001000001 05");
    assert_eq!(card.request(), (Protocol::Ctap1, hex("00010000 000003 030405")));
}

#[test]
fn u2f_comes_as_an_apdu_whatever_the_encoding() {
    let mut card = Card::selected();
    for (commands, request) in [
        (&["0003000000"][..], "00030000 000000"),
        (&["00030000000000"], "00030000 000000"),
        (&["0001030002 0a0b 00"], "00010300 000002 0a0b"),
        (&["00010300 000002 0a0b 0000"], "00010300 000002 0a0b"),
        (&["1002070001 0a", "0002070001 0b 00"], "00020700 000002 0a0b"),
    ] {
        for command in commands {
            card.ask(command);
        }
        assert_eq!(card.request(), (Protocol::Ctap1, hex(request)));
        card.answer(&hex("5532465f5632 9000"));
        assert_eq!(card.transmit().unwrap(), hex("5532465f5632 9000"));
    }
}

#[test]
fn the_status_word_of_u2f_comes_with_the_last_part() {
    let mut card = Card::selected();
    card.ask("0001000001 05 00");
    card.answer(&[&[7; 300][..], &hex("9000")].concat());
    assert_eq!(card.transmit().unwrap(), [&[7; 256][..], &hex("612c")].concat());
    assert_eq!(card.ask("00c000002c"), [&[7; 44][..], &hex("9000")].concat());
    card.ask("0001000001 05 00");
    card.answer(&hex("6985"));
    assert_eq!(card.transmit().unwrap(), hex("6985"));
    card.ask("0001000001 05 00");
    card.answer(&[0x69]);
    assert_eq!(card.transmit().unwrap(), hex("6f00"), "an answer without a status word");
}

/// §11.3.7.1: no status update for a client that has not asked for it
#[test]
fn a_client_that_does_not_poll_waits_for_the_answer() {
    let mut card = Card::selected();
    assert_eq!(card.ask("8010000001 04 00"), NO_RESPONSE);
    card.device.keep_alive(UP_NEEDED);
    card.wait(30_000);
    assert_eq!((card.transmit(), card.device.deadline()), (None, None));
    assert_eq!(card.ask("8011000000"), hex("6985"));
    card.answer(&[0, 1, 2]);
    assert_eq!(card.transmit(), None, "that response was the answer to the last command");
    card.ask("8010000001 04 00");
    card.answer(&[0, 1, 2]);
    assert_eq!(card.transmit().unwrap(), hex("000102 9000"));
}

/// §11.3.7.2: NFCCTAP_GETRESPONSE
#[test]
fn a_client_that_polls_is_told_what_the_request_waits_for() {
    let mut card = Card::selected();
    assert_eq!(card.ask("8010800001 01 00"), NO_RESPONSE);
    assert_eq!(card.device.deadline(), Some(Instant::from_millis(100)));
    card.wait(100);
    assert_eq!(card.transmit().unwrap(), hex("01 9100"));
    assert_eq!((card.transmit(), card.device.deadline()), (None, None));

    assert_eq!(card.ask("8011000000"), NO_RESPONSE);
    card.device.keep_alive(KeepAlive::Processing);
    assert_eq!(card.transmit(), None, "nothing is new");
    card.device.keep_alive(UP_NEEDED);
    assert_eq!(card.transmit().unwrap(), hex("02 9100"), "at once");
    assert_eq!(card.ask("8011000000"), NO_RESPONSE, "that is known");
    card.wait(100);
    assert_eq!(card.transmit().unwrap(), hex("02 9100"));

    card.device.keep_alive(KeepAlive::Processing);
    assert_eq!(card.ask("8011000000"), NO_RESPONSE);
    card.answer(&[0, 9]);
    assert_eq!(card.transmit().unwrap(), hex("0009 9000"));
    assert_eq!(card.ask("8011000000"), hex("6985"));
    assert_eq!(card.events.len(), 1, "one request");
}

#[test]
fn an_answer_between_two_polls_waits_for_the_next() {
    let mut card = Card::selected();
    card.ask("8010800001 01 00");
    card.wait(100);
    card.transmit();
    card.answer(&[5; 300]);
    assert_eq!((card.transmit(), card.device.deadline()), (None, None));
    assert_eq!(card.ask("80c0000000"), hex("6985"), "GET RESPONSE does not begin a response");
    assert_eq!(card.ask("8011000010"), [&[5; 16][..], &hex("6100")].concat());
    assert_eq!(card.ask("8011000000"), hex("6985"), "but goes on with it");
    assert_eq!(card.ask("80c00000ff"), [&[5; 255][..], &hex("611d")].concat());
    assert_eq!(card.ask("80c0000000"), [&[5; 29][..], &hex("9000")].concat());
}

#[test]
fn a_cancellation_comes_once_and_its_answer_is_awaited() {
    let mut card = Card::selected();
    card.ask("8010800001 01 00");
    card.wait(100);
    card.transmit();
    card.events.clear();
    assert_eq!(card.ask("8011110000"), NO_RESPONSE);
    assert_eq!(card.events, [DeviceEvent::Cancel]);
    card.wait(100);
    assert_eq!(card.transmit().unwrap(), hex("01 9100"), "the answer takes its time");
    assert_eq!(card.ask("8011110000"), NO_RESPONSE);
    assert_eq!(card.events, [DeviceEvent::Cancel]);
    card.answer(&[0x2D]);
    assert_eq!(card.transmit().unwrap(), hex("2d 9000"));
}

#[test]
fn another_command_gives_the_pending_request_up() {
    let mut card = Card::selected();
    for (command, event) in [
        ("8010800001 02 00", DeviceEvent::Request { protocol: Protocol::Ctap2, len: 1 }),
        ("0003000000", DeviceEvent::Request { protocol: Protocol::Ctap1, len: 7 }),
        ("9010800001 02", DeviceEvent::Aborted),
        ("00a4040005 a000000308 00", DeviceEvent::Aborted), // refused: SELECT of the application PIV
        ("8013000000", DeviceEvent::Aborted),
        ("80108001 01 04", DeviceEvent::Aborted),
        ("80", DeviceEvent::Aborted),
        ("8012010000", DeviceEvent::Ended),
        (SELECT_FIDO, DeviceEvent::Ended),
    ] {
        card.ask(SELECT_FIDO);
        card.ask("8010800001 01 00");
        card.ask(command);
        assert_eq!(card.events.last(), Some(&event), "{command}");
        card.device.respond(1); // late
    }
    assert_eq!(card.transmit(), None);
}

#[test]
fn a_refused_question_for_the_answer_leaves_the_request_pending() {
    for command in ["00c0000000", "80c0000000", "8011000000", "8011"] {
        let mut card = Card::selected();
        card.ask("8010000001 01 00"); // of a client that does not poll
        assert_eq!(card.ask(command).len(), 2, "{command}");
        assert_eq!((card.events.len(), card.device.is_idle()), (1, false), "{command}");
    }
}

#[test]
fn without_a_field_everything_is_forgotten() {
    let mut card = Card::selected();
    card.ask("8010000001 01 00");
    card.device.reset();
    assert_eq!((card.transmit(), card.device.is_selected()), (None, false));
    card.answer(&[0]);
    assert_eq!(card.transmit(), None);
    assert_eq!(card.ask("8010000001 01 00"), hex("6985"));
}

#[test]
fn a_driver_that_answers_more_than_it_has_answers_what_it_has() {
    let mut card = Card::selected();
    card.ask("80100000 000001 04 0000");
    card.device.respond(usize::MAX);
    assert_eq!(card.transmit().unwrap().len(), card.buffer.len() + 2);
}
