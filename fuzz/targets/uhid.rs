//! Events of `/dev/uhid`: an event or an error, and what a program wrote is where the kernel puts it.
#![no_main]

use keyfob_soft_authenticator::devices::uhid::{Error, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Event::parse(bytes) {
        Ok(Event::Output(data)) => {
            assert_eq!(data, &bytes[4..4 + data.len()]);
            assert_eq!(bytes[4100..4102], (data.len() as u16).to_ne_bytes());
        }
        Err(Error::Short { len }) => assert_eq!(len, bytes.len()),
        _ => {}
    }
});
