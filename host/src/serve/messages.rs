//! Messages put together from reports, as text.

use std::time::Instant;

use keyfob_core::{
    ctap2::Command,
    trace::{Direction, TraceEvent},
    transport::{
        Protocol,
        hid::{HidCommand, Packet, REPORT_LEN},
    },
};

/// How many channels are remembered.
const CHANNELS: usize = 64;

/// A message that is under way.
struct Message {
    channel: u32,
    command: HidCommand,
    len: usize,
    data: Vec<u8>,
    next: u8,
}

/// Reads reports in both directions.
pub struct Messages {
    start: Instant,
    /// To the key and from the key.
    under_way: [Vec<Message>; 2],
    /// The channel and the first byte of each last request.
    requests: Vec<(u32, u8)>,
    /// The last keep-alive, which is not shown again.
    keep_alive: Option<[u8; REPORT_LEN]>,
}

impl Default for Messages {
    fn default() -> Self {
        let under_way = [Vec::new(), Vec::new()];
        Self { start: Instant::now(), under_way, requests: Vec::new(), keep_alive: None }
    }
}

impl Messages {
    /// Takes a report. Returns the lines of a message that is whole with it.
    pub fn take(&mut self, is_to_key: bool, report: &[u8; REPORT_LEN]) -> Option<String> {
        let [to_key, from_key] = &mut self.under_way;
        let under_way = if is_to_key { to_key } else { from_key };
        let channel = match Packet::parse(report) {
            Packet::Initialization { channel, command, len, data } => {
                under_way.retain(|message| message.channel != channel);
                if !matches!(command, HidCommand::CBOR | HidCommand::MSG) {
                    return self.other(is_to_key, command, report);
                }
                if under_way.len() >= CHANNELS {
                    under_way.remove(0);
                }
                under_way.push(Message { channel, command, len: len.into(), data: data.to_vec(), next: 0 });
                channel
            }
            Packet::Continuation { channel, sequence, data } => {
                let message = under_way.iter_mut().find(|message| message.channel == channel)?;
                if message.next != sequence {
                    under_way.retain(|message| message.channel != channel);
                    return None;
                }
                message.next = message.next.wrapping_add(1);
                message.data.extend_from_slice(data);
                channel
            }
        };
        let whole = under_way.iter().position(|one| one.channel == channel && one.data.len() >= one.len)?;
        let mut message = under_way.remove(whole);
        message.data.truncate(message.len);
        Some(self.show(is_to_key, &message))
    }

    fn show(&mut self, is_to_key: bool, message: &Message) -> String {
        let protocol = if message.command == HidCommand::MSG { Protocol::Ctap1 } else { Protocol::Ctap2 };
        let event = if is_to_key {
            let first = message.data.first().copied().unwrap_or_default();
            self.requests.retain(|(channel, _)| *channel != message.channel);
            if self.requests.len() >= CHANNELS {
                self.requests.remove(0);
            }
            self.requests.push((message.channel, first));
            TraceEvent::Request(protocol, &message.data)
        } else {
            let request = self.requests.iter().find(|(channel, _)| *channel == message.channel);
            TraceEvent::Response(protocol, Command(request.map_or(0, |(_, first)| *first)), &message.data)
        };
        self.line(&event)
    }

    /// A message of the transport itself: its first report.
    fn other(&mut self, is_to_key: bool, command: HidCommand, report: &[u8; REPORT_LEN]) -> Option<String> {
        let is_keep_alive = command == HidCommand::KEEPALIVE;
        if is_keep_alive && self.keep_alive == Some(*report) {
            return None;
        }
        self.keep_alive = is_keep_alive.then_some(*report);
        let direction = if is_to_key { Direction::ToAuthenticator } else { Direction::ToClient };
        Some(self.line(&TraceEvent::Report(direction, report)))
    }

    fn line(&self, event: &TraceEvent<'_>) -> String {
        format!("{:>10.3} ms {event}", self.start.elapsed().as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(head: &[u8], data: &[u8]) -> [u8; REPORT_LEN] {
        let mut report = [0; REPORT_LEN];
        report[..head.len()].copy_from_slice(head);
        report[head.len()..head.len() + data.len()].copy_from_slice(data);
        report
    }

    #[test]
    fn messages_of_several_reports_and_channels_are_put_together() {
        let mut messages = Messages::default();
        // getInfo with a body of 100 bytes, which does not belong there, and in between another channel's getInfo.
        assert_eq!(messages.take(true, &report(&[0, 0, 0, 1, 0x90, 0, 101, 4], &[1; 56])), None);
        let other = messages.take(true, &report(&[0, 0, 0, 2, 0x90, 0, 1], &[4])).unwrap();
        assert!(other.ends_with(" ms -> authenticatorGetInfo, 1 byte"), "{other}");
        let whole = messages.take(true, &report(&[0, 0, 0, 1, 0], &[1; 44])).unwrap();
        assert!(whole.contains(" ms -> authenticatorGetInfo, 101 bytes"), "{whole}");
        let answer = messages.take(false, &report(&[0, 0, 0, 2, 0x90, 0, 1], &[0x30])).unwrap();
        assert!(answer.contains(" ms <- authenticatorGetInfo") && answer.contains("NOT_ALLOWED"), "{answer}");
    }

    #[test]
    fn a_keep_alive_is_shown_once_and_a_packet_out_of_order_ends_a_message() {
        let mut messages = Messages::default();
        let keep_alive = report(&[0, 0, 0, 1, 0xBB, 0, 1], &[2]);
        assert!(messages.take(false, &keep_alive).unwrap().contains("UPNEEDED"));
        assert_eq!(messages.take(false, &keep_alive), None);
        assert_eq!(messages.take(true, &report(&[0, 0, 0, 1, 0x90, 0, 101, 4], &[1; 56])), None);
        assert_eq!(messages.take(true, &report(&[0, 0, 0, 1, 1], &[1; 44])), None);
        assert_eq!(messages.take(true, &report(&[0, 0, 0, 1, 0], &[1; 44])), None);
    }
}
