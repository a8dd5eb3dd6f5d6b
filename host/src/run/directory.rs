//! The run directory: everything that the preloaded library shows in place of the kernel's files.

use std::{
    env,
    ffi::OsString,
    fs, io, iter,
    ops::Range,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::{Path, PathBuf},
};

use keyfob_core::transport::hid::REPORT_DESCRIPTOR;
use keyfob_preload::{DEVICE, KEYS, LIBRARY, MAX_DIRECTORY};
use keyfob_soft_authenticator::devices::usb::{DEVICE_VERSION, MANUFACTURER, PRODUCT, PRODUCT_ID, VENDOR_ID};
use rustix::fs::StatVfsMountFlags;
use tempfile::TempDir;

/// BUS_USB of the kernel.
const USB: u32 = 3;
/// hidraw's major number where the kernel has none: the first one for local use.
const LOCAL_MAJOR: u32 = 240;

/// A run directory. It is removed when it is dropped.
pub struct RunDirectory {
    directory: TempDir,
    major: u32,
    /// The number of the first key.
    first: u32,
}

impl RunDirectory {
    /// Makes the directory, which only its owner can read, with all files but those of keys.
    ///
    /// # Errors
    /// Why there can be none, in a line.
    pub fn new() -> Result<Self, String> {
        let library = LIBRARY.ok_or("`keyfob run` works on Linux on 64-bit x86, ARM and RISC-V machines only")?;
        let parent = parent()?;
        let broken = |error| format!("cannot make a folder in {}: {error}", parent.display());
        let owner_alone = fs::Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("keyfob-").permissions(owner_alone).tempdir_in(&parent);
        let run = Self { directory: directory.map_err(broken)?, major: major(), first: free_numbers() };
        run.fill(library).map_err(broken)?;
        Ok(run)
    }

    /// What the library reads in its environment variable.
    pub fn variable(&self) -> OsString {
        let mut variable = OsString::from(format!("{}:{}:", self.major, self.first));
        variable.push(self.path());
        variable
    }

    /// The library's file.
    pub fn library(&self) -> PathBuf {
        self.path().join("libkeyfob_preload.so")
    }

    /// The numbers that keys can have: N in `/dev/hidrawN`.
    pub const fn numbers(&self) -> Range<u32> {
        self.first..self.first.saturating_add(KEYS)
    }

    /// Where the library looks for a key's socket.
    pub fn socket(&self, number: u32) -> PathBuf {
        self.path().join("dev").join(node(number))
    }

    /// From where the library takes events of udev.
    pub fn monitor(&self) -> PathBuf {
        self.path().join("monitor")
    }

    /// Where it makes sockets for them.
    pub fn monitors(&self) -> PathBuf {
        self.path().join("udev")
    }

    /// What all events of udev about a key say of it: lines `NAME=value`.
    pub fn properties(&self, number: u32) -> String {
        let (path, major, node) = (self.place(number).raw(), self.major, node(number));
        let path = path.trim_start_matches("sys");
        format!(
            "DEVPATH={path}\nSUBSYSTEM=hidraw\nDEVNAME=/dev/{node}\nMAJOR={major}\nMINOR={number}\n\
             USEC_INITIALIZED=1\nID_FIDO_TOKEN=1\nID_SECURITY_TOKEN=1\n\
             TAGS=:security-device:\nCURRENT_TAGS=:security-device:\n"
        )
    }

    /// Whether a program has loaded the library.
    pub fn was_loaded(&self) -> bool {
        self.path().join("loaded").exists()
    }

