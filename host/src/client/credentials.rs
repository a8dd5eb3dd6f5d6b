//! `keyfob credentials`: the discoverable credentials on a key, listed, shown, renamed, deleted.

use keyfob_core::{
    cbor,
    client::manage::{
        Access, CredentialsMetadata, DeleteCredential, ListCredentials, ListRelyingParties, ListedCredential,
        UpdateUser,
    },
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
    ctap2::{UserEntity, get_info::Response},
    extensions::cred_protect::Level,
    large_blob,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    output::{base64, pairs, pem, plain, standard_base64, table},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone)]
enum Action {
    /// Lists the credentials.
    ///
    /// With --json: {"existing", "remaining", "credentials": [{"id", "rpId", "rpIdHash", "userId", "userName",
    /// "userDisplayName", "algorithm", "publicKey", "protection", "hasLargeBlob"}]}. `algorithm` is COSE's number and
    /// `publicKey` its key, `protection` the number of credProtect; names are null where there is none.
    List {
        /// Only those for this site.
        #[arg(long, value_name = "RP_ID")]
        rp: Option<String>,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Shows a credential with its public key, in PEM.
    ///
    /// With --json: the credential as in the list, with publicKeyPem, and with --blob-key also blobKey in base64.
    Show {
        /// The credential: its id, or as much of the beginning as no other has.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        /// Shows the key that encrypts its large blob, too, which is a secret: `keyfob blobs --blob-key` takes it.
        #[arg(long)]
        blob_key: bool,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Changes the user's names of a credential.
    ///
    /// With --json: the credential as in the list, with its new names.
    Rename {
        /// The credential: its id, or as much of the beginning as no other has.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        /// The account's name. Empty deletes it.
        #[arg(long)]
        name: Option<String>,
        /// The name for people. Empty deletes it.
        #[arg(long)]
        display_name: Option<String>,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Deletes a credential.
    ///
    /// With --json: the credential that is gone, as in the list.
    Delete {
        /// The credential: its id, or as much of the beginning as no other has.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        /// Does not ask whether it is to be deleted.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        key: KeyArguments,
    },
}

impl Arguments {
    pub const fn is_json(&self) -> bool {
        let (Action::List { key, .. }
        | Action::Show { key, .. }
        | Action::Rename { key, .. }
        | Action::Delete { key, .. }) = &self.action;
        key.json
    }
}

/// # Errors
/// The user is not verified; there is no such credential.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List { key, rp } => list(key, rp.as_deref()),
        Action::Show { key, id, blob_key } => show(key, id, *blob_key),
        Action::Rename { key, id, name, display_name } => rename(key, id, name.as_deref(), display_name.as_deref()),
        Action::Delete { key, id, yes } => delete(key, id, *yes),
    }
}

/// A credential of the list.
pub struct Listed {
    pub id: Vec<u8>,
    pub rp_id: String,
    rp_id_hash: [u8; 32],
    user_id: Vec<u8>,
    pub name: Option<String>,
    display_name: Option<String>,
    algorithm: i32,
    /// As COSE has it, and in PEM.
    public_key: Vec<u8>,
    pem: Option<String>,
    protection: Option<Level>,
    /// What its large blob is encrypted with.
    pub blob_key: Option<Zeroizing<large_blob::Key>>,
}

impl Listed {
    fn new(rp_id: &str, rp_id_hash: [u8; 32], found: &ListedCredential<'_>) -> Self {
        Self {
            id: found.id.to_vec(),
            rp_id: rp_id.to_owned(),
            rp_id_hash,
            user_id: found.user.id.to_vec(),
            name: found.user.name.map(str::to_owned),
            display_name: found.user.display_name.map(str::to_owned),
            algorithm: found.public_key.algorithm().0,
            public_key: encoded(&found.public_key),
            pem: pem(&found.public_key),
            protection: found.cred_protect,
            blob_key: found.large_blob_key.and_then(|key| key.0.try_into().ok()).map(Zeroizing::new),
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": base64(&self.id),
            "rpId": self.rp_id,
            "rpIdHash": base64(&self.rp_id_hash),
            "userId": base64(&self.user_id),
            "userName": self.name,
            "userDisplayName": self.display_name,
            "algorithm": self.algorithm,
            "publicKey": base64(&self.public_key),
            "protection": self.protection.map(|level| level.0),
            "hasLargeBlob": self.blob_key.is_some(),
        })
    }

    /// "alice at example.org".
    fn describe(&self) -> String {
        let user = self.name.as_deref().or(self.display_name.as_deref());
        format!("{} at {}", plain(user.unwrap_or("a user without a name")), plain(&self.rp_id))
    }
}

/// A key as COSE has it.
fn encoded(key: &CoseKey<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let len = cbor::encode(key, &mut bytes).unwrap_or_default();
    bytes.truncate(len);
    bytes
}

/// An errand with a key that manages credentials.
pub fn begin(key: &KeyArguments) -> Result<Errand, Failure> {
    let is_able = |info: &Response<'_>| {
        let options = info.options.unwrap_or_default();
        options.cred_mgmt == Some(true) || options.credential_mgmt_preview == Some(true)
    };
    Errand::begin_with(key, &Meant::Able(is_able))
}

