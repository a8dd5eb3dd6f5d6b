//! The JSON Schema of the control socket, made from its table.

use serde_json::{Map, Value, json};

use super::table::{ASKED, CODES, COMMANDS, CREDENTIAL, ERROR, EVENTS, Kind, Member, VERBS};

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration => json!({ "type": "number", "minimum": 0 }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Bytes => json!({ "$ref": "#/$defs/bytes" }),
        Kind::Name(names) => json!({ "enum": names }),
        Kind::Command => json!({ "$ref": "#/$defs/command" }),
        Kind::Status => json!({ "$ref": "#/$defs/status" }),
        Kind::Code => {
            json!({ "oneOf": CODES.iter().map(|(code, says)| json!({ "const": code, "description": says })).collect::<Vec<_>>() })
        }
        Kind::Object => json!({ "type": "object" }),
        Kind::Record(members) if std::ptr::eq(members, CREDENTIAL) => json!({ "$ref": "#/$defs/credential" }),
        Kind::Record(members) if std::ptr::eq(members, ASKED) => json!({ "$ref": "#/$defs/asked" }),
        Kind::Record(members) => object(members),
        Kind::List(of) => json!({ "type": "array", "items": self::kind(*of) }),
    }
}

fn object(members: &[Member]) -> Value {
    let properties: Map<_, _> = members
        .iter()
        .map(|member| {
            let mut schema = kind(member.kind);
            schema["description"] = member.says.into();
            (member.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = members.iter().filter(|member| member.is_required).map(|member| member.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn request(verb: &super::table::Verb) -> Value {
    let has_required = verb.params.iter().any(|member| member.is_required);
    let required: &[&str] = if has_required { &["id", "verb", "params"] } else { &["id", "verb"] };
    json!({
        "description": verb.says,
        "type": "object",
        "properties": {
            "id": { "$ref": "#/$defs/id" },
            "verb": { "const": verb.name },
            "params": object(verb.params),
        },
        "required": required,
        "additionalProperties": false,
    })
}

fn event(event: &super::table::Event) -> Value {
    let mut schema = object(event.members);
    schema["description"] = event.says.into();
    schema["properties"]["event"] = json!({ "const": event.name });
    let members = event.members.iter().filter(|member| member.is_required).map(|member| member.name);
    schema["required"] = ["event"].into_iter().chain(members).collect();
    schema
}

/// The schema, as docs/control.schema.json has it.
pub fn schema() -> Value {
    let commands: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).collect();
    let results: Map<_, _> = VERBS.iter().map(|verb| (verb.name.to_owned(), object(verb.result))).collect();
    let one_of = |of: Vec<Value>| json!({ "oneOf": of });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The control socket of keyfob",
        "description": "Each line from a client is a request; each line to it an answer or an event. \
            results has the result of each verb.",
        "oneOf": [
            { "$ref": "#/$defs/request" },
            { "$ref": "#/$defs/answer" },
            { "$ref": "#/$defs/refusal" },
            { "$ref": "#/$defs/event" },
        ],
        "$defs": {
            "id": { "type": ["integer", "string"], "minimum": 0 },
            "bytes": { "type": "string", "pattern": "^[A-Za-z0-9_-]*$", "description": "base64url without padding" },
            "command": { "oneOf": [{ "enum": commands }, { "type": "integer", "minimum": 0, "maximum": 255 }] },
            "status": {
                "description": "A status of CTAP by its name, as KEY_STORE_FULL, or by its number.",
                "oneOf": [{ "type": "string" }, { "type": "integer", "minimum": 0, "maximum": 255 }],
            },
            "credential": object(CREDENTIAL),
            "asked": object(ASKED),
            "request": one_of(VERBS.iter().map(request).collect()),
            "answer": {
                "type": "object",
                "properties": { "id": { "$ref": "#/$defs/id" }, "result": { "type": "object" } },
                "required": ["id", "result"],
                "additionalProperties": false,
            },
            "refusal": {
                "type": "object",
                "properties": {
                    "id": { "oneOf": [{ "$ref": "#/$defs/id" }, { "type": "null" }] },
                    "error": object(ERROR),
                },
                "required": ["id", "error"],
                "additionalProperties": false,
            },
            "event": one_of(EVENTS.iter().map(event).collect()),
            "results": { "properties": results },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// With KEYFOB_WRITE_SCHEMA, the file is written anew.
    #[test]
    fn the_published_schema_is_the_one_of_the_verbs() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/control.schema.json");
        let schema = format!("{:#}\n", super::schema());
        if std::env::var_os("KEYFOB_WRITE_SCHEMA").is_some() {
            fs::write(&path, &schema).unwrap();
        }
        assert!(
            fs::read_to_string(path).is_ok_and(|published| published == schema),
            "docs/control.schema.json is not that of the verbs: KEYFOB_WRITE_SCHEMA=1 cargo test -p keyfob schema"
        );
    }
}
