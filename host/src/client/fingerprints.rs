//! `keyfob fingerprints`: enrolled, listed, renamed, deleted.

use keyfob_core::{
    client::manage::{ChangeFingerprints, Enroll, ListFingerprints, SensorInfo},
    ctap2::{bio_enrollment::SampleStatus, get_info::Response},
};
use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    output::{base64, plain, table},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone)]
enum Action {
    /// Lists the fingerprints.
    ///
    /// With --json: {"fingerprints": [{"id", "name"}]}. `name` is null where there is none.
    List(KeyArguments),
    /// Enrols a finger.
    ///
    /// With --json: the fingerprint as in the list.
    Add {
        /// What the finger is called.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Changes the name of a fingerprint.
    ///
    /// With --json: the fingerprint as in the list, with its new name.
    Rename {
        /// The fingerprint: its id or its name.
        #[arg(value_name = "ID|NAME", allow_hyphen_values = true)]
        which: String,
        /// The new name.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Deletes a fingerprint.
    ///
    /// With --json: the fingerprint that is gone, as in the list.
    Delete {
        /// The fingerprint: its id or its name.
        #[arg(value_name = "ID|NAME", allow_hyphen_values = true)]
        which: String,
        /// Does not ask whether it is to be deleted.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        key: KeyArguments,
    },
}

impl Arguments {
    pub const fn is_json(&self) -> bool {
        let (Action::List(key) | Action::Add { key, .. } | Action::Rename { key, .. } | Action::Delete { key, .. }) =
            &self.action;
        key.json
    }
}

/// # Errors
/// The user is not verified; there is no such fingerprint, or no room for one.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List(key) => list(key),
        Action::Add { name, key } => add(key, name.as_deref()),
        Action::Rename { which, name, key } => rename(key, which, name),
        Action::Delete { which, yes, key } => delete(key, which, *yes),
    }
}

/// A fingerprint of the list.
struct Listed {
    id: Vec<u8>,
    name: Option<String>,
}

impl Listed {
    fn json(&self) -> Value {
        json!({ "id": base64(&self.id), "name": self.name })
    }

    fn describe(&self) -> String {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        name.map_or_else(
            || format!("the fingerprint {}", base64(&self.id)),
            |name| format!("the fingerprint \"{}\"", plain(name)),
        )
    }

    fn tell(&self, is_json: bool, text: &str) {
        if is_json { say(format_args!("{}", self.json())) } else { say(format_args!("{text}")) }
    }
}

/// An errand with a key that has a sensor.
fn begin(key: &KeyArguments) -> Result<Errand, Failure> {
    let is_able = |info: &Response<'_>| {
        let options = info.options.unwrap_or_default();
        options.bio_enroll.is_some() || options.user_verification_mgmt_preview.is_some()
    };
    Errand::begin_with(key, &Meant::Able(is_able))
}

fn all(errand: &mut Errand) -> Result<Vec<Listed>, Failure> {
    let listed = errand.run(ListFingerprints::new(), |_| ())?;
    Ok(listed
        .iter()
        .map(|one| Listed { id: one.template_id.to_vec(), name: one.template_friendly_name.map(str::to_owned) })
        .collect())
}

fn list(key: &KeyArguments) -> Result<(), Failure> {
    let listed = all(&mut begin(key)?)?;
    if key.json {
        let fingerprints: Vec<Value> = listed.iter().map(Listed::json).collect();
        say(format_args!("{}", json!({ "fingerprints": fingerprints })));
    } else if listed.is_empty() {
        eprintln!("No finger is enrolled: `keyfob fingerprints add` enrols one.");
    } else {
        let row = |one: &Listed| [base64(&one.id), plain(one.name.as_deref().unwrap_or_default())];
        table(["ID", "NAME"], &listed.iter().map(row).collect::<Vec<_>>());
    }
    Ok(())
}

