//! Which paths belong to the key, and where they lead. Pure: no calls.

use core::fmt::Write;

/// The longest path that can belong to the key, in bytes, with the run directory in front and a NUL behind.
pub const PATH: usize = 512;
/// The longest run directory, as `MAX_DIRECTORY` of the crate says, and a NUL.
const DIRECTORY: usize = 81;
/// The longest name of an entry: `cMAJOR:MINOR` and a NUL.
const NAME: usize = 24;
/// How many keys there can be, as `KEYS` of the crate says.
pub const KEYS: u32 = 8;

/// Text of at most `N` - 1 bytes, with a NUL behind it.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Text for C.
    pub const fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// Appends, or changes nothing and returns `None` if there is not enough room.
    pub fn push(&mut self, more: &[u8]) -> Option<()> {
        let end = self.length.checked_add(more.len())?;
        let room = self.bytes.get_mut(self.length..end.checked_add(1)?)?;
        room.iter_mut().zip(more).for_each(|(to, from)| *to = *from);
        self.length = end;
        Some(())
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes()).ok_or(core::fmt::Error)
    }
}

/// What `keyfob run` says in the environment.
#[derive(Clone, Copy)]
pub struct Run {
    pub major: u32,
    /// The number of the first key.
    first: u32,
    /// The run directory.
    directory: Text<DIRECTORY>,
}

/// What a path means to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is none of ours.
    Elsewhere,
    /// A hidraw device of another key, which the command must not see.
    Hidden,
    /// A file below the run directory takes its place.
    Tree,
    /// The key with this number. In the run directory, it is a socket, if the key is plugged in.
    Node(u32),
}

/// A folder of the system in which entries of ours have to appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    Dev,
    Class,
    Platform,
    Numbers,
}

