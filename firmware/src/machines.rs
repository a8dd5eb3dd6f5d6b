//! The machines that are measured. A row is a function and the type of its state; `stack.py` finds it by its name.

use core::hint::black_box;

use keyfob_core::{
    Instant, cbor,
    client::{GetAssertion, Input, MakeCredential},
    crypto::StubCrypto,
    ctap2::{decode_response, get_info, make_credential},
    transport::hid::{Device, Host, REPORT_LEN},
};
use keyfob_soft_authenticator::engine::{self, Event};

use crate::seams::{Chip, Noise};

/// Notes the size of a machine's state where `stack.py` finds it.
macro_rules! state {
    ($machine:ident, $ty:ty) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".machines")]
            #[unsafe(export_name = concat!("state_of_", stringify!($machine)))]
            static SIZE: u32 = size_of::<$ty>() as u32;
        };
    };
}

state!(decode_get_info, get_info::Response<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn decode_get_info(message: &[u8]) {
    let _ = black_box(decode_response::<get_info::Response<'_>>(message));
}

state!(decode_make_credential, make_credential::Request<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn decode_make_credential(message: &[u8]) {
    let _ = black_box(cbor::decode::<make_credential::Request<'_>>(message));
}

state!(hid_device, Device);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn hid_device(device: &mut Device, now: Instant, report: &[u8; REPORT_LEN], buffer: &mut [u8]) {
    black_box(device.receive(now, report, buffer));
    device.respond(black_box(9));
    black_box(device.transmit(now, buffer));
}

state!(hid_host, Host);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn hid_host(host: &mut Host, now: Instant, report: &[u8; REPORT_LEN], buffer: &mut [u8]) {
    host.open(now, black_box([1; 8]));
    black_box(host.receive(now, report, buffer));
    let _ = black_box(host.send(now, black_box(keyfob_core::transport::hid::Command::CBOR), black_box(9)));
    black_box(host.transmit(now, buffer));
    black_box(host.expire(now));
}

type ClientMakeCredential<'m> = MakeCredential<'m, 'm, StubCrypto, Noise>;
state!(client_make_credential, ClientMakeCredential<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn client_make_credential(ceremony: &mut ClientMakeCredential<'_>, now: Instant, input: Input<'_>) {
    let _ = black_box(ceremony.step(now, input));
}

type ClientGetAssertion<'m> = GetAssertion<'m, 'm, StubCrypto, Noise>;
state!(client_get_assertion, ClientGetAssertion<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn client_get_assertion(ceremony: &mut ClientGetAssertion<'_>, now: Instant, input: Input<'_>) {
    let _ = black_box(ceremony.step(now, input));
}

type Engine<'m> = engine::Engine<'m, Chip>;
state!(engine, Engine<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn engine(engine: &mut Engine<'_>, now: Instant, event: Event) {
    black_box(engine.begin(now, black_box(99)));
    black_box(engine.resume(now, event));
    black_box(engine.tidy());
}