fn add(key: &KeyArguments, name: Option<&str>) -> Result<(), Failure> {
    let mut errand = begin(key)?;
    if let Some(name) = name {
        has_room(&mut errand, name)?;
    }
    let id = errand.run(Enroll::new(None), |sample| match (of_sample(sample.status), sample.remaining) {
        (_, 0) => {}
        (problem, left) => eprintln!("{problem}{left} more. Lift the finger and touch the sensor again."),
    })?;
    let added = Listed { id: id.to_vec(), name: name.map(str::to_owned) };
    if let Some(name) = name {
        errand.run(ChangeFingerprints::rename(&added.id, name), |_| ()).map_err(|failure| {
            let message = format!(
                "the finger is enrolled as {} and did not get its name, which `keyfob fingerprints rename` gives it: {}",
                base64(&added.id),
                failure.message
            );
            Failure { message, ..failure }
        })?;
    }
    added.tell(key.json, &format!("Enrolled {}.", added.describe()));
    Ok(())
}

/// Whether the key takes a name of this length.
///
/// # Errors
/// It is too long; the key has no sensor.
fn has_room(errand: &mut Errand, name: &str) -> Result<(), Failure> {
    // A key that does not say how long a name may be is asked when it gets the name.
    let longest = errand.run(SensorInfo::new(), |_| ())?.max_template_friendly_name;
    match longest.and_then(|longest| usize::try_from(longest).ok()) {
        Some(longest) if name.len() > longest => Err(Failure::new(
            Kind::BadInput,
            format_args!("the name has {} bytes, and this key takes names of at most {longest}", name.len()),
        )),
        _ => Ok(()),
    }
}

/// What was wrong with a sample of a finger; nothing if it was good.
const fn of_sample(status: SampleStatus) -> &'static str {
    match status {
        SampleStatus::GOOD => "",
        SampleStatus::TOO_HIGH | SampleStatus::TOO_LOW | SampleStatus::TOO_LEFT | SampleStatus::TOO_RIGHT => {
            "The finger was not in the middle. "
        }
        SampleStatus::TOO_FAST | SampleStatus::TOO_SHORT => "The touch was too short. ",
        SampleStatus::TOO_SLOW => "The touch was too long. ",
        SampleStatus::EXISTS => "This finger is enrolled already. ",
        SampleStatus::NO_USER_ACTIVITY => "The sensor was not touched. ",
        _ => "The sample was not good. ",
    }
}

/// The one fingerprint with this id or this name.
fn find(errand: &mut Errand, which: &str) -> Result<Listed, Failure> {
    let is_meant = |one: &Listed| base64(&one.id) == which || one.name.as_deref() == Some(which);
    let mut meant: Vec<Listed> = all(errand)?.into_iter().filter(is_meant).collect();
    match meant.len() {
        1 => Ok(meant.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, format_args!("the key has no fingerprint {which}"))),
        _ => Err(Failure::new(Kind::NotFound, format_args!("several fingerprints are called {which}: give the id"))),
    }
}

fn rename(key: &KeyArguments, which: &str, name: &str) -> Result<(), Failure> {
    let mut errand = begin(key)?;
    let mut found = find(&mut errand, which)?;
    has_room(&mut errand, name)?;
    errand.run(ChangeFingerprints::rename(&found.id, name), |_| ())?;
    found.name = Some(name.to_owned());
    found.tell(key.json, &format!("It is now {}.", found.describe()));
    Ok(())
}

fn delete(key: &KeyArguments, which: &str, yes: bool) -> Result<(), Failure> {
    let mut errand = begin(key)?;
    let found = find(&mut errand, which)?;
    if !yes {
        errand.user.agrees(&format!("This deletes {}.", found.describe()))?;
    }
    errand.run(ChangeFingerprints::remove(&found.id), |_| ())?;
    found.tell(key.json, &format!("Deleted {}.", found.describe()));
    Ok(())
}
