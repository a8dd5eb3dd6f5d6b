//! Reports in a capture file of the pcapng format, which Wireshark reads (draft-ietf-opsawg-pcapng).
//!
//! Each report is a packet as Linux captures it on a USB bus (link type 220, `Documentation/usb/usbmon.rst`). The file
//! begins with the requests by which a host learns the descriptors of a device, so that a reader knows that this is a
//! HID device for FIDO.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use keyfob_core::transport::hid::REPORT_LEN;
use keyfob_soft_authenticator::devices::usb::{self, ENDPOINT};

/// USB packets with the long header of Linux.
const LINK_TYPE: u16 = 220;
/// An interrupt transfer, and a control transfer.
const INTERRUPT: u8 = 1;
const CONTROL: u8 = 2;
/// The direction in the number of an endpoint: to the host.
const IN: u8 = 0x80;
/// A transfer that is under way has this status: EINPROGRESS of Linux.
const IN_PROGRESS: i32 = -115;

/// The type of the block with which a file begins.
const SECTION: u32 = 0x0A0D_0D0A;

/// A file of reports.
pub struct Capture {
    file: File,
    /// The number of the last transfer.
    last: u64,
}

/// One event of a transfer.
struct Packet<'p> {
    transfer: u64,
    /// It begins, or it ends.
    begins: bool,
    kind: u8,
    endpoint: u8,
    setup: Option<[u8; 8]>,
    /// The length of what is asked for, where that is not the data's.
    len: usize,
    data: &'p [u8],
}

/// Opens a file for a capture, and empties it. What is not a regular file, as a FIFO from which Wireshark reads, is taken
/// as it is.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(path);
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut start = Vec::new();
    (&file).take(4).read_to_end(&mut start)?;
    if !start.is_empty() && start != SECTION.to_le_bytes() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    file.set_len(0)?;
    Ok(file)
}

impl Capture {
    /// Makes the file, or replaces a capture.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]: the file has something else in it. Those of the operating system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut capture = Self { file: open(path)?, last: 0 };
        // Byte order, version 1.0, a section of unknown length.
        let section = [&0x1A2B_3C4D_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xFF; 8]].concat();
        capture.block(SECTION, &section)?;
        let name = b"keyfob\0\0";
        let interface = [&LINK_TYPE.to_le_bytes()[..], &[0; 6], &[2, 0, 6, 0], name, &[0; 4]].concat();
        capture.block(1, &interface)?;
        for setup in [[0x80, 6, 0, 1, 0, 0, 18, 0], [0x80, 6, 0, 2, 0, 0, 255, 0], [0x81, 6, 0, 0x22, 0, 0, 255, 0]] {
            capture.control(setup)?;
        }
        Ok(capture)
    }

    /// Writes a report.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn report(&mut self, is_to_key: bool, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        self.last = self.last.wrapping_add(1);
        let endpoint = if is_to_key { ENDPOINT } else { ENDPOINT | IN };
        let (transfer, kind, setup) = (self.last, INTERRUPT, None);
        // The data is where it is known: at the beginning of a transfer to the key, at the end of one from the key.
        let (first, second): (&[u8], &[u8]) = if is_to_key { (report, &[]) } else { (&[], report) };
        self.packet(&Packet { transfer, begins: true, kind, endpoint, setup, len: REPORT_LEN, data: first })?;
        self.packet(&Packet { transfer, begins: false, kind, endpoint, setup, len: REPORT_LEN, data: second })
    }

    /// Writes a request to the host and its answer.
    fn control(&mut self, setup: [u8; 8]) -> io::Result<()> {
        self.last = self.last.wrapping_add(1);
        let answer = usb::control(setup).unwrap_or_default();
        let (transfer, kind, endpoint) = (self.last, CONTROL, IN);
        let len = u16::from_le_bytes([setup[6], setup[7]]).into();
        self.packet(&Packet { transfer, begins: true, kind, endpoint, setup: Some(setup), len, data: &[] })?;
        let len = answer.len();
        self.packet(&Packet { transfer, begins: false, kind, endpoint, setup: None, len, data: &answer })
    }

    fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut usb = packet.transfer.to_le_bytes().to_vec();
        usb.extend([if packet.begins { b'S' } else { b'C' }, packet.kind, packet.endpoint, 1, 1, 0]); // device 1 on bus 1
        // Zero says that a setup and data follow.
        let data_flag = match (packet.data.is_empty(), packet.endpoint & IN != 0) {
            (false, _) => 0,
            (true, true) => b'<',
            (true, false) => b'>',
        };
        usb.extend([if packet.setup.is_some() { 0 } else { b'-' }, data_flag]);
        usb.extend(now.as_secs().to_le_bytes());
        usb.extend(now.subsec_micros().to_le_bytes());
        usb.extend((if packet.begins { IN_PROGRESS } else { 0 }).to_le_bytes());
        usb.extend((packet.len as u32).to_le_bytes());
        usb.extend((packet.data.len() as u32).to_le_bytes());
        usb.extend(packet.setup.unwrap_or_default());
        let interval: u32 = (packet.kind == INTERRUPT).into();
        usb.extend(interval.to_le_bytes());
        usb.extend([0; 12]); // start frame, flags, descriptors of isochronous transfers
        usb.extend(packet.data);
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let (high, low) = ((micros >> 32) as u32, micros as u32);
        let len = usb.len() as u32;
        let head = [0, high, low, len, len].map(u32::to_le_bytes).concat();
        self.block(6, &[head, usb].concat())
    }

    /// Writes a block: its type, its length, its body up to a multiple of four bytes, its length again.
    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let padded = body.len().next_multiple_of(4);
        let len = ((12 + padded) as u32).to_le_bytes();
        let padding = &[0; 3][..padded - body.len()];
        self.file.write_all(&[&kind.to_le_bytes(), &len, body, padding, &len].concat())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn number(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_capture_is_a_chain_of_blocks_with_each_report_in_a_usb_packet() {
        let path = std::env::temp_dir().join(format!("keyfob-capture-{}.pcapng", std::process::id()));
        let mut capture = Capture::create(&path).unwrap();
        capture.report(true, &[7; REPORT_LEN]).unwrap();
        capture.report(false, &[9; REPORT_LEN]).unwrap();
        let file = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let (mut rest, mut blocks) = (&file[..], Vec::new());
        while !rest.is_empty() {
            let len = number(rest, 4) as usize;
            assert_eq!((len % 4, number(rest, len - 4) as usize), (0, len));
            blocks.push((number(rest, 0), &rest[8..len - 4]));
            rest = &rest[len..];
        }
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [&[0x0A0D_0D0A, 1][..], &[6; 10]].concat(), "three requests and two reports, of two packets");
        assert_eq!(blocks[1].1[..2], [220, 0]);
        let packets: Vec<&[u8]> =
            blocks[2..].iter().map(|(_, body)| &body[20..20 + number(body, 12) as usize]).collect();
        assert!(packets.iter().all(|packet| packet.len() == 64 + number(packet, 36) as usize), "header, data");
        assert_eq!(packets[0][40..48], [0x80, 6, 0, 1, 0, 0, 18, 0], "the setup of GET_DESCRIPTOR");
        assert_eq!((packets[1][8], packets[1][64..].len()), (b'C', 18), "the device descriptor");
        assert_eq!((&packets[6][8..11], &packets[6][64..]), (&[b'S', 1, 0x01][..], &[7; 64][..]));
        assert_eq!((&packets[9][8..11], &packets[9][64..]), (&[b'C', 1, 0x81][..], &[9; 64][..]));
        assert_eq!(number(packets[6], 32), 64, "the length of the transfer");
    }
}
