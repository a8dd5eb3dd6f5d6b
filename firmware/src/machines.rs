//! The measured machines. Each row is a function and the type of its state; `stack.py` finds it by its name.

use core::hint::black_box;

use keyfob_core::{
    Instant, cbor,
    client::{Ceremony, GetAssertion, Input, MakeCredential},
    crypto::StubCrypto,
    ctap2::{decode_response, get_info, make_credential},
    transport::hid::{Device, Host, REPORT_LEN},
};
#[cfg(feature = "rustcrypto")]
use keyfob_core::{
    cose::Algorithm,
    crypto::{RustCrypto, Sign},
};
use keyfob_soft_authenticator::engine::{self, Event};
#[cfg(feature = "flash-log")]
use keyfob_soft_authenticator::store::{Blobs, Change, FlashStore, Query, Setting, Store};

#[cfg(feature = "flash-log")]
use crate::seams::Pages;
use crate::seams::{Chip, Noise};

/// Records the size of a machine's state in a symbol that `stack.py` reads.
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
    let _ = black_box(host.send(now, black_box(keyfob_core::transport::hid::HidCommand::CBOR), black_box(9)));
    black_box(host.transmit(now, buffer));
    black_box(host.expire(now));
}

type ClientMakeCredential<'m> = Ceremony<'m, MakeCredential<'m>, StubCrypto, Noise>;
state!(client_make_credential, ClientMakeCredential<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn client_make_credential(ceremony: &mut ClientMakeCredential<'_>, now: Instant, input: Input<'_>) {
    let _ = black_box(ceremony.step(now, input));
}

type ClientGetAssertion<'m> = Ceremony<'m, GetAssertion<'m, 'static>, StubCrypto, Noise>;
state!(client_get_assertion, ClientGetAssertion<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn client_get_assertion(ceremony: &mut ClientGetAssertion<'_>, now: Instant, input: Input<'_>) {
    let _ = black_box(ceremony.step(now, input));
}

/// A whole client: both ceremonies over CTAPHID. Its state is that of the larger ceremony and the host; they take turns.
pub struct Client {
    _ceremony: ClientGetAssertion<'static>,
    _host: Host,
}
state!(client, Client);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn client(
    make: &mut ClientMakeCredential<'_>,
    get: &mut ClientGetAssertion<'_>,
    host: &mut Host,
    report: &[u8; REPORT_LEN],
    buffer: &mut [u8],
) {
    let now = black_box(Instant::from_millis(7));
    client_make_credential(make, now, black_box(Input::Response(9)));
    client_get_assertion(get, now, black_box(Input::Response(9)));
    hid_host(host, now, report, buffer);
}

type Engine<'m> = engine::Engine<'m, Chip>;
state!(engine, Engine<'_>);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn engine(engine: &mut Engine<'_>, now: Instant, event: Event) {
    black_box(engine.begin(now, black_box(99)));
    black_box(engine.begin_u2f(now, black_box(99)));
    black_box(engine.resume(now, event));
    black_box(engine.tidy());
}

#[cfg(feature = "flash-log")]
pub type FlashLog = FlashStore<Pages, StubCrypto, 50, 4>;
#[cfg(feature = "flash-log")]
state!(flash_store, FlashLog);
#[cfg(feature = "flash-log")]
#[inline(never)]
#[unsafe(no_mangle)]
pub fn flash_store(store: &mut FlashLog, changes: &[Change<'_>], out: &mut [u8]) {
    let _ = black_box(store.get(black_box(Setting::Pin), out));
    let _ = black_box(store.count(black_box(Query::All)));
    let _ = black_box(store.next(black_box(Query::All), black_box(None), out));
    let _ = black_box(store.commit(changes));
    let _ = black_box(store.stage(black_box(0), out));
    let _ = black_box(store.read_large_blobs(Blobs::Committed, black_box(0), out));
    let _ = black_box(store.tidy());
}

/// Key generation and signature of one algorithm alone.
#[cfg(feature = "rustcrypto")]
macro_rules! algorithm {
    ($generate:ident, $sign:ident, $algorithm:ident) => {
        state!($generate, ());
        #[inline(never)]
        #[unsafe(no_mangle)]
        pub fn $generate(secret: &mut [u8], public: &mut [u8]) {
            let _ = black_box(RustCrypto.generate(Algorithm::$algorithm, &mut Noise, secret, public));
        }

        state!($sign, ());
        #[inline(never)]
        #[unsafe(no_mangle)]
        pub fn $sign(secret: &[u8], message: &[u8], signature: &mut [u8]) {
            let _ = black_box(RustCrypto.sign(Algorithm::$algorithm, secret, &[message], signature));
        }
    };
}

#[cfg(feature = "rustcrypto")]
type Generate = fn(&mut [u8], &mut [u8]);
#[cfg(feature = "rustcrypto")]
type Signature = fn(&[u8], &[u8], &mut [u8]);

/// Calls the machines of every algorithm that is compiled.
#[cfg(feature = "rustcrypto")]
pub fn algorithms(secret: &mut [u8], public: &mut [u8], signature: &mut [u8]) {
    let machines: &[(Generate, Signature)] = &[
        (es256_generate, es256_sign),
        #[cfg(feature = "eddsa")]
        (eddsa_generate, eddsa_sign),
        #[cfg(feature = "es384")]
        (es384_generate, es384_sign),
        #[cfg(feature = "es512")]
        (es512_generate, es512_sign),
        #[cfg(feature = "es256k")]
        (es256k_generate, es256k_sign),
        #[cfg(feature = "ml-dsa")]
        (ml_dsa_44_generate, ml_dsa_44_sign),
        #[cfg(feature = "ml-dsa")]
        (ml_dsa_65_generate, ml_dsa_65_sign),
        #[cfg(feature = "ml-dsa")]
        (ml_dsa_87_generate, ml_dsa_87_sign),
    ];
    for (generate, sign) in machines {
        generate(secret, public);
        sign(secret, public, signature);
    }
}

#[cfg(feature = "rustcrypto")]
algorithm!(es256_generate, es256_sign, ES256);
#[cfg(feature = "eddsa")]
algorithm!(eddsa_generate, eddsa_sign, EDDSA);
#[cfg(feature = "es384")]
algorithm!(es384_generate, es384_sign, ES384);
#[cfg(feature = "es512")]
algorithm!(es512_generate, es512_sign, ES512);
#[cfg(feature = "es256k")]
algorithm!(es256k_generate, es256k_sign, ES256K);
#[cfg(feature = "ml-dsa")]
algorithm!(ml_dsa_44_generate, ml_dsa_44_sign, ML_DSA_44);
#[cfg(feature = "ml-dsa")]
algorithm!(ml_dsa_65_generate, ml_dsa_65_sign, ML_DSA_65);
#[cfg(feature = "ml-dsa")]
algorithm!(ml_dsa_87_generate, ml_dsa_87_sign, ML_DSA_87);
