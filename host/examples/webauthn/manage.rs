//! What a client does with a security key besides signing in.
//!
//! ```text
//! select    reset    retries    set-pin NEW    change-pin NEW    min-pin-length N    always-uv
//! credentials    rename ID USER NAME    delete ID        ids and user handles in base64url
//! ```

use keyfob_core::{
    Instant,
    client::{
        self, Ceremony, Session,
        manage::{
            Access, ChangePin, ConfigSubcommand, Configure, CredentialsMetadata, DeleteCredential, ListCredentials,
            ListRelyingParties, Reset, Retries, Selection, SetPin, UpdateUser,
        },
    },
    crypto::RustCrypto,
    ctap2::{UserEntity, config::SetMinPinLength},
    transport::Transport,
    webauthn::base64url,
};

use super::{MESSAGES, Source, User, failure};

/// Runs one operation and returns what there is to show.
pub fn run(
    operation: &str,
    words: &[&str],
    transport: &mut impl Transport,
    user: &mut User,
    source: Source,
    now: impl FnMut() -> Instant + Copy,
) -> Result<Vec<u8>, String> {
    let mut memory = vec![0; MESSAGES];
    let buffer = &mut memory[..];
    match (operation, words) {
        ("select", []) => {
            done(client::run(Ceremony::new(Selection::new(), buffer, RustCrypto, source), transport, user, now))
        }
        ("reset", []) => done(client::run(Ceremony::new(Reset, buffer, RustCrypto, source), transport, user, now)),
        ("set-pin", [_]) => done(client::run(Ceremony::new(SetPin, buffer, RustCrypto, source), transport, user, now)),
        ("change-pin", [_]) => {
            done(client::run(Ceremony::new(ChangePin, buffer, RustCrypto, source), transport, user, now))
        }
        ("retries", []) => {
            let left = client::run(Ceremony::new(Retries::of_pin(), buffer, RustCrypto, source), transport, user, now)
                .map_err(failure)?;
            Ok(format!("{left:?}\n").into_bytes())
        }
        ("always-uv", []) => {
            let configure = Ceremony::new(Configure::new(ConfigSubcommand::ToggleAlwaysUv), buffer, RustCrypto, source);
            done(client::run(configure, transport, user, now))
        }
        ("min-pin-length", [length]) => {
            let length = length.parse().map_err(|_| "a length in code points")?;
            let setting = SetMinPinLength { new_min_pin_length: Some(length), ..SetMinPinLength::default() };
            let configure =
                Ceremony::new(Configure::new(ConfigSubcommand::MinPinLength(setting)), buffer, RustCrypto, source);
            done(client::run(configure, transport, user, now))
        }
        ("rename", [id, handle, name]) => {
            let (id, handle) = (decoded(id)?, decoded(handle)?);
            let to = UserEntity { id: &handle, name: Some(name), display_name: None };
            done(client::run(Ceremony::new(UpdateUser::new(&id, to), buffer, RustCrypto, source), transport, user, now))
        }
        ("delete", [id]) => {
            let id = decoded(id)?;
            done(client::run(
                Ceremony::new(DeleteCredential::new(&id), buffer, RustCrypto, source),
                transport,
                user,
                now,
            ))
        }
        ("credentials", []) => {
            let mut session = Session::new();
            let count = Ceremony::new(CredentialsMetadata::new(Access::User), buffer, RustCrypto, source)
                .in_session(&mut session);
            let count = client::run(count, transport, user, now).map_err(failure)?;
            let mut lines = format!("{count:?}\n");
            let mut relying_parties = Vec::new();
            let list = Ceremony::new(ListRelyingParties::new(Access::User), &mut memory, RustCrypto, source)
                .in_session(&mut session);
            client::run_each(list, transport, user, now, |item| {
                relying_parties.push((item.rp.id.to_owned(), *item.rp_id_hash));
            })
            .map_err(failure)?;
            for (rp_id, hash) in &relying_parties {
                let list = Ceremony::new(ListCredentials::new(hash, Access::User), &mut memory, RustCrypto, source);
                client::run_each(list.in_session(&mut session), transport, user, now, |item| {
                    let (id, handle) = (encoded(item.id), encoded(item.user.id));
                    lines += &format!("{rp_id} {id} {handle} {}\n", item.user.name.unwrap_or_default());
                })
                .map_err(failure)?;
            }
            Ok(lines.into_bytes())
        }
        _ => Err(format!("there is no operation {operation} with {} arguments", words.len())),
    }
}

fn done(result: Result<(), client::Error>) -> Result<Vec<u8>, String> {
    result.map(|()| Vec::new()).map_err(failure)
}

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; text.len()];
    let length = base64url::decode(text.chars(), &mut bytes).map_err(|error| format!("{text}: {error:?}"))?;
    bytes.truncate(length);
    Ok(bytes)
}
