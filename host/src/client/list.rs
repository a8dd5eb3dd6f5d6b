//! `keyfob list`: the keys that are plugged in.

use keyfob::{OpenErrorReason, open};
use serde_json::json;

use super::{
    Failure,
    errand::plugged_in,
    output::{plain, table},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// # Errors
/// The keys cannot be listed.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let found = plugged_in()?;
    let access: Vec<&str> = found
        .iter()
        .map(|key| match open(&key.address).map_err(|error| error.reason) {
            Ok(_) => "ok",
            Err(OpenErrorReason::NoPermission) => "noPermission",
            Err(_) => "failed",
        })
        .collect();
    if arguments.json {
        let keys: Vec<_> = found
            .iter()
            .zip(&access)
            .map(|(key, access)| {
                json!({
                    "address": key.address.to_string(),
                    "name": key.name,
                    "vendorId": key.ids.map(|(vendor, _)| vendor),
                    "productId": key.ids.map(|(_, product)| product),
                    "access": access,
                })
            })
            .collect();
        say(format_args!("{}", json!({ "keys": keys })));
        return Ok(());
    }
    if found.is_empty() {
        eprintln!("No security key is plugged in.");
        return Ok(());
    }
    let words = |access: &str| match access {
        "ok" => "yes",
        "noPermission" => "no: not permitted",
        _ => "no",
    };
    let rows: Vec<[String; 4]> = found
        .iter()
        .zip(&access)
        .map(|(key, access)| {
            let ids = key.ids.map(|(vendor, product)| format!("{vendor:04x}:{product:04x}")).unwrap_or_default();
            [key.address.to_string(), ids, words(access).into(), plain(&key.name)]
        })
        .collect();
    table(["ADDRESS", "USB ID", "OPENS", "NAME"], &rows);
    if access.contains(&"noPermission") {
        eprintln!("You may not open some of them: `sudo keyfob udev-rules --install` permits it.");
    }
    Ok(())
}
