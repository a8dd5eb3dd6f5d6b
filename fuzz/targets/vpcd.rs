//! The messages of a vpcd reader, one after another: each is written again as it was read, and goes to a virtual key as a
//! card: each command has one response, and SELECT works afterwards.
#![no_main]

use keyfob_core::transport::nfc::AID;
use keyfob_soft_authenticator::{
    devices::{
        KeyOptions, Touch, VirtualKey,
        vpcd::{Error, Message, write},
    },
    engine::Config,
    nfc::Presence,
};
use libfuzzer_sys::fuzz_target;

/// The response of a key that need not wait for its user.
fn transceive(key: &mut VirtualKey<'_>, command: &[u8]) -> Vec<u8> {
    key.receive_apdu(command);
    loop {
        key.work();
        if let Some(response) = key.transmit_apdu() {
            assert!(key.transmit_apdu().is_none(), "two responses");
            return response;
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let config = Config::arculus_like([0; 16]);
    let mut memory = vec![0; config.buffer_len()];
    let options = KeyOptions { seed: Some(1), touch: Touch::Deny, presence: Presence::Tap, ..KeyOptions::new(config) };
    let mut key = VirtualKey::new(&mut memory, options).unwrap();
    key.enter_field().unwrap();
    let mut rest = bytes;
    loop {
        match Message::parse(rest) {
            Ok(Some((message, len))) => {
                let mut written = Vec::new();
                message.write(&mut written);
                assert_eq!(written, rest[..len]);
                match message {
                    Message::Off => key.power_cycle().unwrap(),
                    Message::On | Message::Reset => key.enter_field().unwrap(),
                    Message::Atr => {}
                    // A card without power has no response.
                    Message::Apdu(command) if key.authenticator().is_some() => {
                        key.receive_apdu(command);
                        assert!(key.transmit_apdu().is_none());
                    }
                    Message::Apdu(command) => {
                        let response = transceive(&mut key, command);
                        assert!(response.len() >= 2);
                        let mut answer = Vec::new();
                        write(&mut answer, &response);
                        assert_eq!(answer.len(), response.len() + 2);
                    }
                }
                rest = &rest[len..];
            }
            Ok(None) => break,
            Err(Error::Empty) => {
                assert_eq!(rest[..2], [0, 0]);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    key.enter_field().unwrap();
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID, &[0x00]].concat();
    assert_eq!(transceive(&mut key, &select), b"U2F_V2\x90\x00");
});