/// All credentials, or those for one site.
pub fn all(errand: &mut Errand, only: Option<&str>) -> Result<Vec<Listed>, Failure> {
    let mut parties = Vec::new();
    errand.run(ListRelyingParties::new(Access::User), |found| {
        parties.push((found.rp.id.to_owned(), *found.rp_id_hash));
    })?;
    if let Some(only) = only {
        // A key may have shortened the id; its hash is that of the whole.
        let hash = RustCrypto.sha256(&[only.as_bytes()]);
        parties.retain(|(_, found)| *found == hash);
    }
    let mut listed = Vec::new();
    for (rp_id, hash) in &parties {
        errand.run(ListCredentials::new(hash, Access::User), |found| {
            listed.push(Listed::new(rp_id, *hash, &found));
        })?;
    }
    Ok(listed)
}

fn list(key: &KeyArguments, only: Option<&str>) -> Result<(), Failure> {
    let mut errand = begin(key)?;
    let metadata = errand.run(CredentialsMetadata::new(Access::User), |_| ())?;
    let listed = if metadata.existing == 0 { Vec::new() } else { all(&mut errand, only)? };
    if key.json {
        let credentials: Vec<Value> = listed.iter().map(Listed::json).collect();
        let (existing, remaining) = (metadata.existing, metadata.remaining);
        say(format_args!("{}", json!({ "existing": existing, "remaining": remaining, "credentials": credentials })));
        return Ok(());
    }
    if !listed.is_empty() {
        let rows: Vec<[String; 4]> = listed
            .iter()
            .map(|one| {
                let name = |name: &Option<String>| plain(name.as_deref().unwrap_or_default());
                [plain(&one.rp_id), name(&one.name), name(&one.display_name), short(&one.id)]
            })
            .collect();
        table(["SITE", "USER", "DISPLAY NAME", "ID"], &rows);
    }
    let shown = listed.len();
    eprintln!("{shown} shown, {} on the key, room for {} more.", metadata.existing, metadata.remaining);
    Ok(())
}

/// The beginning of an id, for a table.
pub fn short(id: &[u8]) -> String {
    base64(id).chars().take(16).collect()
}

/// The one credential whose id begins so.
fn find(errand: &mut Errand, id: &str) -> Result<Listed, Failure> {
    let mut begins: Vec<Listed> =
        all(errand, None)?.into_iter().filter(|one| !id.is_empty() && base64(&one.id).starts_with(id)).collect();
    match begins.len() {
        0 => Err(Failure::new(Kind::NotFound, format_args!("the key has no credential whose id begins with {id}"))),
        1 => Ok(begins.remove(0)),
        count => Err(Failure::new(
            Kind::NotFound,
            format_args!("{count} credentials have ids that begin with {id}: give more of the one that is meant"),
        )),
    }
}

fn show(key: &KeyArguments, id: &str, with_blob_key: bool) -> Result<(), Failure> {
    let found = find(&mut begin(key)?, id)?;
    let blob_key = found.blob_key.as_ref().filter(|_| with_blob_key).map(|key| standard_base64(&**key));
    if with_blob_key && blob_key.is_none() {
        return Err(Failure::new(Kind::NotFound, "the credential has no key for a blob"));
    }
    if key.json {
        let mut object = found.json();
        object["publicKeyPem"] = found.pem.into();
        if with_blob_key {
            object["blobKey"] = blob_key.into();
        }
        say(format_args!("{object}"));
        return Ok(());
    }
    let name = |name: &Option<String>| plain(name.as_deref().unwrap_or_default());
    let mut rows = vec![
        ("Site", plain(&found.rp_id)),
        ("User", name(&found.name)),
        ("Display name", name(&found.display_name)),
        ("User id", base64(&found.user_id)),
        ("Credential", base64(&found.id)),
        ("Algorithm", format!("{:?}", Algorithm(found.algorithm))),
        ("Protection", found.protection.map_or_else(|| "not said".into(), |level| level.0.to_string())),
        ("Room for a blob", if found.blob_key.is_some() { "yes".into() } else { "no".into() }),
    ];
    rows.extend(blob_key.map(|key| ("Key of the blob", key)));
    pairs(&rows);
    if let Some(pem) = &found.pem {
        say(format_args!("{}", pem.trim_end()));
    }
    Ok(())
}

fn rename(key: &KeyArguments, id: &str, name: Option<&str>, display_name: Option<&str>) -> Result<(), Failure> {
    if name.is_none() && display_name.is_none() {
        return Err(Failure::new(Kind::BadInput, "there is no new name: give --name or --display-name"));
    }
    let mut errand = begin(key)?;
    let mut found = find(&mut errand, id)?;
    // A name that is left out would be deleted.
    let kept = |new: Option<&str>, old: Option<String>| match new {
        Some(new) => Some(new.to_owned()).filter(|new| !new.is_empty()),
        None => old,
    };
    found.name = kept(name, found.name.take());
    found.display_name = kept(display_name, found.display_name.take());
    let user =
        UserEntity { id: &found.user_id, name: found.name.as_deref(), display_name: found.display_name.as_deref() };
    errand.run(UpdateUser::new(&found.id, user), |_| ())?;
    if key.json {
        say(format_args!("{}", found.json()))
    } else {
        say(format_args!("It is now {}.", found.describe()))
    }
    Ok(())
}

fn delete(key: &KeyArguments, id: &str, yes: bool) -> Result<(), Failure> {
    let mut errand = begin(key)?;
    let found = find(&mut errand, id)?;
    if !yes {
        errand.user.agrees(&format!("This deletes the credential of {}.", found.describe()))?;
    }
    errand.run(DeleteCredential::new(&found.id), |_| ())?;
    if key.json {
        say(format_args!("{}", found.json()));
    } else {
        say(format_args!("The credential of {} is deleted.", found.describe()));
    }
    Ok(())
}
