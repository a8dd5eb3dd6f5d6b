//! Messages put together from APDUs, as text.

use std::time::Instant;

use keyfob_core::{
    ctap1::{Apdu, StatusWord},
    ctap2::Command,
    trace::TraceEvent,
    transport::{KeepAlive, Protocol, nfc::ResponseApdu},
};

/// How much of a chain of commands, or of an answer in parts, is remembered: more than a key takes or gives.
const LONGEST: usize = 1 << 16;

/// Reads commands and responses of one card.
pub struct Apdus {
    start: Instant,
    /// The data of a chain of commands.
    chain: Vec<u8>,
    /// What was asked: the protocol, and the first byte of the request.
    asked: Option<(Protocol, u8)>,
    /// The parts of an answer.
    answer: Vec<u8>,
    /// The last keep-alive, which is not shown again.
    keep_alive: Option<KeepAlive>,
}

impl Default for Apdus {
    fn default() -> Self {
        Self { start: Instant::now(), chain: Vec::new(), asked: None, answer: Vec::new(), keep_alive: None }
    }
}

impl Apdus {
    /// Takes a command. Returns the lines of a request that is whole with it, or of a command of the transport.
    pub fn command(&mut self, command: &[u8]) -> Option<String> {
        let Some(apdu) = Apdu::decode(command) else { return Some(self.line("-> ", &hex(command))) };
        let protocol = match (apdu.class & !0x10, apdu.instruction) {
            (0x80, 0x10) => Protocol::Ctap2,
            (0x00, 0x01..=0x03) => Protocol::Ctap1,
            (0x80, 0x11) if apdu.p1 == 0x11 => return Some(self.event(&TraceEvent::Cancel)),
            (0x80, 0x11) | (0x00 | 0x80, 0xC0) => return None, // asks for more of the answer
            _ => return Some(self.line("-> ", &hex(command))),
        };
        if self.chain.len() < LONGEST {
            self.chain.extend_from_slice(apdu.data);
        }
        if apdu.class & 0x10 != 0 {
            return None;
        }
        let mut message = std::mem::take(&mut self.chain);
        if protocol == Protocol::Ctap1 {
            let [high, low] = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
            let head = [0, apdu.instruction, apdu.p1, apdu.p2, 0, high, low];
            message.splice(0..0, head);
        }
        self.asked = Some((protocol, message.first().copied().unwrap_or_default()));
        self.answer.clear();
        self.keep_alive = None;
        Some(self.event(&TraceEvent::Request(protocol, &message)))
    }

    /// Takes a response. Returns the lines of an answer that is whole with it, or of a refusal.
    pub fn response(&mut self, response: &[u8]) -> Option<String> {
        let Some(ResponseApdu { data, status }) = ResponseApdu::decode(response) else {
            return Some(self.line("<- ", &hex(response)));
        };
        let Some((protocol, first)) = self.asked else {
            // The answer to SELECT, to a part of a chain, to END; or a refusal.
            let is_silent = data.is_empty() && status == StatusWord::NO_ERROR;
            return (!is_silent).then(|| self.line("<- ", &hex(response)));
        };
        match (protocol, status) {
            (_, StatusWord(0x6100..=0x61FF)) => {
                if self.answer.len() < LONGEST {
                    self.answer.extend_from_slice(data);
                }
                return None;
            }
            (Protocol::Ctap2, StatusWord::STATUS_UPDATE) => {
                let status = data.first().map_or(KeepAlive::Processing, |status| (*status).into());
                let is_new = self.keep_alive.replace(status) != Some(status);
                return is_new.then(|| self.event(&TraceEvent::KeepAlive(status)));
            }
            _ => self.asked = None,
        }
        let mut answer = std::mem::take(&mut self.answer);
        answer.extend_from_slice(data);
        match (protocol, status) {
            (Protocol::Ctap2, StatusWord::NO_ERROR) => {}
            (Protocol::Ctap1, _) => answer.extend(status.0.to_be_bytes()),
            _ => return Some(self.line("<- ", &hex(response))),
        }
        Some(self.event(&TraceEvent::Response(protocol, Command(first), &answer)))
    }

    fn event(&self, event: &TraceEvent<'_>) -> String {
        self.line("", &event.to_string())
    }

    fn line(&self, arrow: &str, text: &str) -> String {
        format!("{:>10.3} ms {arrow}{text}", self.start.elapsed().as_secs_f64() * 1e3)
    }
}

fn hex(apdu: &[u8]) -> String {
    let bytes: String = apdu.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("APDU {bytes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_commands_and_an_answer_in_parts_are_one_message_each() {
        let mut apdus = Apdus::default();
        let select = [0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 6, 0x47, 0x2F, 0, 1, 0];
        assert!(apdus.command(&select).unwrap().ends_with(" ms -> APDU 00a4040008a0000006472f000100"));
        assert!(apdus.response(b"FIDO_2_0\x90\x00").unwrap().ends_with(" ms <- APDU 4649444f5f325f309000"));
        assert_eq!(apdus.command(&[0x90, 0x10, 0x80, 0, 1, 4]), None);
        assert_eq!(apdus.response(&[0x90, 0]), None);
        let request = apdus.command(&[0x80, 0x10, 0x80, 0, 1, 0xA0, 0]).unwrap();
        assert!(request.contains(" ms -> authenticatorGetInfo, 2 bytes"), "{request}");
        assert!(apdus.response(&[1, 0x91, 0]).unwrap().contains("PROCESSING"));
        assert_eq!(apdus.command(&[0x80, 0x11, 0, 0, 0]), None);
        assert_eq!(apdus.response(&[1, 0x91, 0]), None, "the same again");
        assert_eq!(apdus.response(&[0x30, 0x61, 1]), None);
        assert_eq!(apdus.command(&[0x80, 0xC0, 0, 0, 1]), None);
        let answer = apdus.response(&[0, 0x90, 0]).unwrap();
        assert!(answer.contains(" ms <- authenticatorGetInfo: NOT_ALLOWED (0x30), 2 bytes"), "{answer}");
    }

    #[test]
    fn u2f_a_cancel_and_refusals_are_shown() {
        let mut apdus = Apdus::default();
        let version = apdus.command(&[0, 3, 0, 0, 0]).unwrap();
        assert!(version.contains("U2F"), "{version}");
        assert!(apdus.response(b"U2F_V2\x90\x00").unwrap().contains("<- "));
        assert!(apdus.command(&[0x80, 0x11, 0x11, 0, 0]).unwrap().contains("cancel"));
        apdus.command(&[0x80, 0x10, 0, 0, 1, 4, 0]).unwrap();
        assert!(apdus.response(&[0x69, 0x85]).unwrap().ends_with(" ms <- APDU 6985"));
        assert!(apdus.command(&[1]).unwrap().ends_with(" ms -> APDU 01"));
        assert!(apdus.response(&[0x67]).unwrap().ends_with(" ms <- APDU 67"));
    }
}
