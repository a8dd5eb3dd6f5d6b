//! HID devices of Linux: `/dev/hidrawN`, and what sysfs says of them. No libudev.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::Duration,
};

use keyfob_core::{
    bytes,
    transport::{
        ReportIo,
        hid::{REPORT_LEN, ReportLens},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, major, minor},
};

use crate::{Address, FoundKey, OpenError, OpenErrorReason};

/// A security key at `/dev/hidrawN` that is open.
#[derive(Debug)]
pub struct Hidraw(File);

impl Hidraw {
    /// Opens a key.
    ///
    /// # Errors
    /// Why it cannot be opened. What is no security key, a file for example, is not written to.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let address = Address::Hidraw(path.into());
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| address.failed(error))?;
        match report_lens(&file).map_err(|error| address.failed(error))? {
            Some(ReportLens::STANDARD) => Ok(Self(file)),
            Some(other) => Err(OpenError { address, reason: OpenErrorReason::ReportLens(other) }),
            None => Err(OpenError { address, reason: OpenErrorReason::NotASecurityKey }),
        }
    }
}

impl From<Hidraw> for OwnedFd {
    fn from(Hidraw(device): Hidraw) -> Self {
        device.into()
    }
}

/// The lengths of the reports of an open device; `None` if it is no security key.
fn report_lens(device: &File) -> io::Result<Option<ReportLens>> {
    let status = device.metadata()?;
    if !status.file_type().is_char_device() {
        return Ok(None);
    }
    let number = status.rdev();
    let descriptor = format!("/sys/dev/char/{}:{}/device/report_descriptor", major(number), minor(number));
    match fs::read(descriptor) {
        Ok(descriptor) => Ok(ReportLens::of(&descriptor)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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

/// The security keys of the tree of sysfs at `sys`, in the order of their numbers. A device that goes meanwhile is left
/// out.
///
/// # Errors
/// The folder of hidraw devices is there, and cannot be read.
pub(crate) fn keys_below(sys: &Path) -> io::Result<Vec<FoundKey>> {
    let devices = match fs::read_dir(sys.join("class/hidraw")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        devices => devices?,
    };
    let mut found = Vec::new();
    for device in devices {
        let device = device?;
        let Some(number) = device.file_name().to_str().and_then(|name| name.strip_prefix("hidraw")?.parse().ok())
        else {
            continue;
        };
        if let Some(key) = key(&device.path().join("device"), number) {
            found.push((number, key));
        }
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

/// The key whose HID device is this folder.
fn key(device: &Path, number: u32) -> Option<FoundKey> {
    ReportLens::of(&fs::read(device.join("report_descriptor")).ok()?)?;
    let uevent = fs::read(device.join("uevent")).ok()?;
    let uevent = String::from_utf8_lossy(&uevent);
    let value = |name: &str| uevent.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let name = value("HID_NAME").unwrap_or_default();
    // The bus, the vendor and the product, in hexadecimal.
    let ids = value("HID_ID").and_then(|ids| {
        let (rest, product) = ids.rsplit_once(':')?;
        let hex = |text: &str| u32::from_str_radix(text, 16).ok().and_then(|id| u16::try_from(id).ok());
        Some((hex(rest.rsplit_once(':')?.1)?, hex(product)?))
    });
    Some(FoundKey {
        address: Address::Hidraw(format!("/dev/hidraw{number}").into()),
        name: name.trim().chars().filter(|character| !character.is_control()).collect(),
        ids,
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use keyfob_core::transport::hid::REPORT_DESCRIPTOR;

    use super::*;

    /// A tree of sysfs with these devices: number, uevent, report descriptor.
    fn sysfs(devices: &[(u32, &str, &[u8])]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        for (number, uevent, descriptor) in devices {
            let device = sys.path().join(format!("class/hidraw/hidraw{number}/device"));
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("uevent"), uevent).unwrap();
            fs::write(device.join("report_descriptor"), descriptor).unwrap();
        }
        sys
    }

    #[test]
    fn keys_are_found_by_their_descriptors_in_the_order_of_their_numbers() {
        let keyboard = [0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0xC0];
        let sys = sysfs(&[
            (10, "HID_ID=0003:00001050:00000407\nHID_NAME=Maker \x1bKey \n", &REPORT_DESCRIPTOR),
            (2, "HID_ID=0003:1050\n", &REPORT_DESCRIPTOR),
            (3, "HID_NAME=Keyboard\n", &keyboard),
        ]);
        fs::create_dir_all(sys.path().join("class/hidraw/hidraw4")).unwrap();
        fs::create_dir_all(sys.path().join("class/hidraw/other")).unwrap();
        let key = |number, name: &str, ids| FoundKey {
            address: Address::Hidraw(format!("/dev/hidraw{number}").into()),
            name: name.into(),
            ids,
        };
        let expected = [key(2, "", None), key(10, "Maker Key", Some((0x1050, 0x0407)))];
        assert_eq!(keys_below(sys.path()).unwrap(), expected);
    }

    #[test]
    fn a_machine_without_hidraw_has_no_keys() {
        assert_eq!(keys_below(tempfile::tempdir().unwrap().path()).unwrap(), []);
    }
}