    /// Whether a program has opened a key.
    pub fn was_opened(&self) -> bool {
        self.path().join("opened").exists()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn fill(&self, library: &[u8]) -> io::Result<()> {
        fs::write(self.library(), library)?;
        // The last two are where links lead.
        let keys = "sys/devices/platform/keyfob";
        for folder in ["dev", keys, "sys/class/hidraw", "sys/dev/char", "sys/bus/usb", "sys/bus/hid"] {
            fs::create_dir_all(self.path().join(folder))?;
        }
        let name = name();
        let numbers = [&USB.to_ne_bytes()[..], &VENDOR_ID.to_ne_bytes(), &PRODUCT_ID.to_ne_bytes()].concat();
        self.file("hidraw/descriptor", REPORT_DESCRIPTOR)?;
        self.file("hidraw/info", numbers)?;
        self.file("hidraw/name", format!("{name}\0"))?;
        // The same for every key.
        self.file("hidraw/phys", format!("{}\0", Place { port: 1, number: self.first }.phys()))?;
        self.file("hidraw/uniq", "\0")
    }

    fn place(&self, number: u32) -> Place {
        Place { port: number.saturating_sub(self.first).saturating_add(1), number }
    }

    /// The path of a key's entry in udev's database.
    fn database(&self, number: u32) -> String {
        format!("run/udev/data/c{}:{number}", self.major)
    }

    /// Makes the files of a key, but for the socket.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn add(&self, number: u32) -> io::Result<()> {
        self.fill_sysfs(self.place(number))?;
        // What udev's rules for security keys note.
        self.file(
            &self.database(number),
            "I:1\nE:ID_FIDO_TOKEN=1\nE:ID_SECURITY_TOKEN=1\nG:security-device\nQ:security-device\nV:1\n",
        )
    }

    /// Removes the files of a key that is unplugged. Its socket is gone already.
    pub fn remove(&self, number: u32) {
        // What cannot be removed shows a key that cannot be opened.
        let (class, device) = (format!("sys/class/hidraw/{}", node(number)), self.device_link(number));
        for file in [class, device, self.database(number)] {
            let _ = fs::remove_file(self.path().join(file));
        }
        let _ = fs::remove_dir_all(self.path().join(self.place(number).device()));
    }

    fn device_link(&self, number: u32) -> String {
        format!("sys/dev/char/{}:{number}", self.major)
    }

    /// A USB device with one interface, which is a HID device, which is a hidraw device.
    fn fill_sysfs(&self, place: Place) -> io::Result<()> {
        let Place { port, number } = place;
        let (major, device) = (self.major, place.device());
        self.file(
            &format!("{device}/uevent"),
            format!("DEVTYPE=usb_device\nDRIVER=usb\nPRODUCT={VENDOR_ID:x}/{PRODUCT_ID:x}/{DEVICE_VERSION:x}\n"),
        )?;
        let attributes = [
            ("idVendor", format!("{VENDOR_ID:04x}")),
            ("idProduct", format!("{PRODUCT_ID:04x}")),
            ("bcdDevice", format!("{DEVICE_VERSION:04x}")),
            ("manufacturer", MANUFACTURER.into()),
            ("product", PRODUCT.into()),
            ("busnum", "1".into()),
            ("devnum", port.saturating_add(1).to_string()),
        ];
        for (name, value) in attributes {
            self.file(&format!("{device}/{name}"), format!("{value}\n"))?;
        }
        self.link(&format!("{device}/subsystem"), "sys/bus/usb")?;

        let interface = place.interface();
        self.file(&format!("{interface}/uevent"), "DEVTYPE=usb_interface\nDRIVER=usbhid\nINTERFACE=3/0/0\n")?;
        self.file(&format!("{interface}/bInterfaceNumber"), "00\n")?;
        self.link(&format!("{interface}/subsystem"), "sys/bus/usb")?;

        let hid = place.hid();
        let id = format!("HID_ID={USB:04X}:{VENDOR_ID:08X}:{PRODUCT_ID:08X}");
        let uevent = format!("DRIVER=hid-generic\n{id}\nHID_NAME={}\nHID_PHYS={}\nHID_UNIQ=\n", name(), place.phys());
        self.file(&format!("{hid}/uevent"), uevent)?;
        self.file(&format!("{hid}/report_descriptor"), REPORT_DESCRIPTOR)?;
        self.link(&format!("{hid}/subsystem"), "sys/bus/hid")?;

        let (node, raw) = (node(number), place.raw());
        self.file(&format!("{raw}/uevent"), format!("MAJOR={major}\nMINOR={number}\nDEVNAME={node}\n"))?;
        self.file(&format!("{raw}/dev"), format!("{major}:{number}\n"))?;
        self.link(&format!("{raw}/device"), &hid)?;
        self.link(&format!("{raw}/subsystem"), "sys/class/hidraw")?;
        self.link(&format!("sys/class/hidraw/{node}"), &raw)?;
        self.link(&self.device_link(number), &raw)
    }

