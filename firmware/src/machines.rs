//! The machines that are measured. A row is a function and the type of its state; `stack.py` finds it by its name.

use core::hint::black_box;

use keyfob_core::{
    cbor,
    cose::CoseKey,
    ctap2::{decode_response, get_info, make_credential},
    pin_uv::{self, Protocol, SharedSecret},
};

use crate::stand_in::StandIn;

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

state!(pin_uv_decapsulate, SharedSecret);
#[inline(never)]
#[unsafe(no_mangle)]
pub fn pin_uv_decapsulate(message: &mut [u8]) {
    let Ok(key) = cbor::decode::<CoseKey<'_>>(message) else { return };
    if let Ok(secret) = pin_uv::decapsulate(&StandIn, Protocol::Two, &StandIn::secret(), &key) {
        let mut plain = [0; 64];
        let _ = black_box(secret.decrypt(&StandIn, message, &mut plain));
    }
}
