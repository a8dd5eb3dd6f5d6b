//! The engine with sequences of well-formed commands, compared with a small model of an authenticator. Any command may
//! be aborted between two of its atoms.
#![no_main]

use std::time::Duration;

use keyfob_core::{ctap2::Command, pin_uv::PinUvAuthProtocol};
use keyfob_fuzz::{
    Input,
    key::{ABORTS, UserAction, key},
};
use keyfob_soft_authenticator::engine::Config;
use libfuzzer_sys::fuzz_target;

use aborted::{Before, superseded};
use ceremonies::{get, make, next, silent};
use manage::{change_credential, list, read_blobs, set_min_pin_length, toggle_always_uv, write_blobs};
use model::Model;
use pin::{change_pin, reset, set_pin, token};

#[path = "engine_commands/aborted.rs"]
mod aborted;
#[path = "engine_commands/ceremonies.rs"]
mod ceremonies;
#[path = "engine_commands/manage.rs"]
mod manage;
#[path = "engine_commands/model.rs"]
mod model;
#[path = "engine_commands/pin.rs"]
mod pin;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let config = Config { max_msg_size: 1024, ..Config::new([0xAA; 16]) };
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = key(&mut buffer, config);
    let mut model = Model::new(key.now);
    while !input.is_empty() {
        let step = input.byte();
        let before = (step & 0x20 != 0).then(|| Before::of(&mut key, &model));
        if before.is_some() {
            let poll = input.byte();
            key.adversary = Some((1 + u32::from(poll % 4), ABORTS[usize::from(poll / 4) % ABORTS.len()]));
        }
        let (flag, other) = (step & 0x40 != 0, step & 0x80 != 0);
        let protocol = if flag { PinUvAuthProtocol::Two } else { PinUvAuthProtocol::One };
        if !matches!(step % 32, 5 | 6 | 11 | 12) {
            model.sequence.0.clear();
        }
        match step % 32 {
            0 | 1 => make(&mut key, &mut model, input.byte(), flag, other),
            2 | 3 => get(&mut key, &mut model, input.byte(), flag, other),
            4 => silent(&mut key, &mut model, flag),
            5 | 6 => next(&mut key, &mut model),
            7 => set_pin(&mut key, &mut model, protocol, input.byte()),
            8 => change_pin(&mut key, &mut model, protocol, input.byte()),
            9 | 10 => token(&mut key, &mut model, protocol, input.byte()),
            11 => {
                key.user = match input.byte() % 4 {
                    0 => UserAction::Declines,
                    1 => UserAction::Sleeps,
                    _ => UserAction::Touches,
                }
            }
            12 => key.now = key.now.plus(Duration::from_millis(250) * input.byte().into()),
            13 => {
                key.power_cycle();
                (model.strikes, model.token, model.powered_up) = (0, None, key.now);
                model.sign_count = model.reserved;
            }
            14 => reset(&mut key, &mut model),
            16..18 => change_credential(&mut key, &mut model, input.byte(), None),
            18..20 => {
                let who = input.byte();
                change_credential(&mut key, &mut model, who, Some(input.byte()));
            }
            20..22 => list(&mut key, &mut model, flag),
            22 | 23 => toggle_always_uv(&mut key, &mut model),
            24 | 25 => set_min_pin_length(&mut key, &mut model, input.byte()),
            26..29 => write_blobs(&mut key, &mut model, input.byte(), flag, other),
            29..32 => read_blobs(&mut key, &model, input.byte()),
            _ => {
                // An arbitrary request. Excluded are commands that the model would have to follow: those with a touch,
                // which uses up the token, a reset, and getNext commands.
                let command = Command(input.byte());
                if ![Command::RESET, Command::SELECTION, Command::GET_NEXT_ASSERTION].contains(&command) {
                    key.call(&[command.0, input.byte(), 0x61]);
                }
            }
        }
        key.adversary = None;
        if let Some(before) = before.filter(|_| std::mem::take(&mut key.aborted)) {
            before.settle(&mut key, &mut model);
        }
        // After every step, except in the middle of a getNextAssertion sequence, which any other command would end.
        if model.sequence.0.is_empty() {
            assert_eq!(key.retries(), (model.retries, model.strikes >= 3));
        }
        // In addition to the listed credentials, the store keeps replaced ones whose replacement the client may not
        // know.
        let kept = superseded(&mut key).len();
        assert_eq!(key.store.credentials(), model.stored.len() + kept);
    }
});
