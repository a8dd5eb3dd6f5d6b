//! Where a hub's key is: plugged in, or a card in the field of a reader.

use std::{io, mem, net::SocketAddr};

use keyfob_core::ctap1::StatusWord;
use mio::Token;

use super::{Hub, HubEvent, Peer, event::Observer, vpcd::Vpcd};
use crate::engine::ConfigError;

/// The reader in whose field the key is.
#[derive(Clone, Copy)]
pub struct Field {
    token: Token,
    peer: Peer,
}

impl Hub<'_, '_> {
    /// Puts the key as a contactless card into the virtual reader of vpcd that listens on this address, the port of
    /// which is [`vpcd::PORT`](crate::devices::vpcd::PORT) unless its configuration says otherwise. The reader is looked
    /// for until it is there, and again whenever it is gone.
    ///
    /// The reader's power is the field: to switch it on is the tap, as
    /// [`NfcAuthenticator`](crate::nfc::NfcAuthenticator) has it. The key is in one place at a time: while a client has
    /// it open through another door, there is no card in the reader.
    ///
    /// # Errors
    /// The operating system refuses to poll.
    pub fn insert_into_vpcd(&mut self, address: SocketAddr) -> io::Result<()> {
        self.add_link(Box::new(Vpcd::new(address)), false).map(|_| ())
    }

    /// Does what the handle or a test has said: unplugs the key, plugs it in, or both.
    pub(super) fn obey(&mut self, replugs: bool, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        let replugs = self.key.takes_plug_in() || replugs;
        let (was_out, is_out) = (self.is_out, self.key.is_out());
        if !replugs && was_out == is_out {
            return Ok(());
        }
        self.is_out = is_out;
        self.unplug(watch)?;
        if was_out && !is_out {
            self.tell_readers(false);
        }
        if self.stays_plugged_in && !is_out { self.plug_in(watch) } else { Ok(()) }
    }

    pub(super) fn plug_in(&mut self, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        if let Err(error) = self.key.power_cycle() {
            // The store of a key that a test controls was told to fail.
            return if self.key.stays_out() { Ok(()) } else { Err(does_not_power_up(error)) };
        }
        self.observer = Observer::default();
        self.is_plugged_in = true;
        watch(HubEvent::PluggedIn);
        Ok(())
    }

    /// Unplugs the key, with which every client that has it open is closed, or takes it out of its reader.
    pub(super) fn unplug(&mut self, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        self.leave_field(None, watch)?;
        if !self.openers.is_empty() {
            self.tell_readers(false);
        }
        let is_out = self.is_out;
        self.seats.retain_mut(|seat| seat.link.unplug(is_out));
        if is_out {
            self.tell_readers(true);
        }
        for (_, peer) in self.openers.drain(..) {
            watch(HubEvent::Closed(peer));
        }
        if mem::take(&mut self.is_plugged_in) {
            watch(HubEvent::Unplugged);
        }
        Ok(())
    }

    /// The reader on this seat has switched its field on.
    pub(super) fn enter_field(&mut self, token: Token, peer: Peer, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        if !self.openers.is_empty() || self.is_out {
            return Ok(()); // the card is being taken out
        }
        if let Some(Field { peer, .. }) = self.field.replace(Field { token, peer }) {
            watch(HubEvent::OutOfField(peer));
        }
        self.key.enter_field().map_err(does_not_power_up)?;
        self.observer = Observer::default();
        watch(HubEvent::InField(peer));
        Ok(())
    }

    /// The field of the reader on this seat, or of any reader, is off.
    pub(super) fn leave_field(&mut self, token: Option<Token>, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        let leaves = self.field.take_if(|field| token.is_none_or(|token| field.token == token));
        if let Some(Field { peer, .. }) = leaves {
            self.key.power_cycle().map_err(does_not_power_up)?;
            self.observer = Observer::default();
            watch(HubEvent::OutOfField(peer));
        }
        Ok(())
    }

    /// Passes a command APDU to the key.
    pub(super) fn command(
        &mut self,
        index: usize,
        token: Token,
        peer: Peer,
        command: &[u8],
        watch: &mut dyn FnMut(HubEvent),
    ) {
        if self.field.is_none_or(|field| field.token != token) {
            // Without power. No reader does that, but it must not wait for ever.
            if let Some(seat) = self.seats.get_mut(index) {
                seat.link.respond(&StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes());
            }
            return;
        }
        watch(HubEvent::ApduToKey(peer, command.into()));
        if let Some(event) = self.observer.command(peer, command) {
            watch(event);
        }
        self.key.receive_apdu(command);
        self.respond(watch);
    }

    /// Sends the key's response. Returns whether there was one.
    pub(super) fn respond(&mut self, watch: &mut dyn FnMut(HubEvent)) -> bool {
        let Some(Field { token, .. }) = self.field else { return false };
        let Some(response) = self.key.transmit_apdu() else { return false };
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.token == token) {
            seat.link.respond(&response);
        }
        let event = self.observer.response(&response);
        watch(HubEvent::ApduFromKey(response.into()));
        if let Some(event) = event {
            watch(event);
        }
        true
    }

    /// Tells the readers whether a client uses the key through another door.
    pub(super) fn tell_readers(&mut self, is_elsewhere: bool) {
        self.seats.iter_mut().for_each(|seat| seat.link.used_elsewhere(is_elsewhere));
    }
}

/// The error with which a hub ends.
fn does_not_power_up(error: ConfigError) -> io::Error {
    io::Error::other(format!("the key does not power up: {error}"))
}
