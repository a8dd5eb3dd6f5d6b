//! A virtual key as a USB device: its descriptors (USB 2.0 §9.6, HID 1.11 §6.2), and its answers to control requests.

use keyfob_core::{
    bytes,
    transport::hid::{REPORT_DESCRIPTOR, REPORT_LEN},
};

/// The vendor id of pid.codes, which gives product ids to open projects.
pub const VENDOR_ID: u16 = 0x1209;
/// The product id of FIDO keys there.
pub const PRODUCT_ID: u16 = 0xF1D0;
/// The name of the maker.
pub const MANUFACTURER: &str = "keyfob";
/// The name of the product.
pub const PRODUCT: &str = "virtual security key";
/// The version of the device, as four decimal digits.
pub const DEVICE_VERSION: u16 = 0x0100;

/// The endpoint of reports to the key, and of those from it.
pub const ENDPOINT: u8 = 1;
/// Human interface device.
pub const HID_CLASS: u8 = 3;

const DEVICE: [u8; 18] = {
    let ([v0, v1], [p0, p1], [d0, d1]) =
        (VENDOR_ID.to_le_bytes(), PRODUCT_ID.to_le_bytes(), DEVICE_VERSION.to_le_bytes());
    // USB 2.0, 64 bytes at endpoint 0, names in strings 1 and 2, no serial number, one configuration.
    [18, 1, 0x00, 0x02, 0, 0, 0, 64, v0, v1, p0, p1, d0, d1, 1, 2, 0, 1]
};

const HID: [u8; 9] = [9, 0x21, 0x11, 0x01, 0, 1, 0x22, REPORT_DESCRIPTOR.len() as u8, 0];

const CONFIGURATION: [u8; 41] = {
    let [h0, h1, h2, h3, h4, h5, h6, h7, h8] = HID;
    const LEN: u8 = REPORT_LEN as u8;
    [
        9,
        2,
        41,
        0,
        1,
        1,
        0,
        0x80,
        50, // one interface, powered by the bus with 100 mA
        9,
        4,
        0,
        0,
        2,
        HID_CLASS,
        0,
        0,
        0, // two endpoints, no boot protocol
        h0,
        h1,
        h2,
        h3,
        h4,
        h5,
        h6,
        h7,
        h8, // the HID descriptor
        7,
        5,
        0x80 | ENDPOINT,
        3,
        LEN,
        0,
        1, // interrupt, each millisecond
        7,
        5,
        ENDPOINT,
        3,
        LEN,
        0,
        1,
    ]
};

/// The answer to a control request, at most as long as it allows. `None` stalls.
///
/// `setup` is the request's eight bytes (USB 2.0 §9.3).
///
/// ```
/// use keyfob_soft_authenticator::devices::usb;
/// let get_device_descriptor = [0x80, 6, 0, 1, 0, 0, 18, 0];
/// assert_eq!(usb::control(get_device_descriptor).map(|descriptor| descriptor.len()), Some(18));
/// ```
pub fn control(setup: [u8; 8]) -> Option<Vec<u8>> {
    let [kind, request, value, value_high, _, _, len_low, len_high] = setup;
    let mut answer = match (kind, request) {
        (0x80, 6) => match (value_high, value) {
            (1, 0) => DEVICE.to_vec(),
            (2, 0) => CONFIGURATION.to_vec(),
            (3, 0) => vec![4, 3, 0x09, 0x04], // strings are in English
            (3, 1) => string(MANUFACTURER),
            (3, 2) => string(PRODUCT),
            _ => return None,
        },
        (0x81, 6) => match value_high {
            0x21 => HID.to_vec(),
            0x22 => REPORT_DESCRIPTOR.to_vec(),
            _ => return None,
        },
        // GET_STATUS, GET_CONFIGURATION, GET_INTERFACE, GET_IDLE
        (0x80..=0x82, 0) => vec![0, 0],
        (0x80, 8) => vec![1],
        (0x81, 10) | (0xA1, 2) => vec![0],
        // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE of an endpoint, SET_IDLE
        (0x00, 9) | (0x01, 11) | (0x02, 1) | (0x21, 10) => Vec::new(),
        _ => return None,
    };
    answer.truncate(u16::from_le_bytes([len_low, len_high]).into());
    Some(answer)
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = u8::try_from(units.len().saturating_add(2)).unwrap_or(u8::MAX);
    [&[len, 3], bytes::front(&units, units.len().min(253))].concat()
}
