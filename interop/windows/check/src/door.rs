//! The library under test: how it is opened, told what to do, and asked what it has seen.

use std::{env, fmt::Write as _};

use keyfob_core::{client::UserInteraction, webauthn::DefaultClientDataCollector};
use keyfob_windows::{Library, WindowsClient};

pub const ORIGIN: &str = "https://example.org";

pub type Client = WindowsClient<'static, DefaultClientDataCollector<'static>, User>;

/// A user who cancels when asked for this time; never if it is 0.
pub struct User {
    pub cancels_at: u32,
    pub asked: u32,
}

impl UserInteraction for User {
    fn cancelled(&mut self) -> bool {
        self.asked += 1;
        self.cancels_at != 0 && self.asked >= self.cancels_at
    }
}

pub struct Door {
    library: String,
    pub api: u32,
}

impl Door {
    pub fn new(library: &str, api: u32) -> Self {
        let door = Self { library: library.to_owned(), api };
        door.order("");
        door
    }

    /// Tells the library what to do from now on.
    pub fn order(&self, orders: &str) {
        let mut all = format!("api={}", self.api);
        let _ = write!(all, " {orders}");
        // SAFETY: no other thread runs now.
        unsafe { env::set_var("KEYFOB_STAND_IN", all) };
    }

    /// A client.
    pub fn client(&self) -> Client {
        let library = match self.library.as_str() {
            "system" => Library::load(),
            // SAFETY: it is the stand-in.
            path => unsafe { Library::open(path.as_ref()) },
        };
        let user = User { cancels_at: 0, asked: 0 };
        WindowsClient::over(library.expect("the library"), DefaultClientDataCollector::new(ORIGIN), user)
    }

    /// What the last ceremony was given.
    pub fn seen(&self) -> String {
        let name = if self.library == "system" { "webauthn.dll" } else { &self.library };
        let mut room = vec![0; 4096];
        // SAFETY: the function of the stand-in has this type, and writes at most the length of `room`.
        let length = unsafe {
            let library = libloading::Library::new(name).expect("the library");
            let seen = library.get::<unsafe extern "system" fn(*mut u8, usize) -> usize>("StandInSeen");
            seen.expect("StandInSeen")(room.as_mut_ptr(), room.len())
        };
        room.truncate(length);
        String::from_utf8(room).expect("text")
    }

    /// That the last ceremony was given these words.
    pub fn saw(&self, words: &[&str]) -> Result<(), String> {
        let seen = self.seen();
        match words.iter().find(|word| !format!(" {seen} ").contains(&format!(" {word} "))) {
            None => Ok(()),
            Some(word) => Err(format!("not {word:?} in: {seen}")),
        }
    }

    /// That all results were freed.
    pub fn nothing_is_left(&self) -> Result<(), String> {
        self.saw(&["live=0"])
    }
}
