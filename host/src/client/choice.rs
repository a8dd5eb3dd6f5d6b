//! Which key is meant: the one that is named or there, and of several the one that is touched.
//!
//! ```text
//! named or plugged in ──▶ can it be meant? ──▶ one is left: it is taken
//!                                              several: all blink ──▶ one is touched; the others are cancelled
//!                                                  ▲
//!                          a key is plugged in ────┘
//! ```

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use keyfob::{Address, Key, keys, now, open};
use keyfob_core::{
    Status,
    cbor::List,
    client::{
        self, Cause, Ceremony, GetAssertion, GetOptions, Requirement, UserInteraction,
        manage::{GetInfo, Selection},
    },
    crypto::RustCrypto,
    ctap2::{CredentialDescriptor, get_info::Response},
    transport::hid::MAX_MESSAGE,
};

use super::{
    errand::{KeyArguments, plugged_in, rng},
    failure::{Failure, Kind},
    terminal::Interrupt,
};

/// How often to look for keys that were plugged in meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// Which keys can be meant at all.
#[derive(Clone)]
pub enum Meant {
    Any,
    /// Those that say so in their answer to getInfo.
    Able(fn(&Response<'_>) -> bool),
    /// Those that hold one of these credentials of a site. A key does not tell of some without its user: where none tells,
    /// any can be meant.
    Holding(String, Vec<Vec<u8>>),
}

/// A key that is open.
struct Candidate {
    name: String,
    address: Address,
    key: Key,
}

/// The user before a key is chosen.
struct Waiting {
    interrupt: Interrupt,
    is_over: Arc<AtomicBool>,
}

impl UserInteraction for Waiting {
    fn cancelled(&mut self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.interrupt.has_come()
    }
}

impl Meant {
    /// Whether this key can be meant; `None` if it does not say.
    fn includes(&self, key: &mut Key, waiting: &mut Waiting) -> Result<Option<bool>, Failure> {
        let mut buffer = vec![0; MAX_MESSAGE];
        match self {
            Self::Any => Ok(Some(true)),
            Self::Able(is_able) => {
                let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, rng()?);
                Ok(Some(is_able(&client::run(ceremony, key, waiting, now)?)))
            }
            Self::Holding(rp_id, ids) => {
                let allowed: Vec<CredentialDescriptor<'_>> =
                    ids.iter().map(|id| CredentialDescriptor::new(id)).collect();
                let options = GetOptions {
                    allow_list: List::Slice(&allowed),
                    user_presence: false,
                    user_verification: Requirement::Discouraged,
                    ..GetOptions::new(rp_id, &[0; 32])
                };
                let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng()?);
                match client::run(ceremony, key, waiting, now) {
                    Ok(_) => Ok(Some(true)),
                    Err(error) => match error.cause {
                        Cause::Status(Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL) => Ok(Some(false)),
                        Cause::Transport | Cause::Cancelled => Err(error.into()),
                        _ => Ok(None),
                    },
                }
            }
        }
    }
}

/// The key that is meant, and whether the user has touched it.
///
/// # Errors
/// There is none, or it cannot be opened; none of several can be meant, or none is touched.
pub fn choose(arguments: &KeyArguments, meant: &Meant, interrupt: &Interrupt) -> Result<(Address, Key, bool), Failure> {
    let mut found = candidates(arguments)?;
    match found.len() {
        0 => Err(Failure::new(
            Kind::NoKey,
            "no security key is plugged in: plug one in, or name a virtual one with --key",
        )),
        1 => {
            let (_, address) = found.remove(0);
            let key = open(&address)?;
            Ok((address, key, false))
        }
        _ => {
            let mut asking = Asking { arguments, meant, interrupt, is_over: Arc::default(), known: BTreeMap::new() };
            let mut able = asking.examine(found)?;
            // Where one could not be asked, it may be the one that is meant.
            if able.len() == 1 && asking.known.values().flatten().all(|failure| *failure == unfit()) {
                let Candidate { name, address, key } = able.remove(0);
                eprintln!("Of several security keys, {} is meant.", named(&address, &name));
                return Ok((address, key, false));
            }
            eprintln!("There are several security keys. Touch the one that is meant:");
            asking.touched(able).map(|(address, key)| (address, key, true))
        }
    }
}

/// The keys that are named, or else those that are plugged in, with their names.
fn candidates(arguments: &KeyArguments) -> Result<Vec<(String, Address)>, Failure> {
    if arguments.key.is_empty() {
        return Ok(plugged_in()?.into_iter().map(|key| (key.name, key.address)).collect());
    }
    Ok(arguments.key.iter().map(|address| (String::new(), address.clone())).collect())
}

fn named(address: &Address, name: &str) -> String {
    if name.is_empty() { address.to_string() } else { format!("{address} {}", super::output::plain(name)) }
}

/// What became of a key that was asked.
type Answer = (Address, Result<Key, Failure>);

/// Several keys that blink.
struct Asking<'a> {
    arguments: &'a KeyArguments,
    meant: &'a Meant,
    interrupt: &'a Interrupt,
    is_over: Arc<AtomicBool>,
    /// What is known of each address: a key that blinks, or why it does not.
    known: BTreeMap<String, Option<Failure>>,
}

