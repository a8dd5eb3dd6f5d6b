//! The user of a key: touches, PINs, and consent.

use keyfob_core::{
    Status,
    client::{AssertionSelection, PinEntry, Prompt, Reason, UserInteraction},
};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{
    failure::{Failure, Kind},
    output::plain,
    pin_input::PinInput,
    terminal::{self, Interrupt},
};

/// From how many attempts on they are shown before the first wrong one.
const FEW: u8 = 3;

/// Who is asked for a PIN, and told to touch the key.
pub struct User {
    pub interrupt: Interrupt,
    /// Where the PINs come from, one a line; `None` asks on the terminal.
    input: Option<PinInput>,
    /// The PIN that was read from there: another operation of the errand may need it again.
    passed: Option<Zeroizing<String>>,
    /// What went wrong at a question, which the ceremony does not know.
    problem: Option<Failure>,
    /// The last PIN was wrong, and so much is known of the attempts that are left.
    wrong: Option<String>,
}

impl User {
    /// A user at the terminal, or one whose PINs come from this file descriptor.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn new(interrupt: Interrupt, pin_fd: Option<u32>) -> Result<Self, Failure> {
        let input = pin_fd.map(PinInput::new).transpose()?;
        Ok(Self { interrupt, input, passed: None, problem: None, wrong: None })
    }

    /// Adds to a failure what only the user's side knows.
    pub fn explain(&mut self, failure: Failure) -> Failure {
        if self.interrupt.has_come() {
            return Failure::interrupted();
        }
        if failure.kind != Kind::NotVerified {
            return failure;
        }
        let status = failure.status.or(Some(Status::PIN_INVALID));
        let wrong = self.wrong.take().map(|wrong| Failure { status, ..Failure::new(Kind::NotVerified, wrong) });
        self.problem.take().or(wrong).unwrap_or(failure)
    }

    /// The next line from the file descriptor, or from the terminal without echo.
    fn pin(&mut self, question: &str) -> Option<Zeroizing<String>> {
        if let Some(input) = &mut self.input {
            return input.next(&self.interrupt).map_err(|failure| self.problem = Some(failure)).ok().flatten();
        }
        let pin = terminal::ask(question, false, &self.interrupt);
        if pin.is_none() && !self.interrupt.has_come() {
            let message = "a PIN is needed, and none was given: type it on a terminal, or pass it with --pin-fd";
            self.problem = Some(Failure::new(Kind::NotVerified, message));
        }
        pin
    }

    /// Enters a PIN, and keeps one that was passed.
    fn take(&mut self, pin: Option<Zeroizing<String>>, entry: &mut PinEntry) -> bool {
        let Some(pin) = pin else { return false };
        enter(&pin, entry);
        self.passed = Some(pin).filter(|_| self.input.is_some());
        true
    }

    /// Whether the user agrees to what cannot be undone.
    ///
    /// # Errors
    /// The user does not, or cannot be asked.
    pub fn agrees(&mut self, loss: &str) -> Result<(), Failure> {
        let question = format!("{loss} This cannot be undone. Type yes to go on: ");
        match terminal::ask(&question, true, &self.interrupt) {
            Some(answer) if answer.trim() == "yes" => Ok(()),
            Some(_) => Err(Failure::new(Kind::NotAgreed, "nothing was changed")),
            None if self.interrupt.has_come() => {
                Err(Failure::new(Kind::Interrupted, "interrupted: nothing was changed"))
            }
            None => Err(Failure::new(
                Kind::NotAgreed,
                format_args!("{loss} Nothing was changed: there is no terminal to ask on. --yes agrees beforehand"),
            )),
        }
    }
}

/// "3 attempts are left".
fn left(retries: u8) -> String {
    match retries {
        1 => "1 attempt is left before the PIN is blocked".into(),
        _ => format!("{retries} attempts are left"),
    }
}

/// Enters a PIN in its one form, however the keyboard spells it (CTAP 2.3 §6.5.1).
fn enter(pin: &str, entry: &mut PinEntry) {
    entry.set(&Zeroizing::new(pin.nfc().collect::<String>()));
}

impl UserInteraction for User {
    fn prompt_up(&mut self) {
        eprintln!("Touch your security key.");
    }

