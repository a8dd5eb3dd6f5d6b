//! A HID device of Linux: `/dev/hidrawN`.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
    time::Duration,
};

use keyfob_core::{
    bytes,
    transport::{ReportIo, hid::REPORT_LEN},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};

/// The `ioctl` that asks for the length of a HID device's report descriptor.
const HIDIOCGRDESCSIZE: libc::Ioctl = libc::_IOR::<libc::c_int>(b'H' as u32, 0x01);

/// A HID device that is open. Which one it is, is not checked: another than a security key does not answer.
pub struct Hidraw(File);

impl Hidraw {
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        // Before anything is written: a report would destroy a file or a disk.
        if !file.metadata()?.file_type().is_char_device() || !has_descriptor(&file) {
            return Err(io::Error::other("it is not a HID device (a file is store:FILE)"));
        }
        Ok(Self(file))
    }
}

fn has_descriptor(device: &File) -> bool {
    let mut len: libc::c_int = 0;
    // Not by rustix: the key of `keyfob run` is shown to functions of the C library alone.
    // SAFETY: the request writes an int, and another kind of device does not know it.
    unsafe { libc::ioctl(device.as_raw_fd(), HIDIOCGRDESCSIZE, &raw mut len) == 0 }
}

impl ReportIo for Hidraw {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        // The report id comes first, 0 where there is only one report.
        let mut numbered = [0; REPORT_LEN + 1];
        bytes::copy(bytes::rest_mut(&mut numbered, 1), report);
        self.0.write_all(&numbered)
    }

    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        let wait = Timespec::try_from(wait).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut report = [0; REPORT_LEN];
        match self.0.read(&mut report) {
            Ok(REPORT_LEN) => Ok(Some(report)),
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(None), // not a report of a security key
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
