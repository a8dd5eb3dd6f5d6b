//! The options that OpenSSH passes, and the environment.

use std::{
    env,
    ffi::{CStr, OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use crate::{abi, failure::Failure, place::Place};

/// How long a user's name may be, in bytes.
const MAX_USER: usize = 31;

/// The environment variable with the file of a virtual key.
const STORE: &str = "KEYFOB_STORE";
/// The environment variable with the address of any key.
const ADDRESS: &str = "KEYFOB_ADDRESS";

/// A user's id: the name that was given, filled up with zero bytes. OpenSSH has this form for its own device access, and
/// so both find a resident key that the other has made.
pub type UserId = [u8; MAX_USER + 1];

/// An option as it was passed.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    pub name: &'a CStr,
    pub value: &'a CStr,
    pub required: bool,
}

/// What the options say.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the key is.
    pub place: Place,
    /// The user of a key that is made.
    pub user: UserId,
}

impl Options {
    /// Reads options, and what they leave open from this process's environment.
    ///
    /// # Errors
    /// An option that has to be known and is not, or a value that cannot be; an environment without a key.
    pub fn read(passed: &[Passed<'_>]) -> Result<Self, Failure> {
        Self::read_with(passed, |name| env::var_os(name))
    }

    /// The same in an environment.
    pub fn read_with(passed: &[Passed<'_>], variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let (mut device, mut user) = (None, UserId::default());
        for option in passed {
            let value = option.value.to_bytes();
            match option.name.to_bytes() {
                b"device" => device = Some(OsStr::from_bytes(value)),
                b"user" => user = user_id(value)?,
                name if option.required => {
                    let name = String::from_utf8_lossy(name);
                    return Err(Failure::new(abi::ERR_UNSUPPORTED, format!("the option {name} is not supported")));
                }
                _ => {}
            }
        }
        let place = match device {
            Some(device) => Place::read(device)?,
            None => place_in(variable)?,
        };
        Ok(Self { place, user })
    }
}

fn user_id(name: &[u8]) -> Result<UserId, Failure> {
    let mut user = UserId::default();
    let place = user.get_mut(..name.len()).filter(|place| place.len() <= MAX_USER);
    let too_long = || Failure::new(abi::ERR_UNSUPPORTED, format!("the user is longer than {MAX_USER} bytes"));
    keyfob_core::bytes::copy(place.ok_or_else(too_long)?, name);
    Ok(user)
}

/// Where the environment says that the key is.
fn place_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<Place, Failure> {
    let given = |name| variable(name).filter(|value| !value.is_empty());
    match (given(STORE), given(ADDRESS)) {
        (Some(file), None) => Ok(Place::Store(file.into())),
        (None, Some(address)) => Place::read(&address),
        (Some(_), Some(_)) => Err(Failure::new(
            abi::ERR_DEVICE_NOT_FOUND,
            format!("{STORE} and {ADDRESS} are both set, and only one of them can be the key"),
        )),
        (None, None) => Err(Failure::new(
            abi::ERR_DEVICE_NOT_FOUND,
            format!("there is no key: set {STORE} to a file, or {ADDRESS} to the address of a key"),
        )),
    }
}
