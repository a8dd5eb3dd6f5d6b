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
/// struct, `Read` (unknown members are skipped, a missing required one is an error that names it), `Write`, and for
/// `int` maps [`Table`](crate::cbor::Table).
///
/// The standard's name of a member of an `int` map is its field's in camel case. Where it is another, the row says it
/// behind the key: `0x0C "forcePINChange" => force_pin_change: optional bool`.
///
/// `usually` names a function that reads the one form that nearly all such messages have. For any other form it returns
/// `None` and reads nothing.
///
/// Members that the standard has removed stand in a second table: `ignoring { b"icon": &'a str, }`. They are never
/// written, and their values are dropped, but in a request their type is checked.
#[macro_export]
macro_rules! message {
    ($(#[$meta:meta])* pub $keys:ident struct $name:ident $(<$lt:lifetime>)? {
        $($(#[$doc:meta])* $key:literal $($name_of:literal)? => $field:ident: $presence:ident $ty:ty,)*
    } $(ignoring { $($removed:literal: $removed_ty:ty,)* })? $(usually $usual:path)?) => {
        $(#[$meta])*
        pub struct $name $(<$lt>)? {
            $($(#[$doc])* pub $field: $crate::message!(@type $presence $ty),)*
        }

        impl<'a> $crate::cbor::Read<'a> for $name $(<$lt>)? $(where 'a: $lt, $lt: 'a)? {
            const SHAPE: $crate::cbor::Shape = $crate::cbor::Shape::Message(&$crate::cbor::Members {
                keys: <Self as $crate::cbor::Message<'a>>::KEYS,
                shapes: &[
                    $(<$ty as $crate::cbor::Read<'a>>::SHAPE,)*
                    $($(<$removed_ty as $crate::cbor::Read<'a>>::SHAPE,)*)?
                ],
                required: $crate::message!(@required $($presence)*),
                count: $crate::cbor::count_of(&[$($crate::message!(@is_required $presence)),*]),
            });

            // Short, so that it is inlined. Each member is read by a function of its own.
            #[inline]
            fn read(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                if $crate::cbor::SMALL {
                    return <Self as $crate::cbor::Message<'a>>::read_by_table(r);
                }
                $(if let Some(usual) = $usual(r) {
                    return Ok(usual);
                })?
                Self::read_members(r)
            }

            fn get(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                <Self as $crate::cbor::Message<'a>>::read_by_table(r)
            }
        }

        impl<'a> $name $(<$lt>)? $(where 'a: $lt, $lt: 'a)? {
            fn read_members(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                let mut map = r.map()?;
                $(let mut $field: Option<$ty> = None;)*
                $crate::message!(@members $keys r map [$($($removed $removed_ty),*)?] $($key $field)*);
                r.leave();
                Ok(Self { $($field: $crate::message!(@take $keys $presence $field r $key),)* })
            }
        }

        impl<'a> $crate::cbor::Message<'a> for $name $(<$lt>)? $(where 'a: $lt, $lt: 'a)? {
            const KEYS: $crate::cbor::Keys = $crate::message!(@keys $keys $($key)* $($($removed)*)?);

            #[inline(never)]
            fn read_by_table(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                #[allow(non_camel_case_types, clippy::allow_attributes)]
                enum At { $($field,)* }
                let mut found = $crate::cbor::FoundMembers::new(r);
                found.find(r, &<Self as $crate::cbor::Read<'a>>::SHAPE)?;
                // What can fail comes first, so that the value is built in its place.
                $($crate::message!(@find $presence $field found.required(At::$field as usize)?);)*
                Ok(Self { $($field: $crate::message!(@found $presence $field found.optional(At::$field as usize)),)* })
            }

            fn write_by_table(
                &self,
                w: &mut $crate::cbor::Writer<'_>,
                with: &[(u8, Option<&dyn $crate::cbor::Write>)],
            ) {
                let mut members = $crate::cbor::MapWriter::new(w, Self::KEYS, with);
                $(members.$presence(&self.$field);)*
                members.end();
            }
        }

        $crate::message!(@writes $keys $name $(<$lt>)? { $($key [$($name_of)?] $field $presence,)* });
    };

    (@writes text $name:ident $(<$lt:lifetime>)? { $($key:literal [] $field:ident $presence:ident,)* }) => {
        impl $(<$lt>)? $crate::cbor::Write for $name $(<$lt>)? {
            fn write(&self, w: &mut $crate::cbor::Writer<'_>) {
                if $crate::cbor::SMALL {
                    return $crate::cbor::Message::write_by_table(self, w, &[]);
                }
                w.map(0usize $(.wrapping_add(usize::from($crate::message!(@present $presence self.$field))))*);
                $(if let Some(value) = $crate::message!(@value $presence self.$field) {
                    w.known($crate::message!(@encoded $key));
                    $crate::cbor::Write::write(value, w);
                })*
            }
        }
    };
    (@writes int $name:ident $(<$lt:lifetime>)? { $($key:literal [$($name_of:literal)?] $field:ident $presence:ident,)* }) => {
        impl $(<$lt>)? $crate::cbor::Table for $name $(<$lt>)? {
            const MEMBERS: &'static [$crate::cbor::Member] =
                &[$($crate::cbor::Member { key: $key, name: $crate::message!(@name $field $($name_of)?) }),*];

            #[inline]
            fn write_with(&self, w: &mut $crate::cbor::Writer<'_>, with: &[(u8, Option<&dyn $crate::cbor::Write>)]) {
                if $crate::cbor::SMALL {
                    return $crate::cbor::Message::write_by_table(self, w, with);
                }
                w.map(0usize $(.wrapping_add(usize::from(
                    $crate::message!(@present $presence self.$field) || $crate::cbor::given(with, $key).is_some()
                )))*);
                $(if let Some(value) = $crate::cbor::given(with, $key) {
                    w.unsigned($key);
                    value.write(w);
                } else if let Some(value) = $crate::message!(@value $presence self.$field) {
                    w.unsigned($key);
                    $crate::cbor::Write::write(value, w);
                })*
            }
        }

        impl $(<$lt>)? $crate::cbor::Write for $name $(<$lt>)? {
            fn write(&self, w: &mut $crate::cbor::Writer<'_>) {
                $crate::cbor::Table::write_with(self, w, &[]);
            }
        }
    };

    (@keys int $($key:literal)*) => { $crate::cbor::Keys::Int(&[$($key),*]) };
    (@keys text $($key:literal)*) => {
        $crate::cbor::Keys::Text(const {
            const KEYS: &[&[u8]] = &[$($crate::message!(@encoded $key)),*];
            &$crate::cbor::joined::<{ $crate::cbor::joined_len(KEYS) }>(KEYS)
        })
    };
    // The first member is the lowest bit.
    (@required) => { 0 };
    (@required $presence:ident $($rest:ident)*) => {
        ($crate::message!(@required $($rest)*) << 1) | $crate::message!(@is_required $presence) as u32
    };
    (@is_required required) => { true };
    (@is_required optional) => { false };
    (@find required $field:ident $value:expr) => { let $field = $value; };
    (@find optional $field:ident $value:expr) => {};
    (@found required $field:ident $value:expr) => { $field };
    (@found optional $field:ident $value:expr) => { $value };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name_of:literal) => { $name_of };

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
            $(if $r.take_key(&mut $map, $crate::message!(@encoded $key))? {
                $field = $crate::cbor::Read::read_member($r)?;
            })*
            if $map.is_done() {
                break;
            }
            $(if $r.take_removed_key(&mut $map, $crate::message!(@encoded $removed))? {
                <$removed_ty as $crate::cbor::Read>::read_member($r)?;
                continue;
            })*
            $r.other_member(&mut $map)?;
        }
    };

    (@encoded $key:literal) => {
        const { &$crate::cbor::encoded_key::<{ $crate::cbor::encoded_key_len($key) }>($key) }
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

    (@value required $value:expr) => { Some(&$value) };
    (@value optional $value:expr) => { $value.as_ref() };
}