    fn request_pin(&mut self, prompt: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        self.wrong = (prompt.reason == Reason::Wrong).then(|| match prompt.retries {
            Some(retries) => format!("the PIN is wrong: {}", left(retries)),
            None => "the PIN is wrong".into(),
        });
        let problem = match (prompt.reason, prompt.retries) {
            (Reason::Wrong, Some(retries)) => format!("The PIN is wrong: {}.", left(retries)),
            (Reason::Wrong, None) => "The PIN is wrong.".into(),
            (Reason::TooShort | Reason::TooLong, _) => "No PIN of this key has this length.".into(),
            (Reason::UvFailed, _) => "The finger was not recognised: use the PIN.".into(),
            (_, Some(retries)) if retries <= FEW => format!("Careful: {}.", left(retries)),
            _ => String::new(),
        };
        // The PIN that was passed is the only one there is.
        if self.input.is_some() && !matches!(prompt.reason, Reason::First | Reason::UvFailed | Reason::TokenRefused) {
            if prompt.reason != Reason::Wrong {
                self.problem = Some(Failure::new(
                    Kind::NotVerified,
                    format_args!(
                        "no PIN of this key has this length: it has at least {} characters, and at most 63 bytes",
                        prompt.min_pin_length
                    ),
                ));
            }
            return false;
        }
        if !problem.is_empty() {
            eprintln!("{problem}");
        }
        let question = match prompt.rp_id {
            Some(rp_id) => format!("PIN of your security key, for {rp_id}: "),
            None => "PIN of your security key: ".into(),
        };
        let pin = if let Some(passed) = self.passed.take() { Some(passed) } else { self.pin(&question) };
        self.take(pin, entry)
    }

    fn request_new_pin(&mut self, prompt: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        if self.input.is_some() && prompt.reason != Reason::First {
            let message = format!(
                "the key does not take this PIN: it has at least {} characters, and at most 63 bytes",
                prompt.min_pin_length
            );
            self.problem = Some(Failure::new(Kind::NotVerified, message));
            return false;
        }
        match prompt.reason {
            Reason::TooShort => eprintln!("A PIN of this key has at least {} characters.", prompt.min_pin_length),
            Reason::TooLong => eprintln!("The PIN is too long: it has at most 63 bytes."),
            Reason::Policy => eprintln!("The key's rules do not allow this PIN: take a longer one, without a pattern."),
            _ => {}
        }
        loop {
            let question = format!("New PIN ({} characters or more): ", prompt.min_pin_length);
            let Some(pin) = self.pin(&question) else { return false };
            if self.input.is_none() && !pin.is_empty() {
                let Some(again) = self.pin("The new PIN again: ") else { return false };
                if *again != *pin {
                    eprintln!("The two are not the same.");
                    continue;
                }
            }
            return self.take(Some(pin), entry);
        }
    }

    /// A PIN that was passed is meant to be used.
    fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        let is_asked = self.input.is_none();
        if is_asked && prompt.reason == Reason::Wrong {
            match prompt.retries {
                Some(1) => eprintln!("The finger was not recognised: 1 attempt is left before the sensor is blocked."),
                Some(retries) => eprintln!("The finger was not recognised: {retries} attempts are left."),
                None => eprintln!("The finger was not recognised."),
            }
        }
        is_asked
    }

    fn cancelled(&mut self) -> bool {
        self.interrupt.has_come()
    }
}

/// Asks with which of several accounts to sign in. Without a terminal it is that of the most recent credential.
pub fn account(accounts: &AssertionSelection<'_, '_>, interrupt: &Interrupt) -> Option<usize> {
    eprintln!("The key has several accounts:");
    for (index, assertion) in accounts.iter().enumerate() {
        let user = assertion.response.user;
        let name =
            user.and_then(|user| user.name.or(user.display_name)).unwrap_or("(no name: the user is not verified)");
        eprintln!("  {}  {}", index + 1, plain(name));
    }
    if !terminal::is_there() {
        return Some(0);
    }
    let answer = terminal::ask("Which one? ", true, interrupt)?;
    answer.trim().parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < accounts.len())
}
