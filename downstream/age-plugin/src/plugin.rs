//! age's questions and their answers.

use std::{
    collections::{HashMap, HashSet},
    io,
    marker::PhantomData,
};

use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret,
};
use age_plugin::{
    Callbacks, PluginHandler,
    identity::{self, IdentityPluginV1},
    recipient::{self, RecipientPluginV1},
};
use zeroize::Zeroizing;

use crate::{
    NAME,
    credential::{Credential, unwrap},
    key::{self, Person},
};

/// Both state machines.
pub struct Handler;

impl PluginHandler for Handler {
    type RecipientV1 = Credentials;
    type IdentityV1 = Credentials;

    fn recipient_v1(self) -> io::Result<Credentials> {
        Ok(Credentials::default())
    }

    fn identity_v1(self) -> io::Result<Credentials> {
        Ok(Credentials::default())
    }
}

/// The recipients and identities that age has named.
#[derive(Default)]
pub struct Credentials(Vec<Credential>);

impl Credentials {
    fn add(&mut self, plugin: &str, bytes: &[u8]) -> Result<(), String> {
        let credential = Some(bytes).filter(|_| plugin == NAME).and_then(Credential::from_bytes);
        self.0.push(credential.ok_or("it was not made by this age-plugin-keyfob")?);
        Ok(())
    }
}

/// The person in front of age.
struct ThroughAge<C, E>(C, PhantomData<E>);

impl<C: Callbacks<E>, E> Person for ThroughAge<C, E> {
    fn tell(&mut self, message: &str) {
        // What age does not show, it does not show.
        let _ = self.0.message(message);
    }

    fn secret(&mut self, question: &str) -> Option<Zeroizing<String>> {
        let answer = self.0.request_secret(question).ok()?.ok()?;
        Some(Zeroizing::new(answer.expose_secret().to_owned()))
    }
}

impl RecipientPluginV1 for Credentials {
    fn add_recipient(&mut self, index: usize, plugin: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.add(plugin, bytes).map_err(|message| recipient::Error::Recipient { index, message })
    }

    fn add_identity(&mut self, index: usize, plugin: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.add(plugin, bytes).map_err(|message| recipient::Error::Identity { index, message })
    }

    fn labels(&mut self) -> HashSet<String> {
        HashSet::new()
    }

    fn wrap_file_keys(
        &mut self,
        file_keys: Vec<FileKey>,
        callbacks: impl Callbacks<recipient::Error>,
    ) -> io::Result<Result<Vec<Vec<Stanza>>, Vec<recipient::Error>>> {
        let mut person = ThroughAge(callbacks, PhantomData);
        let mut wrap = |file_key: &FileKey, credential: &Credential| {
            let salt = key::random()?;
            let secret = key::secret(credential, &salt, &mut person)?;
            Ok(credential.wrap(file_key, &salt, &secret))
        };
        let wrapped: Result<_, String> = file_keys
            .iter()
            .map(|file_key| self.0.iter().map(|credential| wrap(file_key, credential)).collect())
            .collect();
        Ok(wrapped.map_err(|message| vec![recipient::Error::Internal { message }]))
    }
}

impl IdentityPluginV1 for Credentials {
    fn add_identity(&mut self, index: usize, plugin: &str, bytes: &[u8]) -> Result<(), identity::Error> {
        self.add(plugin, bytes).map_err(|message| identity::Error::Identity { index, message })
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        callbacks: impl Callbacks<identity::Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<identity::Error>>>> {
        let mut person = ThroughAge(callbacks, PhantomData);
        let opened = files
            .iter()
            .enumerate()
            .filter_map(|(index, stanzas)| Some((index, self.open(index, stanzas, &mut person)?)));
        Ok(opened.collect())
    }
}

impl Credentials {
    /// The key of a file: of the first stanza that one of the credentials opens. `None` if none is for them.
    fn open(
        &self,
        file_index: usize,
        stanzas: &[Stanza],
        person: &mut impl Person,
    ) -> Option<Result<FileKey, Vec<identity::Error>>> {
        let mut errors = Vec::new();
        for (stanza_index, stanza) in stanzas.iter().enumerate() {
            for credential in &self.0 {
                let Some(salt) = credential.salt(stanza) else { continue };
                let opened = salt.map_err(str::to_owned).and_then(|salt| {
                    let secret = key::secret(credential, &salt, person)?;
                    unwrap(stanza, &salt, &secret).ok_or_else(|| "the key has made another secret".to_owned())
                });
                match opened {
                    Ok(file_key) => return Some(Ok(file_key)),
                    Err(message) => errors.push(identity::Error::Stanza { file_index, stanza_index, message }),
                }
            }
        }
        (!errors.is_empty()).then_some(Err(errors))
    }
}