    fn file(&self, path: &str, content: impl AsRef<[u8]>) -> io::Result<()> {
        let path = self.path().join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, content)
    }

    /// A link within `sys`, relative as the kernel's are.
    fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let up = iter::repeat_n("../", path.split('/').count().saturating_sub(2)).collect::<String>();
        let path = self.path().join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        symlink(format!("{up}{}", target.trim_start_matches("sys/")), path)
    }
}

/// A folder for temporary files from which programs can load a library.
///
/// # Errors
/// There is none, and why, in a line.
fn parent() -> Result<PathBuf, String> {
    let mut why = String::new();
    for parent in [env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into()] {
        match fit(&parent) {
            Ok(parent) => return Ok(parent),
            Err(reason) => why = format!("{why}; {} {reason}", parent.display()),
        }
    }
    Err(format!("there is no folder for the library, set TMPDIR to one{why}"))
}

/// The folder without links on the way, as libudev names what is in it.
///
/// # Errors
/// Why it cannot have a run directory in it.
fn fit(parent: &Path) -> Result<PathBuf, &'static str> {
    /// What a run directory is called, at the longest.
    const NAME: usize = "/keyfob-123456".len();
    if !parent.is_absolute() {
        return Err("is a relative path");
    }
    let parent = fs::canonicalize(parent).map_err(|_| "cannot be read")?;
    let path = parent.as_os_str().as_bytes();
    if path.len() > MAX_DIRECTORY - NAME {
        return Err("is too long for a socket");
    }
    if path.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b':') {
        return Err("has a space or colon, which separate the names in LD_PRELOAD");
    }
    match rustix::fs::statvfs(&parent) {
        Ok(mount) if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) => Err("is mounted noexec"),
        Ok(_) => Ok(parent),
        Err(_) => Err("cannot be read"),
    }
}

/// The major number of hidraw devices.
fn major() -> u32 {
    let devices = fs::read_to_string("/proc/devices").unwrap_or_default();
    let numbers = devices.lines().filter_map(|line| line.trim().strip_suffix(" hidraw"));
    numbers.filter_map(|number| number.parse().ok()).next().unwrap_or(LOCAL_MAJOR)
}

/// The first of the numbers in a row that no hidraw device has: a program that the library does not reach finds no other
/// key there.
fn free_numbers() -> u32 {
    let is_taken = |number: u32| {
        ["/dev/hidraw", "/sys/class/hidraw/hidraw"].iter().any(|stem| Path::new(&format!("{stem}{number}")).exists())
    };
    (0..).find(|first: &u32| !(*first..first.saturating_add(KEYS)).any(is_taken)).unwrap_or_default()
}

/// Where a key is plugged in.
#[derive(Clone, Copy)]
struct Place {
    /// The port of the bus, from 1 on.
    port: u32,
    /// N in `/dev/hidrawN`.
    number: u32,
}

impl Place {
    /// How the kernel names ports.
    fn phys(self) -> String {
        format!("usb-keyfob-{}/input0", self.port)
    }

    /// The folder of the USB device.
    fn device(self) -> String {
        format!("sys/devices/platform/{DEVICE}/usb1/1-{}", self.port)
    }

    /// The folder of its interface.
    fn interface(self) -> String {
        format!("{}/1-{}:1.0", self.device(), self.port)
    }

    /// The folder of the HID device.
    fn hid(self) -> String {
        format!("{}/{USB:04X}:{VENDOR_ID:04X}:{PRODUCT_ID:04X}.{:04X}", self.interface(), self.port)
    }

    /// The folder of the hidraw device.
    fn raw(self) -> String {
        format!("{}/hidraw/{}", self.hid(), node(self.number))
    }
}

/// `hidrawN`.
pub fn node(number: u32) -> String {
    format!("hidraw{number}")
}

/// What the kernel calls the HID device.
fn name() -> String {
    format!("{MANUFACTURER} {PRODUCT}")
}
