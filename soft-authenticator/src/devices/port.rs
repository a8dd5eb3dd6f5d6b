//! Where a virtual key is: in a USB port or in the field of a reader. It has one engine, which moves.

use keyfob_core::{Instant, cbor::Text, ctap2::bio_enrollment::SampleStatus, transport::hid};

use super::VirtualPlatform;
use crate::{
    engine::{ConfigError, Engine, TemplateId, Wait},
    hid::HidAuthenticator,
    nfc::{NfcAuthenticator, NfcConfig},
};

/// An authenticator behind one of the two transports of a virtual key.
pub enum Port<'b> {
    Usb(HidAuthenticator<'b, VirtualPlatform>),
    /// The framing of USB rests, so that the next channels are not the last ones again.
    Field(NfcAuthenticator<'b, VirtualPlatform>, hid::Device),
}

impl<'b> Port<'b> {
    /// A key that is plugged in.
    pub fn new(mut engine: Engine<'b, VirtualPlatform>, config: hid::DeviceConfig) -> Self {
        engine.set_transport(const { Text::new("usb") });
        Self::Usb(HidAuthenticator::new(engine, config))
    }

    /// Unplugs the key, or takes it from the field, and plugs it in.
    pub fn plugged_in(self, now: Instant) -> (Self, Result<(), ConfigError>) {
        let mut hid = match self {
            Self::Usb(hid) => hid,
            Self::Field(nfc, device) => {
                let mut engine = nfc.into_engine();
                engine.set_transport(const { Text::new("usb") });
                HidAuthenticator::over(device, engine)
            }
        };
        let powered = hid.power_cycle(now);
        (Self::Usb(hid), powered)
    }

    /// Unplugs the key, or takes it from the field, and places it in a field.
    pub fn in_field(self, config: NfcConfig, now: Instant) -> (Self, Result<(), ConfigError>) {
        let (mut nfc, device) = match self {
            Self::Usb(hid) => {
                let (device, engine) = hid.into_parts();
                (NfcAuthenticator::new(engine, config, now), device)
            }
            Self::Field(nfc, device) => (nfc, device),
        };
        let powered = nfc.power_cycle(now);
        (Self::Field(nfc, device), powered)
    }

    pub const fn waits_for(&self) -> Option<Wait> {
        match self {
            Self::Usb(hid) => hid.waits_for(),
            Self::Field(nfc, _) => nfc.waits_for(),
        }
    }

    /// Whether a command or a U2F client waits for a touch.
    pub fn awaits_touch(&self, now: Instant) -> bool {
        let awaits_for_u2f = match self {
            Self::Usb(hid) => hid.u2f_awaits_touch(now),
            Self::Field(nfc, _) => nfc.u2f_awaits_touch(now),
        };
        awaits_for_u2f || matches!(self.waits_for(), Some(Wait::Touch | Wait::LongTouch))
    }

    pub fn engine(&mut self) -> &mut Engine<'b, VirtualPlatform> {
        match self {
            Self::Usb(hid) => hid.engine(),
            Self::Field(nfc, _) => nfc.engine(),
        }
    }

    /// The template that is being enrolled.
    pub fn enrolls(&mut self) -> Option<TemplateId> {
        self.engine().enrolls()
    }

    pub fn touch(&mut self, now: Instant, consent: bool) {
        match self {
            Self::Usb(hid) => hid.touch(now, consent),
            Self::Field(nfc, _) => nfc.touch(now, consent),
        }
    }

    pub fn verify(&mut self, now: Instant, matched: bool) {
        match self {
            Self::Usb(hid) => hid.verify(now, matched),
            Self::Field(nfc, _) => nfc.verify(now, matched),
        }
    }

    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        match self {
            Self::Usb(hid) => hid.sample(now, status, remaining),
            Self::Field(nfc, _) => nfc.sample(now, status, remaining),
        }
    }

    pub fn tick(&mut self, now: Instant) {
        match self {
            Self::Usb(hid) => hid.tick(now),
            Self::Field(nfc, _) => nfc.tick(now),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Usb(hid) => hid.deadline(),
            Self::Field(nfc, _) => nfc.deadline(),
        }
    }
}
