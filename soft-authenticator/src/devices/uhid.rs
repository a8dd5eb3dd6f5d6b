//! Events of `/dev/uhid`, through which a program gives Linux a HID device (`linux/uhid.h`).
//!
//! An event is a `struct uhid_event`: its type in four bytes, then its members without padding, in the byte order of
//! the machine. The kernel writes whole structs of [`EVENT_LEN`] bytes and accepts shorter ones.

use keyfob_core::{
    bytes,
    transport::hid::{REPORT_DESCRIPTOR, REPORT_LEN},
};

use super::usb::{DEVICE_VERSION, MANUFACTURER, PRODUCT, PRODUCT_ID, VENDOR_ID};

/// Bytes in `struct uhid_event`: the type and the longest members, up to a multiple of eight bytes.
pub const EVENT_LEN: usize = 4 + CREATE_LEN.next_multiple_of(8);
/// Bytes in `struct uhid_create2_req`.
const CREATE_LEN: usize = 128 + 64 + 64 + 2 + 2 + 4 * 4 + DATA_MAX;
/// The longest report and the longest report descriptor.
const DATA_MAX: usize = 4096;

/// The name of the thread that reads `/dev/uhid` for a [`Hub`](super::hub::Hub).
pub const READER: &str = "keyfob-uhid";

const DESTROY: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const OPEN: u32 = 4;
const CLOSE: u32 = 5;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

/// A device on USB (`linux/input.h`).
const BUS_USB: u16 = 3;
/// Input/output error (`errno.h`).
const EIO: u16 = 5;

/// What the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'e> {
    /// The device works.
    Start,
    /// The device works no more.
    Stop,
    /// The first client has opened the device.
    Open,
    /// The last client has closed the device.
    Close,
    /// A client wrote these bytes. They begin with the report id.
    Output(&'e [u8]),
    /// A client asks for a report on the control endpoint. To be answered with [`refuse_get_report`], else the client
    /// waits for five seconds.
    GetReport {
        /// The number of the request.
        id: u32,
    },
    /// A client sets a report on the control endpoint. To be answered with [`refuse_set_report`].
    SetReport {
        /// The number of the request.
        id: u32,
    },
    /// An event that this version does not know.
    Other(u32),
}

/// Why bytes are not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// They end before the event does.
    Short {
        /// How many there are.
        len: usize,
    },
    /// A report claims to be longer than the longest.
    Size(u16),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short { len } => write!(f, "an event of uhid ends after {len} bytes"),
            Self::Size(size) => write!(f, "a report of {size} bytes in an event of uhid, which has {DATA_MAX} at most"),
        }
    }
}

impl core::error::Error for Error {}

impl<'e> Event<'e> {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not an event.
    pub fn parse(event: &'e [u8]) -> Result<Self, Error> {
        let short = Error::Short { len: event.len() };
        let (kind, body) = event.split_first_chunk().ok_or(short)?;
        let id = body.first_chunk().map(|id| u32::from_ne_bytes(*id)).ok_or(short);
        Ok(match u32::from_ne_bytes(*kind) {
            START => Self::Start,
            STOP => Self::Stop,
            OPEN => Self::Open,
            CLOSE => Self::Close,
            OUTPUT => {
                let (data, rest) = body.split_at_checked(DATA_MAX).ok_or(short)?;
                let size = rest.first_chunk().map(|size| u16::from_ne_bytes(*size)).ok_or(short)?;
                Self::Output(data.get(..size.into()).ok_or(Error::Size(size))?)
            }
            GET_REPORT => Self::GetReport { id: id? },
            SET_REPORT => Self::SetReport { id: id? },
            other => Self::Other(other),
        })
    }
}

/// Opens `/dev/uhid` without blocking, for [`Hub::attach_uhid`](super::hub::Hub::attach_uhid).
///
/// # Errors
/// [`NotFound`](std::io::ErrorKind::NotFound): the kernel has no uhid, or its module is not loaded.
/// [`PermissionDenied`](std::io::ErrorKind::PermissionDenied): only its owner may open it. Those of the operating
/// system.
#[cfg(target_os = "linux")]
pub fn open() -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/uhid")
}

/// Makes the device: a security key on USB.
pub fn create() -> Vec<u8> {
    let mut event = CREATE2.to_ne_bytes().to_vec();
    event.extend(text::<128>(&format!("{MANUFACTURER} {PRODUCT}")));
    event.extend(text::<64>("keyfob"));
    event.extend(text::<64>(""));
    event.extend((REPORT_DESCRIPTOR.len() as u16).to_ne_bytes());
    event.extend(BUS_USB.to_ne_bytes());
    for number in [VENDOR_ID, PRODUCT_ID, DEVICE_VERSION, 0] {
        event.extend(u32::from(number).to_ne_bytes());
    }
    event.extend(REPORT_DESCRIPTOR);
    event
}

/// Takes the device away.
pub const fn destroy() -> [u8; 4] {
    DESTROY.to_ne_bytes()
}

/// A report of the key.
pub fn input(report: &[u8; REPORT_LEN]) -> [u8; 6 + REPORT_LEN] {
    bytes::concat(&[&INPUT2.to_ne_bytes(), &(REPORT_LEN as u16).to_ne_bytes(), report])
}

/// The key has no reports on the control endpoint.
pub fn refuse_get_report(id: u32) -> [u8; 12] {
    bytes::concat(&[&GET_REPORT_REPLY.to_ne_bytes(), &id.to_ne_bytes(), &EIO.to_ne_bytes(), &[0, 0]])
}

/// The key takes no reports on the control endpoint.
pub fn refuse_set_report(id: u32) -> [u8; 10] {
    bytes::concat(&[&SET_REPORT_REPLY.to_ne_bytes(), &id.to_ne_bytes(), &EIO.to_ne_bytes()])
}

/// The text, cut off so that a zero follows.
fn text<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let len = text.len().min(N.saturating_sub(1));
    bytes::put(&mut field, bytes::front(text.as_bytes(), len));
    field
}