impl Asking<'_> {
    fn waiting(&self) -> Waiting {
        Waiting { interrupt: self.interrupt.clone(), is_over: self.is_over.clone() }
    }

    /// Opens keys, and keeps those that can be meant.
    ///
    /// # Errors
    /// There is none.
    fn examine(&mut self, found: Vec<(String, Address)>) -> Result<Vec<Candidate>, Failure> {
        let examined: Vec<_> = thread::scope(|scope| {
            let examine = |(name, address): (String, Address)| {
                let (meant, mut waiting) = (self.meant, self.waiting());
                let task = {
                    let address = address.clone();
                    scope.spawn(move || -> Result<(Key, Option<bool>), Failure> {
                        let mut key = open(&address)?;
                        let is_meant = meant.includes(&mut key, &mut waiting)?;
                        Ok((key, is_meant))
                    })
                };
                (name, address, task)
            };
            let tasks: Vec<_> = found.into_iter().map(examine).collect();
            tasks.into_iter().map(|(name, address, task)| (name, address, task.join())).collect()
        });
        let (mut able, mut unable, mut last) = (Vec::new(), Vec::new(), None);
        for (name, address, result) in examined {
            match result.unwrap_or_else(|_| Err(Failure::new(Kind::Other, "the key could not be asked"))) {
                Ok((key, Some(false))) => unable.push(Candidate { name, address, key }),
                Ok((key, _)) => able.push(Candidate { name, address, key }),
                Err(failure) => {
                    eprintln!("  {}: left out, {}", named(&address, &name), failure.message);
                    self.known.insert(address.to_string(), Some(failure.copy()));
                    last = Some(failure);
                }
            }
        }
        if self.interrupt.has_come() {
            return Err(Failure::interrupted());
        }
        if able.is_empty() && matches!(self.meant, Meant::Holding(..)) {
            able.append(&mut unable);
        }
        for Candidate { address, .. } in &unable {
            self.known.insert(address.to_string(), Some(unfit()));
        }
        if !able.is_empty() {
            return Ok(able);
        }
        Err(if unable.is_empty() { last.unwrap_or_else(unfit) } else { unfit() })
    }

    /// All keys blink; the one that is touched is taken, and the others stop.
    fn touched(&mut self, able: Vec<Candidate>) -> Result<(Address, Key), Failure> {
        let (sender, answers) = mpsc::channel();
        let (mut blinking, mut winner, mut last) = (0_usize, None, None);
        for candidate in able {
            self.ask(candidate, &sender)?;
            blinking += 1;
        }
        // Until every key has stopped blinking.
        while blinking > 0 {
            match answers.recv_timeout(LOOK) {
                Ok((address, Ok(key))) => {
                    blinking -= 1;
                    self.is_over.store(true, Ordering::Relaxed);
                    winner.get_or_insert((address, key));
                }
                Ok((address, Err(failure))) => {
                    blinking -= 1;
                    if failure.kind == Kind::ConnectionLost && winner.is_none() {
                        eprintln!("  {address}: gone");
                    }
                    self.known.insert(address.to_string(), Some(failure.copy()));
                    last = Some(failure);
                }
                Err(RecvTimeoutError::Timeout) if winner.is_none() && !self.interrupt.has_come() => {
                    for candidate in self.newcomers() {
                        self.ask(candidate, &sender)?;
                        blinking += 1;
                    }
                }
                Err(_) => {}
            }
        }
        if self.interrupt.has_come() {
            return Err(Failure::interrupted());
        }
        winner.ok_or_else(|| last.unwrap_or_else(unfit))
    }

    /// Lets a key blink until it is touched, or another one was.
    fn ask(&mut self, Candidate { name, address, mut key }: Candidate, sender: &Sender<Answer>) -> Result<(), Failure> {
        eprintln!("  {}", named(&address, &name));
        self.known.insert(address.to_string(), None);
        let mut waiting = self.waiting();
        let (sender, rng) = (sender.clone(), rng()?);
        // The answers are read until every key has sent one.
        thread::spawn(move || {
            let mut buffer = vec![0; MAX_MESSAGE];
            let ceremony = Ceremony::new(Selection::new(), &mut buffer, RustCrypto, rng);
            let touched = client::run(ceremony, &mut key, &mut waiting, now).map_err(Failure::from);
            drop(sender.send((address, touched.map(|()| key))));
        });
        Ok(())
    }

    /// The keys that were plugged in meanwhile, and can be meant.
    fn newcomers(&mut self) -> Vec<Candidate> {
        let found = if self.arguments.key.is_empty() {
            let found = keys().unwrap_or_default();
            // A number is given to another key when the one before is gone.
            self.known.retain(|known, failure| {
                failure.is_none() || found.iter().any(|key| key.address.to_string() == *known)
            });
            found.into_iter().map(|key| (key.name, key.address)).collect()
        } else {
            candidates(self.arguments).unwrap_or_default()
        };
        let mut new = Vec::new();
        for (name, address) in found {
            let comes = match self.known.get(&address.to_string()) {
                None => true,
                Some(None) => false,
                // It was not there, or is there no more.
                Some(Some(failure)) => matches!(failure.kind, Kind::NoKey | Kind::ConnectionLost),
            };
            if !comes {
                continue;
            }
            // One that is not ready yet is tried again.
            let Ok(mut key) = open(&address) else { continue };
            let mut waiting = self.waiting();
            match self.meant.includes(&mut key, &mut waiting) {
                Ok(Some(false)) => drop(self.known.insert(address.to_string(), Some(unfit()))),
                Ok(_) => new.push(Candidate { name, address, key }),
                Err(_) => {}
            }
        }
        new
    }
}

/// That none of several keys can be meant.
fn unfit() -> Failure {
    Failure::new(
        Kind::Unsupported,
        "none of the security keys can do this: `keyfob info --key ADDRESS` shows what one can",
    )
}
