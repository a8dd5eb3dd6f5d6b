//! Numbers that have names in a standard.

/// Declares the named values of a number in a struct: their constants, `name` and `from_name`, and a `Debug` that
/// writes the name, or the number in the form of `$unnamed`. A name that is not spelled like its constant comes after
/// the value.
macro_rules! named {
    ($type:ident $unnamed:literal: $($(#[$doc:meta])* $constant:ident = $value:literal $($name:literal)?;)*) => {
        impl $type {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name in the standard or registry, without a prefix such as `CTAP2_ERR_`, where this version knows
            /// it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($crate::named::named!(@name $constant $($name)?)),)*
                    _ => None,
                }
            }

            /// The value with this name, in upper or lower case. `None` for a name that this version does not know.
            pub fn from_name(name: &str) -> Option<Self> {
                let mut all = [$(Self::$constant),*].into_iter();
                all.find(|known| known.name().is_some_and(|known| known.eq_ignore_ascii_case(name)))
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($type), "(", $unnamed, ")"), self.0),
                }
            }
        }
    };
    (@name $constant:ident) => { stringify!($constant) };
    (@name $constant:ident $name:literal) => { $name };
}

pub(crate) use named;
