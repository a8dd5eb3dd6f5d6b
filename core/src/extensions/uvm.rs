//! uvm (WebAuthn L2 §10.3): how the user was verified. The input is `true`.

use crate::cbor::{Error, ErrorKind, List, Read, Reader, Shape, Write, Writer};

/// The extension's identifier.
pub const ID: &str = "uvm";

/// The methods that were used, three at most by the standard.
pub type UvmEntries<'a> = List<'a, UvmEntry>;

/// A method that was used, with values from the FIDO registry of predefined values: `[userVerificationMethod, keyProtection,
/// matcherProtection]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UvmEntry {
    /// The user verification method.
    pub user_verification_method: u32,
    /// How the key is protected.
    pub key_protection: u32,
    /// How the matcher is protected.
    pub matcher_protection: u32,
}

impl Read<'_> for UvmEntry {
    const SHAPE: Shape = Shape::By(|r| Self::read(r).map(|_| true));

    /// # Errors
    /// [`ErrorKind::WrongLength`] for an array that does not have three items; an item that is not an unsigned integer.
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        if r.array()? != 3 {
            return Err(r.error(ErrorKind::WrongLength));
        }
        let method = Self {
            user_verification_method: r.number()?,
            key_protection: r.number()?,
            matcher_protection: r.number()?,
        };
        r.leave();
        Ok(method)
    }
}

impl Write for UvmEntry {
    fn write(&self, w: &mut Writer<'_>) {
        w.array(3);
        w.number(self.user_verification_method);
        w.number(self.key_protection);
        w.number(self.matcher_protection);
    }
}
