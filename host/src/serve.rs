//! `keyfob serve`: a virtual key that other programs open.

use keyfob_soft_authenticator::devices::hub::{Hub, HubEvent};

use crate::{key::KeyArguments, notes::Notes, say, signals};

mod doors;

use doors::{DoorArguments, plain};

/// What the virtual key is, and where.
#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(flatten)]
    doors: DoorArguments,
    #[command(flatten)]
    key: KeyArguments,
}

/// Serves until it is stopped.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let notes = Notes::new();
    arguments.key.with_key(&notes, |key| {
        let broken = |error| format!("the key cannot be served: {}", plain(&error));
        let mut hub = Hub::new(key).map_err(broken)?;
        let opened = arguments.doors.open(&mut hub)?;
        signals::obey(hub.handle()).map_err(broken)?;
        say(format_args!("Serving a virtual security key on {}. Stop with Ctrl-C.", opened.places.join(" and ")));
        opened.hints.into_iter().for_each(|hint| say(format_args!("{hint}")));
        let watch = |event| {
            if let Some(line) = line(event) {
                notes.say(line);
            }
        };
        hub.run(watch).map_err(broken)
    })
}

/// What the user is told of an event.
fn line(event: HubEvent) -> Option<String> {
    Some(match event {
        HubEvent::PluggedIn => "The key is plugged in.".into(),
        HubEvent::Unplugged => "The key is unplugged.".into(),
        HubEvent::Opened(peer) => format!("{peer} opened the key."),
        HubEvent::Closed(peer) => format!("{peer} closed the key."),
        HubEvent::Full(peer) => format!("{peer} was refused: too many clients have the key open."),
        HubEvent::Stuck(peer) => format!("{peer} does not read, so it is closed."),
        HubEvent::Stranger(peer) => {
            format!("The connection of {peer} was closed: it did not begin with CTAPHID_INIT on the broadcast channel.")
        }
        _ => return None,
    })
}
