//! The test double: what each knob does, as our client and a relying party see it.

mod ceremonies;
mod credentials;
mod doors;
mod faults;
mod lies;
mod page;
mod user;
