//! The messages of a USB/IP client, one after another: each is written again as it was read, up to what the key passes
//! over. Control requests are answered with no more bytes than they allow.
#![no_main]

use keyfob_soft_authenticator::devices::{
    usb,
    usbip::{Message, Submit},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((flags, mut rest)) = bytes.split_first() else { return };
    let mut is_attached = flags & 1 != 0;
    while let Ok(Some((message, len))) = Message::parse(rest, is_attached) {
        assert!((8..=rest.len()).contains(&len));
        let mut written = Vec::new();
        message.write(&mut written);
        assert_eq!(written.len(), len);
        assert_eq!(Message::parse(&written, is_attached), Ok(Some((message, len))));
        match message {
            Message::Import(_) => is_attached = true,
            Message::Submit(Submit { setup, .. }) => {
                let most = u16::from_le_bytes([setup[6], setup[7]]);
                assert!(usb::control(setup).is_none_or(|answer| answer.len() <= most.into()));
            }
            _ => {}
        }
        rest = &rest[len..];
    }
});