impl Run {
    /// Reads `MAJOR:MINOR:DIRECTORY`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.splitn(3, |byte| *byte == b':');
        let (major, first) = (number(parts.next()?)?, number(parts.next()?)?);
        let path = parts.next().filter(|path| path.starts_with(b"/"))?;
        let mut run = Self { major, first, directory: Text::EMPTY };
        run.directory.push(path)?;
        Some(run)
    }

    /// The numbers that keys of ours can have.
    pub const fn numbers(&self) -> core::ops::Range<u32> {
        self.first..self.first.saturating_add(KEYS)
    }

    /// The number of ours that these digits are, as the kernel writes numbers.
    fn ours(&self, digits: &[u8]) -> Option<u32> {
        let is_canonical = digits == b"0" || !matches!(digits, [b'0' | b'+', ..]);
        number(digits).filter(|number| is_canonical && self.numbers().contains(number))
    }

    /// The number of ours in `MAJOR:MINOR`.
    fn device(&self, device: &[u8]) -> Option<u32> {
        let mut parts = device.splitn(2, |byte| *byte == b':');
        let mut major = Text::<NAME>::EMPTY;
        write!(major, "{}", self.major).ok()?;
        parts.next().filter(|text| *text == major.bytes())?;
        self.ours(parts.next()?)
    }

    /// The device number of a key as programs see it (`dev_t`).
    pub const fn device_number(&self, minor: u32) -> u64 {
        let (major, minor) = (self.major as u64, minor as u64);
        (major & 0xFFF) << 8 | (major & !0xFFF) << 32 | minor & 0xFF | (minor & !0xFF) << 12
    }

    /// Finds out whether an absolute path belongs to the key.
    pub fn place(&self, path: &[u8]) -> Place {
        if !path.starts_with(b"/") {
            return Place::Elsewhere;
        }
        let mut parts = components(path);
        let (first, second) = (parts.next(), parts.next());
        match (first, second) {
            (Some(b"dev"), Some(name)) if parts.next().is_none() => match name {
                _ if !is_hidraw(name) => Place::Elsewhere,
                _ => {
                    name.strip_prefix(b"hidraw").and_then(|digits| self.ours(digits)).map_or(Place::Hidden, Place::Node)
                }
            },
            (Some(b"sys"), Some(b"class")) => tree(parts.next() == Some(b"hidraw")),
            (Some(b"sys"), Some(b"devices")) => {
                tree(parts.next() == Some(b"platform") && parts.next() == Some(b"keyfob"))
            }
            (Some(b"sys"), Some(b"dev")) => {
                tree(parts.next() == Some(b"char") && parts.next().and_then(|name| self.device(name)).is_some())
            }
            (Some(b"run"), Some(b"udev")) => tree(
                parts.next() == Some(b"data")
                    && parts.next().and_then(|name| self.device(name.strip_prefix(b"c")?)).is_some(),
            ),
            _ => Place::Elsewhere,
        }
    }

    /// The path in the run directory that takes the place of this one. `None` if it is too long to exist there.
    pub fn below(&self, path: &[u8]) -> Option<Text<PATH>> {
        let mut below = Text::EMPTY;
        below.push(self.directory.bytes())?;
        below.push(path)?;
        Some(below)
    }

    /// The path of a key's socket.
    pub fn socket(&self, number: u32) -> Option<Text<PATH>> {
        let mut path = self.below(b"/dev/hidraw")?;
        write!(path, "{number}").ok()?;
        Some(path)
    }

    /// The number of the key whose socket has this path.
    pub fn key(&self, socket: &[u8]) -> Option<u32> {
        self.ours(socket.strip_prefix(self.directory.bytes())?.strip_prefix(b"/dev/hidraw")?)
    }

    /// The path of the socket from which `keyfob run` sends events of udev.
    pub fn monitor(&self) -> Option<Text<PATH>> {
        self.below(b"/monitor")
    }

    /// The folder with the sockets to which it sends them, and a slash.
    pub fn monitors(&self) -> Option<Text<PATH>> {
        self.below(b"/udev/")
    }

    /// The path that a program shall see, of a file below the run directory. `None` for any other file.
    pub fn shown<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let rest = path.strip_prefix(self.directory.bytes())?;
        let first = components(rest).next()?;
        (rest.starts_with(b"/") && [&b"dev"[..], b"sys", b"run"].contains(&first)).then_some(rest)
    }

    /// Which folder with entries of ours this path names.
    pub fn folder(&self, path: &[u8]) -> Option<Folder> {
        if !path.starts_with(b"/") {
            return None;
        }
        let mut parts = components(path);
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        match parts {
            [Some(b"dev"), None, ..] => Some(Folder::Dev),
            [Some(b"sys"), Some(b"class"), None, _] => Some(Folder::Class),
            [Some(b"sys"), Some(b"devices"), Some(b"platform"), None] => Some(Folder::Platform),
            [Some(b"sys"), Some(b"dev"), Some(b"char"), None] => Some(Folder::Numbers),
            _ => None,
        }
    }

    /// The entry of a key in a folder, or the one that all keys have there.
    pub fn entry(&self, folder: Folder, number: u32) -> Option<Text<NAME>> {
        let mut entry = Text::EMPTY;
        match folder {
            Folder::Dev => write!(entry, "hidraw{number}").ok()?,
            Folder::Class => entry.push(b"hidraw")?,
            Folder::Platform => entry.push(b"keyfob")?,
            Folder::Numbers => write!(entry, "{}:{number}", self.major).ok()?,
        }
        Some(entry)
    }

    /// Whether an entry that the system has in a folder is left out.
    pub fn hides(&self, folder: Folder, name: &[u8]) -> bool {
        match folder {
            Folder::Dev => is_hidraw(name),
            Folder::Class => name == b"hidraw",
            Folder::Platform => name == b"keyfob",
            Folder::Numbers => self.device(name).is_some(),
        }
    }
}

const fn tree(is_ours: bool) -> Place {
    if is_ours { Place::Tree } else { Place::Elsewhere }
}

/// The components of a path. A `..` is one as well, so that no path that has one before our names is taken for ours.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Whether this is the name of a hidraw device, ours or another.
fn is_hidraw(name: &[u8]) -> bool {
    name.strip_prefix(b"hidraw").is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
}

fn number(digits: &[u8]) -> Option<u32> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}
