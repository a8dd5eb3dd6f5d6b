//! The whole key behind a USB driver that is a pair of queues.

extern crate std;

use core::{
    future::{pending, poll_fn},
    task::Poll,
};
use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use embassy_futures::{
    block_on,
    select::{Either, select},
};
use embassy_usb::driver::{
    Bus, ControlPipe, Direction, Driver, Endpoint, EndpointAddress, EndpointAllocError, EndpointError, EndpointIn,
    EndpointInfo, EndpointOut, EndpointType, Event, Unsupported,
};
use keyfob_soft_authenticator::store::flash::SimulatedFlash;

use super::*;
use crate::{flash::device_key, random::reliable};

type Report = [u8; 64];

static TO_KEY: Mutex<VecDeque<Report>> = Mutex::new(VecDeque::new());
static FROM_KEY: Mutex<VecDeque<Report>> = Mutex::new(VecDeque::new());
static BUTTON: AtomicBool = AtomicBool::new(false);

/// The next report in a queue. It is asked again and again: the test has no interrupts.
async fn next(queue: &Mutex<VecDeque<Report>>) -> Report {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        queue.lock().unwrap().pop_front().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

struct Queues;
struct Pipe(EndpointInfo);

fn pipe(direction: Direction, ep_type: EndpointType, max_packet_size: u16, interval_ms: u8) -> Pipe {
    Pipe(EndpointInfo { addr: EndpointAddress::from_parts(1, direction), ep_type, max_packet_size, interval_ms })
}

impl Driver<'_> for Queues {
    type EndpointOut = Pipe;
    type EndpointIn = Pipe;
    type ControlPipe = Queues;
    type Bus = Queues;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        Ok(pipe(Direction::Out, ep_type, max_packet_size, interval_ms))
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        Ok(pipe(Direction::In, ep_type, max_packet_size, interval_ms))
    }

    fn start(self, _: u16) -> (Queues, Queues) {
        (Queues, Queues)
    }
}

impl Bus for Queues {
    async fn enable(&mut self) {}
    async fn disable(&mut self) {}
    async fn poll(&mut self) -> Event {
        pending().await
    }
    fn endpoint_set_enabled(&mut self, _: EndpointAddress, _: bool) {}
    fn endpoint_set_stalled(&mut self, _: EndpointAddress, _: bool) {}
    fn endpoint_is_stalled(&mut self, _: EndpointAddress) -> bool {
        false
    }
    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

impl ControlPipe for Queues {
    fn max_packet_size(&self) -> usize {
        64
    }
    async fn setup(&mut self) -> [u8; 8] {
        pending().await
    }
    async fn data_out(&mut self, _: &mut [u8], _: bool, _: bool) -> Result<usize, EndpointError> {
        pending().await
    }
    async fn data_in(&mut self, _: &[u8], _: bool, _: bool) -> Result<(), EndpointError> {
        pending().await
    }
    async fn accept(&mut self) {}
    async fn reject(&mut self) {}
    async fn accept_set_address(&mut self, _: u8) {}
}

impl Endpoint for Pipe {
    fn info(&self) -> &EndpointInfo {
        &self.0
    }
    async fn wait_enabled(&mut self) {}
}

impl EndpointOut for Pipe {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, EndpointError> {
        keyfob_core::bytes::copy_prefix(bytes, &next(&TO_KEY).await);
        Ok(64)
    }
}

impl EndpointIn for Pipe {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        FROM_KEY.lock().unwrap().push_back(bytes.try_into().unwrap());
        Ok(())
    }
}

/// Sends a short message, and returns the first report of the answer, behind all keep-alives. When the key waits for
/// the user, the button goes down.
async fn ask(channel: [u8; 4], command: u8, data: &[u8]) -> Report {
    let head = [0x80 | command, 0, u8::try_from(data.len()).unwrap()];
    let mut report = [&channel[..], &head, data].concat();
    report.resize(64, 0);
    TO_KEY.lock().unwrap().push_back(report.try_into().unwrap());
    loop {
        let report = next(&FROM_KEY).await;
        match report[4] {
            0xBB => BUTTON.store(report[7] == 2, Ordering::Relaxed),
            byte if byte & 0x80 == 0 => {}
            _ => return report,
        }
    }
}

async fn computer() {
    let init = ask([0xFF; 4], 0x06, b"a nonce!").await;
    assert_eq!(init[7..15], *b"a nonce!");
    let channel = [init[15], init[16], init[17], init[18]];
    let info = ask(channel, 0x10, &[0x04]).await;
    assert_eq!((info[4], info[7]), (0x90, 0x00), "authenticatorGetInfo succeeds");
    assert_eq!(ask(channel, 0x08, &[]).await[4], 0x88, "WINK is answered");
    assert!(!BUTTON.load(Ordering::Relaxed), "no touch was asked for");
    let selected = ask(channel, 0x10, &[0x0B]).await;
    assert_eq!(selected[4..8], [0x90, 0, 1, 0], "authenticatorSelection succeeds");
    assert!(BUTTON.load(Ordering::Relaxed), "a touch was asked for");
}

#[test]
fn the_key_answers_over_usb_and_a_press_of_the_button_is_a_touch() {
    let mut flash = SimulatedFlash::<4096, 4>::new(16);
    let mut rng = reliable(|bytes| bytes.fill(7));
    let device_key = device_key(&mut flash, 0, &mut rng);
    let lit = AtomicBool::new(false);
    let key = run(Board {
        usb: Queues,
        flash: Partition::new(flash, 4096..65_536),
        device_key,
        rng,
        button: || BUTTON.load(Ordering::Relaxed),
        light: |on| {
            lit.fetch_or(on, Ordering::Relaxed);
        },
    });
    match block_on(select(key, computer())) {
        Either::First(never) => never,
        Either::Second(()) => assert!(lit.load(Ordering::Relaxed), "the light was on"),
    }
}

/// Starts a key on a flash with that many pages behind the one of the device key, twice.
fn starts<const PAGE: usize, const WORD: usize>(pages: u32, filled: Option<u8>) {
    let page = u32::try_from(PAGE).unwrap();
    let mut flash = SimulatedFlash::<PAGE, WORD>::new(pages as usize + 1);
    if let Some(byte) = filled {
        for word in (0..page * (pages + 1)).step_by(WORD) {
            flash.write(word, &[byte; WORD]).unwrap();
        }
    }
    let key = device_key(&mut flash, 0, &mut reliable(|bytes| bytes.fill(7))).unwrap();
    let mut part = Partition::new(flash, page..page * (pages + 1));
    for _ in 0..2 {
        let mut buffer = [0; CONFIG.buffer_len()];
        let rng = reliable(|bytes| bytes.fill(9));
        let mut authenticator = power_up(&mut part, &mut buffer, &key, rng).expect("it starts");
        assert!(authenticator.engine().has_u2f());
    }
}

#[test]
fn a_key_starts_on_the_flash_of_every_board() {
    starts::<4096, 4>(15, None); // nRF52840
    starts::<4096, 1>(15, None); // RP2040
    starts::<16_384, 4>(3, None); // STM32F407
}

#[test]
fn a_flash_with_something_else_on_it_becomes_a_store() {
    starts::<4096, 4>(15, Some(0x5A));
}
