//! `keyfob serve`: a virtual key that other programs open.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use keyfob_soft_authenticator::devices::hub::Hub;
use serde_json::json;

use crate::{
    control::ControlArguments,
    key::KeyArguments,
    notes::{Notes, Stream},
    signals,
};

mod apdus;
mod capture;
pub mod doors;
mod events;
mod messages;

use doors::{DoorArguments, plain};
use events::{Events, Trace};

/// What the virtual key is, and where. A key that a test controls is one that clients of a workstation get on with.
#[derive(clap::Args, Clone)]
#[command(mut_arg("profile", |profile| profile.default_value_if("control", ArgPredicate::IsPresent, "workstation")))]
pub struct Arguments {
    #[command(flatten)]
    doors: DoorArguments,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    told: ToldArguments,
    #[command(flatten)]
    control: ControlArguments,
}

/// What is told of the key's events.
#[derive(clap::Args, Clone)]
pub struct ToldArguments {
    /// One JSON object per line instead of text. Its `event` names the event.
    #[arg(long)]
    json: bool,
    /// Show each message with its members; or write each report to a file that Wireshark reads.
    #[arg(long, value_name = "FILE.pcapng", num_args = 0..=1, require_equals = true)]
    trace: Option<Option<PathBuf>>,
}

impl ToldArguments {
    /// What tells of the key's events.
    pub fn notes(&self, stream: Stream) -> Notes {
        Notes::new(self.json, stream)
    }

    /// Whether anything but lines of text was asked for.
    pub const fn is_asked_for(&self) -> bool {
        self.json || self.trace.is_some()
    }

    /// Checks the switches, before anything is made.
    ///
    /// # Errors
    /// Why they do not go together, in a line.
    pub fn check(&self) -> Result<(), String> {
        if self.json && self.trace == Some(None) {
            return Err("--trace is text, which does not go together with --json: give it a file".into());
        }
        Ok(())
    }

    /// What tells of a hub's events. It empties the file of the last trace, so it comes after everything else that can
    /// fail at the start.
    ///
    /// # Errors
    /// Why the trace cannot be written, in a line.
    pub fn events(&self, notes: &Notes) -> Result<Events, String> {
        Ok(Events::new(notes.clone(), Trace::new(self.trace.as_ref())?))
    }
}

/// Serves until it is stopped.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    arguments.told.check()?;
    let notes = arguments.told.notes(Stream::Output);
    let served = arguments.key.with_key(&notes, arguments.doors.has_reader(), &arguments.control, |key| {
        let broken = |error| format!("the key cannot be served: {}", plain(&error));
        let mut hub = Hub::new(key).map_err(broken)?;
        let opened = arguments.doors.open(&mut hub)?;
        let control = arguments.control.serve(hub.handle(), notes.audience())?;
        signals::obey(hub.handle()).map_err(broken)?;
        let mut events = arguments.told.events(&notes)?;
        let place = control.as_ref().map(|control| &control.place);
        let members = json!({ "doors": opened.places, "hints": opened.hints, "control": place });
        notes.must_tell("serving", members, || {
            let serving =
                format!("Serving a virtual security key on {}. Stop with Ctrl-C.", opened.places.join(" and "));
            let controlled = place.map(|place| format!("It is controlled on {place}."));
            [serving].into_iter().chain(controlled).chain(opened.hints.iter().cloned()).collect::<Vec<_>>().join("\n")
        })?;
        hub.run(|event| events.tell(&event)).map_err(broken)
    });
    notes.finish();
    served
}
