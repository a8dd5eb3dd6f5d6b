//! Reports between the computer and the authenticator, over USB's HID class.

use embassy_futures::{
    join::join,
    select::{Either, select},
};
use embassy_time::Timer;
use embassy_usb::{
    Builder, UsbDevice,
    class::hid::{Config as HidConfig, HidBootProtocol, HidReaderWriter, HidSubclass, ReadError, State},
    driver::{Driver, EndpointError},
};
use keyfob_core::{
    Instant,
    transport::hid::{REPORT_DESCRIPTOR, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    engine::Platform,
    hid::{HidAuthenticator, HidEvent},
};
use static_cell::StaticCell;

use crate::panel::Panel;

/// For trials only (pid.codes). A product has numbers of its own.
const VENDOR: u16 = 0x1209;
/// Likewise.
const PRODUCT: u16 = 0x0001;
/// How often the computer looks for a report, in milliseconds.
const POLL: u8 = 5;

/// What USB needs for as long as the key runs.
struct Memory {
    config: [u8; 64],
    bos: [u8; 16],
    control: [u8; 64],
    hid: State<'static>,
}

static MEMORY: StaticCell<Memory> = StaticCell::new();

type Reports<D> = HidReaderWriter<'static, D, REPORT_LEN, REPORT_LEN>;

/// The key as the computer sees it.
pub struct Port<D: Driver<'static>> {
    device: UsbDevice<'static, D>,
    reports: Reports<D>,
}

/// Describes the key to the computer. `None` if that was done before.
pub fn plug_in<D: Driver<'static>>(driver: D) -> Option<Port<D>> {
    let memory = MEMORY.try_init(Memory { config: [0; 64], bos: [0; 16], control: [0; 64], hid: State::new() })?;
    let mut config = embassy_usb::Config::new(VENDOR, PRODUCT);
    config.manufacturer = Some("keyfob");
    config.product = Some("keyfob board key");
    // No serial number: sites that may use USB could follow a user by it.
    config.composite_with_iads = false;
    (config.device_class, config.device_sub_class, config.device_protocol) = (0, 0, 0);
    let mut builder = Builder::new(driver, config, &mut memory.config, &mut memory.bos, &mut [], &mut memory.control);
    let class = HidConfig {
        report_descriptor: &REPORT_DESCRIPTOR,
        request_handler: None,
        poll_ms: POLL,
        max_packet_size: REPORT_LEN as u16,
        hid_subclass: HidSubclass::No,
        hid_boot_protocol: HidBootProtocol::None,
    };
    let reports = Reports::new(&mut builder, &mut memory.hid, class);
    Some(Port { device: builder.build(), reports })
}

impl<D: Driver<'static>> Port<D> {
    /// Answers the computer.
    pub async fn serve<P: Platform, B: FnMut() -> bool, L: FnMut(bool)>(
        self,
        mut key: HidAuthenticator<'_, P>,
        mut panel: Panel<B, L>,
    ) -> ! {
        let Self { mut device, mut reports } = self;
        let answers = async {
            loop {
                // A bus reset is not a power cycle: the computer can cause one, and must not open the time in which a
                // reset of the key is accepted.
                reports.ready().await;
                while step(&mut key, &mut reports, &mut panel).await.is_ok() {}
            }
        };
        join(device.run(), answers).await.0
    }
}

/// Sends what there is to send, asks the button, and waits for a report or the next deadline.
async fn step<D: Driver<'static>, P: Platform, B: FnMut() -> bool, L: FnMut(bool)>(
    key: &mut HidAuthenticator<'_, P>,
    reports: &mut Reports<D>,
    panel: &mut Panel<B, L>,
) -> Result<(), EndpointError> {
    while let Some(report) = key.transmit(Instant::now()) {
        reports.write(&report).await?;
    }
    let now = Instant::now();
    let look_again = panel.step(now, key.waits_for(), key.u2f_awaits_touch(now));
    if panel.take_touch() {
        key.touch(now, true);
    }
    let deadline = [key.deadline(), look_again].into_iter().flatten().min();
    let mut report = [0; REPORT_LEN];
    match select(reports.read(&mut report), until(deadline)).await {
        Either::First(Ok(REPORT_LEN)) => {
            if let Some(HidEvent::Wink) = key.receive(Instant::now(), &report) {
                panel.wink(Instant::now());
            }
        }
        Either::First(Err(ReadError::Disabled)) => return Err(EndpointError::Disabled),
        // A report of another length is not a report of CTAPHID.
        Either::First(_) => {}
        Either::Second(()) => key.tick(Instant::now()),
    }
    Ok(())
}

/// Waits until then. A deadline in the past still lets USB do its work once.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => Timer::at(embassy_time::Instant::from_millis(deadline.as_millis())).await,
        None => core::future::pending().await,
    }
}
