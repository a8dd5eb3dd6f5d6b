//! The table macro: one list of members that serves both directions.

/// Declares a message as a table of its members.
///
/// ```text
/// message! {
///     /// PublicKeyCredentialRpEntity (WebAuthn L3 §5.4.2).
///     pub text struct RpEntity<'a> {
///         /// The relying party's id.
///         b"id" => id: required &'a str,
///         /// Its name, for display.
///         b"name" => name: optional &'a str,
///     }
/// }
/// ```
///
/// `int` maps have integer keys 1 to 255, `text` maps have text keys. The rows stand in canonical order, the order in
/// which they are written. A `required` member has its type, an `optional` one an `Option` of it. The macro makes the
/// struct, `Read` (unknown members are skipped, a missing required one is an error that names it) and `Write`.
///
/// Members that the standard has removed stand in a second table: `ignoring { b"icon": &'a str, }`. They are never
/// written, and their values are dropped, but in a request their type is checked.
#[macro_export]
macro_rules! message {
    ($(#[$meta:meta])* pub $keys:ident struct $name:ident $(<$lt:lifetime>)? {
        $($(#[$doc:meta])* $key:literal => $field:ident: $presence:ident $ty:ty,)*
    } $(ignoring { $($removed:literal: $removed_ty:ty,)* })?) => {
        $(#[$meta])*
        pub struct $name $(<$lt>)? {
            $($(#[$doc])* pub $field: $crate::message!(@type $presence $ty),)*
        }

        impl<'a> $crate::cbor::Read<'a> for $name $(<$lt>)? $(where 'a: $lt, $lt: 'a)? {
            fn read(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                let mut map = r.map()?;
                $(let mut $field: Option<$ty> = None;)*
                $crate::message!(@members $keys r map [$($($removed $removed_ty),*)?] $($key $field)*);
                r.leave();
                Ok(Self { $($field: $crate::message!(@take $keys $presence $field r $key),)* })
            }
        }

        impl $(<$lt>)? $crate::cbor::Write for $name $(<$lt>)? {
            fn write(&self, w: &mut $crate::cbor::Writer<'_>) {
                let members: [bool; [$(stringify!($field)),*].len()] = [$($crate::message!(@present $presence self.$field)),*];
                w.map(members.iter().filter(|present| **present).count());
                $($crate::message!(@write $keys $presence w $key self.$field);)*
            }
        }
    };

    (@type required $ty:ty) => { $ty };
    (@type optional $ty:ty) => { Option<$ty> };

    (@members int $r:ident $map:ident [] $($key:literal $field:ident)*) => {
        while let Some(key) = $r.next_int(&mut $map)? {
            match key {
                $($key => $field = $crate::cbor::Read::read_member($r).map_err(|error| error.within($key))?,)*
                _ => $r.skip().map(drop)?,
            }
        }
    };
    (@members text $r:ident $map:ident [$($removed:literal $removed_ty:ty),*] $($key:literal $field:ident)*) => {
        loop {
            $(if $r.take_key(&mut $map, const {
                &$crate::cbor::encoded_key::<{ $crate::cbor::encoded_key_len($key) }>($key)
            })? {
                $field = $crate::cbor::Read::read_member($r)?;
            })*
            if $map.is_done() {
                break;
            }
            $(if $r.take_removed_key(&mut $map, const {
                &$crate::cbor::encoded_key::<{ $crate::cbor::encoded_key_len($removed) }>($removed)
            })? {
                <$removed_ty as $crate::cbor::Read>::read_member($r)?;
                continue;
            })*
            $r.other_member(&mut $map)?;
        }
    };

    (@take $keys:ident optional $field:ident $r:ident $key:literal) => { $field };
    (@take int required $field:ident $r:ident $key:literal) => {
        match $field { Some(value) => value, None => return Err($r.missing($key)) }
    };
    (@take text required $field:ident $r:ident $key:literal) => {
        match $field { Some(value) => value, None => return Err($r.error($crate::cbor::ErrorKind::Missing)) }
    };

    (@present required $value:expr) => { true };
    (@present optional $value:expr) => { $value.is_some() };

    (@key int $w:ident $key:literal) => { $w.unsigned($key) };
    (@key text $w:ident $key:literal) => { $w.text_bytes($key) };

    (@write $keys:ident required $w:ident $key:literal $value:expr) => {
        $crate::message!(@key $keys $w $key);
        $crate::cbor::Write::write(&$value, $w);
    };
    (@write $keys:ident optional $w:ident $key:literal $value:expr) => {
        if let Some(value) = &$value {
            $crate::message!(@key $keys $w $key);
            $crate::cbor::Write::write(value, $w);
        }
    };
}
