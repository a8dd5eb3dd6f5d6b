//! How the user of a virtual key touches it.

use std::time::Duration;

/// How long to wait before [`Touch::Ask`] is asked again.
pub const TOUCH_POLL: Duration = Duration::from_millis(20);

/// How the user of a virtual key touches it.
#[non_exhaustive]
pub enum Touch {
    /// Touches at once.
    Auto,
    /// Declines at once.
    Deny,
    /// Never touches.
    Never,
    /// Touches when a request has waited this long for its user, by the key's clock. Where a test controls the key, that
    /// is the test's time: to let it pass touches the key.
    After(Duration),
    /// Asks this function again and again while a touch is awaited, until it returns consent (true) or refusal (false).
    /// Its argument is true the first time.
    Ask(Box<dyn FnMut(bool) -> Option<bool> + Send>),
}

impl Touch {
    /// Whether the user consents now, or declines. They know for so long that the key waits for them. A function is told
    /// whether it is asked for the first time.
    pub(crate) fn consents(&mut self, is_first: bool, waited: Duration) -> Option<bool> {
        match self {
            Self::Auto => Some(true),
            Self::Deny => Some(false),
            Self::Never => None,
            Self::After(time) => (waited >= *time).then_some(true),
            Self::Ask(ask) => ask(is_first),
        }
    }

    /// How long from now it is worth asking again. `None`: not before something else happens.
    pub(crate) fn pause(&self, waited: Duration) -> Option<Duration> {
        match self {
            Self::Auto | Self::Deny | Self::Never => None,
            Self::After(time) => Some(time.saturating_sub(waited)),
            Self::Ask(_) => Some(TOUCH_POLL),
        }
    }
}
