//! What the stand-in is told to do, and what it has seen.

use std::{
    env,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use keyfob_windows::abi::{GUID, HRESULT, hresult};

static SEEN: Mutex<String> = Mutex::new(String::new());
static CANCELLED: Mutex<Vec<GUID>> = Mutex::new(Vec::new());
static IDS: AtomicU32 = AtomicU32::new(0);

/// Its orders.
pub struct Orders {
    /// The version of the API.
    pub api: u32,
    /// What every call fails with.
    pub fail: Option<HRESULT>,
    /// Whether the user touches the key.
    pub touch: bool,
    /// Whether there is a platform authenticator.
    pub platform: bool,
}

impl Orders {
    pub fn now() -> Self {
        let mut orders = Self { api: 9, fail: None, touch: true, platform: true };
        for word in env::var("KEYFOB_STAND_IN").unwrap_or_default().split_whitespace() {
            match word.split_once('=') {
                Some(("api", number)) => orders.api = number.parse().expect("a number"),
                Some(("fail", code)) => {
                    orders.fail = Some(u32::from_str_radix(code, 16).expect("a hexadecimal number").cast_signed());
                }
                Some(("touch", "never")) => orders.touch = false,
                Some(("platform", "none")) => orders.platform = false,
                _ => panic!("KEYFOB_STAND_IN has {word:?}"),
            }
        }
        orders
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what a ceremony was given.
pub fn saw(seen: String) {
    *locked(&SEEN) = seen;
}

pub fn seen() -> String {
    locked(&SEEN).clone()
}

pub fn fresh_id() -> GUID {
    GUID { Data1: IDS.fetch_add(1, Ordering::Relaxed).wrapping_add(1), Data4: *b"stand-in", ..GUID::default() }
}

/// Whether this number was given out.
pub fn is_known(id: &GUID) -> bool {
    id.Data4 == *b"stand-in" && (1..=IDS.load(Ordering::Relaxed)).contains(&id.Data1)
}

pub fn cancel(id: GUID) -> HRESULT {
    if !is_known(&id) {
        return hresult::NTE_INVALID_PARAMETER;
    }
    locked(&CANCELLED).push(id);
    hresult::S_OK
}

pub fn is_cancelled(id: &GUID) -> bool {
    locked(&CANCELLED).contains(id)
}
