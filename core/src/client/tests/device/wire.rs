//! The way to the small authenticator, and what happens on it.

use super::*;

/// That it has no such credential, which it may say before it asks for a touch.
const NOT_THERE: [u8; 2] = [Status::NO_CREDENTIALS.0, Status::INVALID_CREDENTIAL.0];

/// What it answers to messages of version 1.
const NO_U2F: [u8; 2] = ctap1::StatusWord::INS_NOT_SUPPORTED.0.to_be_bytes();
/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It cannot be sent.
    Unplugged,
    /// It is not answered.
    Silent,
    /// It is sent, and the answer does not arrive.
    Lost,
}

pub(super) enum Event {
    KeepAlive(KeepAlive),
    Response(Vec<u8>),
}

impl<C: Crypto> Transport for Device<C> {
    type Error = ();

    fn send(&mut self, protocol: transport::Protocol, request: &[u8]) -> Result<(), ()> {
        let fault = self.fault.filter(|(index, _)| *index == self.requests.len()).map(|(_, fault)| fault);
        self.events.clear();
        if fault == Some(Fault::Unplugged) {
            return Err(());
        }
        let response = match protocol {
            transport::Protocol::Ctap2 => self.answer(request),
            transport::Protocol::Ctap1 => {
                self.requests.push(request.to_vec());
                self.responses.push(NO_U2F.to_vec());
                NO_U2F.to_vec()
            }
        };
        self.unplugged = fault == Some(Fault::Lost);
        if !self.silent && fault != Some(Fault::Silent) {
            let at_once = |status: u8| NOT_THERE.contains(&status) || self.at_once.contains(&Status(status));
            let touch = self.touched_first || !matches!(&response[..], [status] if at_once(*status));
            let alive = [KeepAlive::Processing, KeepAlive::Processing, KeepAlive::UpNeeded, KeepAlive::UpNeeded];
            self.events.extend(alive.into_iter().take(if touch { 4 } else { 2 }).map(Event::KeepAlive));
            self.events.push_back(Event::Response(response));
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, ()> {
        assert!(wait <= Duration::from_millis(100));
        if self.unplugged {
            return Err(());
        }
        self.now.set(self.now.get() + 10);
        Ok(match self.events.pop_front() {
            Some(Event::KeepAlive(status)) => Received::KeepAlive(status),
            Some(Event::Response(response)) => {
                let Some(place) = buffer.get_mut(..response.len()) else {
                    return Ok(Received::TooLong(response.len()));
                };
                place.copy_from_slice(&response);
                Received::Response(response.len())
            }
            None => {
                self.now.set(self.now.get() + wait.as_millis() as u64);
                Received::Nothing
            }
        })
    }

    fn cancel(&mut self) -> Result<(), ()> {
        self.cancels += 1;
        if !self.too_late && !self.silent && self.fault.is_none_or(|(_, fault)| fault != Fault::Silent) {
            self.events = [Event::Response(vec![Status::KEEPALIVE_CANCEL.0])].into();
        }
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), ()> {
        self.reconnects += 1;
        if self.power_cycles {
            self.strikes = 0;
        }
        Ok(())
    }
}
