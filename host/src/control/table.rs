//! Every verb of the control socket and every event, with their members. Requests are checked against it, and
//! `docs/control.schema.json` is made from it.

/// What a value is.
#[derive(Clone, Copy)]
pub enum Kind {
    Bool,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Milliseconds with fractions.
    Duration,
    Text,
    /// Bytes as base64url without padding.
    Bytes,
    /// One of these texts.
    Name(&'static [&'static str]),
    /// A CTAP2 command by its name in [`COMMANDS`], or by its number.
    Command,
    /// A CTAP2 status by its name, or by its number.
    Status,
    /// One of [`CODES`].
    Code,
    /// An object that another standard defines.
    Object,
    /// An object with these members.
    Record(&'static [Member]),
    List(&'static Kind),
}

/// A member of an object.
pub struct Member {
    pub name: &'static str,
    pub kind: Kind,
    pub is_required: bool,
    pub says: &'static str,
}

/// What a client can ask for.
pub struct Verb {
    pub name: &'static str,
    pub params: &'static [Member],
    pub result: &'static [Member],
    pub says: &'static str,
}

/// What the key tells.
pub struct Event {
    pub name: &'static str,
    pub members: &'static [Member],
    pub says: &'static str,
}

const fn required(name: &'static str, kind: Kind, says: &'static str) -> Member {
    Member { name, kind, is_required: true, says }
}

const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Member {
    Member { name, kind, is_required: false, says }
}

const fn verb(name: &'static str, params: &'static [Member], result: &'static [Member], says: &'static str) -> Verb {
    Verb { name, params, result, says }
}

const fn event(name: &'static str, members: &'static [Member], says: &'static str) -> Event {
    Event { name, members, says }
}

/// The commands of CTAP2 by name.
pub const COMMANDS: [(&str, u8); 11] = [
    ("MAKE_CREDENTIAL", 0x01),
    ("GET_ASSERTION", 0x02),
    ("GET_INFO", 0x04),
    ("CLIENT_PIN", 0x06),
    ("RESET", 0x07),
    ("GET_NEXT_ASSERTION", 0x08),
    ("BIO_ENROLLMENT", 0x09),
    ("CREDENTIAL_MANAGEMENT", 0x0A),
    ("SELECTION", 0x0B),
    ("LARGE_BLOBS", 0x0C),
    ("CONFIG", 0x0D),
];

/// A duration that a test asks for: up to a day.
const MILLIS: Kind = Kind::Number(0, 86_400_000);
const COUNT: Kind = Kind::Number(0, u32::MAX as u64);
const AT: Kind = Kind::Name(&["request", "touch", "response"]);
const NOTHING: &[Member] = &[];

const CREDENTIAL_ID: Member = required("credentialId", Kind::Bytes, "The credential's id, 1 to 255 bytes.");
const MILLISECONDS: Member = required("milliseconds", MILLIS, "How long.");
const COMMAND: Member = required("command", Kind::Command, "The CTAP2 command.");
const STEP_AT: Member = required(
    "at",
    AT,
    "When a request has arrived, when the key waits for its user, or when a response is to be sent.",
);
const STEP_COMMAND: Member = optional("command", Kind::Command, "Of this command; not with `touch`.");

/// The codes of errors, and what they say.
pub const CODES: &[(&str, &str)] = &[
    ("parse", "the line is no JSON object; the connection is closed"),
    ("http", "the line is a request of HTTP; the connection is closed"),
    ("tooLong", "the line is too long; the connection is closed"),
    ("missing", "a member is missing"),
    ("wrongType", "a member has another type"),
    ("value", "a member has a value that is not possible"),
    ("unknownMember", "there is no such member"),
    ("unknownVerb", "there is no such verb"),
    ("silent", "there was no line in time, or no end of one; the connection is closed"),
    ("busy", "there are too many connections, or ceremonies"),
    ("credentialIdTaken", "a credential has this id already"),
    ("unknownCredential", "no credential has this id"),
    ("privateKey", "the private key is not PKCS#8"),
    ("otherCurve", "the key is of another algorithm than ES256"),
    ("store", "the key's store is full, or fails"),
    ("unplugged", "the key is not plugged in"),
    ("notAsked", "the key does not wait for a touch"),
    ("options", "the page's options cannot be read"),
    ("ceremony", "the ceremony failed; status is what the key has answered, if it was for that"),
];

/// A status of CTAP, of an answer to a CTAP2 command.
pub const STATUS: Member = optional(
    "status",
    Kind::Text,
    "What the key has answered, by its name, as KEY_STORE_FULL; by its number, as 0x7a, if it has none.",
);
/// The same as a number.
pub const STATUS_CODE: Member = optional("statusCode", Kind::Number(0, 255), "The number of the status.");

/// Why a request was refused.
pub const ERROR: &[Member] = &[
    required("code", Kind::Code, "A name for programs."),
    required("message", Kind::Text, "A sentence for people."),
    required("where", Kind::Text, "A JSON Pointer into the request."),
    STATUS,
    STATUS_CODE,
];

/// A credential that the key holds.
pub const CREDENTIAL: &[Member] = &[
    CREDENTIAL_ID,
    required("isResidentCredential", Kind::Bool, "Whether it is discoverable."),
    required("rpId", Kind::Text, "Its RP ID."),
    optional("userHandle", Kind::Bytes, "Its user handle; one that is not discoverable has none."),
    optional("userName", Kind::Text, "The user's name."),
    optional("userDisplayName", Kind::Text, "The user's display name."),
    optional("publicKey", Kind::Bytes, "The COSE key, where the key can compute one of its algorithm."),
    optional("privateKey", Kind::Bytes, "PKCS#8, as addCredential takes it; of ES256."),
    optional("largeBlob", Kind::Bytes, "Its large blob, which a client has written or addCredential has put in."),
    required("signCount", COUNT, "The counter of its last signature."),
    required("backupEligibility", Kind::Bool, "BE."),
    required("backupState", Kind::Bool, "BS."),
];

/// A request that the key was sent.
pub const ASKED: &[Member] = &[
    COMMAND,
    required("request", Kind::Bytes, "The request as it came: the command and its CBOR."),
    optional("rpId", Kind::Text, "The RP ID of a registration or a sign-in."),
    required("allowList", Kind::List(&Kind::Bytes), "The ids of the allow list of a sign-in."),
    required("excludeList", Kind::List(&Kind::Bytes), "The ids of the exclude list of a registration."),
    required("options", Kind::Record(OPTIONS), "The options of a registration or a sign-in, as far as they are there."),
];

const OPTIONS: &[Member] = &[
    optional("rk", Kind::Bool, "A discoverable credential."),
    optional("up", Kind::Bool, "User presence."),
    optional("uv", Kind::Bool, "User verification."),
];

const PAGE: &[Member] = &[
    required("origin", Kind::Text, "The page's origin, as https://example.org."),
    required("options", Kind::Object, "The JSON of WebAuthn's options."),
    optional("credulous", Kind::Bool, "Pass on what a browser refuses: a wrong rpIdHash, no UP, no UV."),
];
const PAGE_RESULT: &[Member] = &[required("response", Kind::Object, "The JSON of WebAuthn's response.")];

pub const LIES: &[&str] =
    &["bogusSignature", "userPresent", "userVerified", "backupEligibility", "backupState", "rpId", "aaguid"];

pub const VERBS: &[Verb] = &[
    verb(
        "status",
        NOTHING,
        &[
            required("version", Kind::Text, "The version of keyfob."),
            required("isPluggedIn", Kind::Bool, "Whether the key is plugged in, or about to be."),
            required("waitsForUser", Kind::Bool, "Whether a request waits for a touch or for user verification."),
            required("milliseconds", Kind::Number(0, u64::MAX), "The key's time."),
        ],
        "How the key is.",
    ),
    verb("getSchema", NOTHING, &[required("schema", Kind::Object, "The JSON Schema.")], "The schema of this socket."),
    verb("subscribe", NOTHING, NOTHING, "Push the events to this connection from now on."),
    verb("unsubscribe", NOTHING, NOTHING, "Push no events any longer."),
    verb(
        "addCredential",
        &[
            required("rpId", Kind::Text, "Its RP ID, 1 to 253 bytes."),
            optional("userHandle", Kind::Bytes, "Its user handle, 1 to 64 bytes; a discoverable one needs it."),
            optional("credentialId", Kind::Bytes, "Its id, 1 to 255 bytes; the key makes one otherwise."),
            optional(
                "privateKey",
                Kind::Bytes,
                "Its private key on P-256, PKCS#8 in DER; the key makes one otherwise.",
            ),
            optional("isResidentCredential", Kind::Bool, "Whether it is discoverable; true by default."),
            optional("userName", Kind::Text, "The user's name."),
            optional("userDisplayName", Kind::Text, "The user's display name."),
            optional("signCount", COUNT, "Its counter; the next sign-in reports one more. 0 by default."),
            optional("backupEligibility", Kind::Bool, "BE; false by default."),
            optional("backupState", Kind::Bool, "BS; false by default. With it, BE is true."),
            optional(
                "largeBlob",
                Kind::Bytes,
                "Its large blob; with the extension largeBlob, at most 400 bytes when it is compressed.",
            ),
            optional("credProtect", Kind::Number(1, 3), "The level of credProtect."),
        ],
        &[required("credential", Kind::Record(CREDENTIAL), "The credential.")],
        "Puts a credential with the algorithm ES256 into the key (WebAuthn L3 §11.5).",
    ),
    verb(
        "getCredentials",
        NOTHING,
        &[required("credentials", Kind::List(&Kind::Record(CREDENTIAL)), "First the discoverable ones.")],
        "What the key holds (§11.6).",
    ),
    verb("removeCredential", &[CREDENTIAL_ID], NOTHING, "Removes a credential (§11.7)."),
    verb("removeAllCredentials", NOTHING, NOTHING, "Removes all credentials (§11.8)."),
    verb(
        "setCredentialProperties",
        &[
            CREDENTIAL_ID,
            optional("backupEligibility", Kind::Bool, "BE."),
            optional("backupState", Kind::Bool, "BS."),
            optional("signCount", COUNT, "Its counter."),
        ],
        NOTHING,
        "Changes a credential (§11.10). Whether the values fit each other is up to the test.",
    ),
    verb(
        "setDefaultBackup",
        &[
            required("backupEligibility", Kind::Bool, "BE of registrations to come."),
            required("backupState", Kind::Bool, "BS of registrations to come."),
        ],
        NOTHING,
        "`defaultBackupEligibility` and `defaultBackupState` (§11.2).",
    ),
    verb(
        "setTouch",
        &[
            required("touch", Kind::Name(&["auto", "deny", "never", "after"]), "At once, declines, never, or later."),
            optional(
                "milliseconds",
                MILLIS,
                "With `after`: how long a request has waited by then, by the key's clock.",
            ),
        ],
        NOTHING,
        "How the user touches the key from now on. A user who does not touch it is not verified either.",
    ),
    verb(
        "touch",
        &[required("consents", Kind::Bool, "Whether the user touches the key, or declines.")],
        NOTHING,
        "One touch, for the request that waits now.",
    ),
    verb(
        "setUserVerified",
        &[required("isUserVerified", Kind::Bool, "Whether it recognises the user.")],
        NOTHING,
        "Whether the key recognises its user (§11.9). It has all its attempts again.",
    ),
    verb(
        "lie",
        &[
            required("lie", Kind::Name(LIES), "What about."),
            optional(
                "on",
                Kind::Bool,
                "The flag, with `userPresent`, `userVerified`, `backupEligibility`, `backupState`.",
            ),
            optional("rpId", Kind::Text, "With `rpId`: whose hash the rpIdHash is."),
            optional("aaguid", Kind::Bytes, "With `aaguid`: 16 bytes."),
        ],
        NOTHING,
        "Says this against the truth in every response from now on, besides earlier lies.",
    ),
    verb("tellTheTruth", NOTHING, NOTHING, "Lies no longer."),
    verb(
        "answer",
        &[
            COMMAND,
            optional("status", Kind::Status, "This status; or `body`."),
            optional("body", Kind::Bytes, "These bytes, a status and CBOR or anything else; or `status`."),
            optional(
                "times",
                COUNT,
                "How often; otherwise always, in place of the one before, and after those with a number.",
            ),
        ],
        NOTHING,
        "Answers requests with this command so, and does nothing.",
    ),
    verb("clearAnswers", NOTHING, NOTHING, "Forces no answers any longer."),
    verb("setDelay", &[MILLISECONDS], NOTHING, "Delays every response by this time."),
    verb(
        "setKeepAlives",
        &[required("sends", Kind::Bool, "Whether it does.")],
        NOTHING,
        "Whether the key sends keep-alives while it works.",
    ),
    verb(
        "failWrite",
        &[required("number", Kind::Number(1, u32::MAX as u64), "Which: 1 is the next one.")],
        NOTHING,
        "Lets a write to the key's store fail, once.",
    ),
    verb("unplug", NOTHING, NOTHING, "Takes the key out: connections are closed until it is plugged in again."),
    verb("plugIn", NOTHING, NOTHING, "Plugs the key in, again if it was in: tokens and channels are gone."),
    verb("unplugAt", &[STEP_AT, STEP_COMMAND], NOTHING, "Takes the key out when this step is reached, once."),
    verb("advance", &[MILLISECONDS], NOTHING, "Sets the key's clock forward."),
    verb(
        "jumpAt",
        &[STEP_AT, STEP_COMMAND, MILLISECONDS],
        NOTHING,
        "Sets the key's clock forward when this step is reached, once.",
    ),
    verb(
        "getHistory",
        NOTHING,
        &[required("requests", Kind::List(&Kind::Record(ASKED)), "The last 1,000 at most.")],
        "What the key was asked: every CTAP2 request.",
    ),
    verb("clearHistory", NOTHING, NOTHING, "Forgets what the key was asked."),
    verb("create", PAGE, PAGE_RESULT, "`navigator.credentials.create()` of a page that sees this key alone."),
    verb("get", PAGE, PAGE_RESULT, "`navigator.credentials.get()` of a page that sees this key alone."),
];

const PEER: Member = required("peer", Kind::Text, "The client.");
const CHANNEL: Member = required("channel", COUNT, "The channel of the request; 0 for a card.");
const NAME: Member = required("command", Kind::Text, "The command, as the standard spells it.");
const TIME: Member = optional("milliseconds", Kind::Duration, "Since the request.");

pub const EVENTS: &[Event] = &[
    event("pluggedIn", NOTHING, "The key has powered up."),
    event("unplugged", NOTHING, "The key was unplugged."),
    event("opened", &[PEER], "A client has opened the key."),
    event("closed", &[PEER], "A client has closed the key, or was closed."),
    event("full", &[PEER], "A client was refused: too many have the key open."),
    event("stuck", &[PEER], "A client was closed because it does not read."),
    event("stranger", &[PEER], "A connection was closed because it did not begin with INIT."),
    event("inField", &[PEER], "The key is in the field of a reader."),
    event("outOfField", &[PEER], "The key is in the reader's field no longer."),
    event("noReader", &[PEER, optional("error", Kind::Text, "What is there instead.")], "There is no reader."),
    event("command", &[PEER, CHANNEL, NAME], "A request has begun."),
    event("cancel", &[PEER, CHANNEL], "A client cancels its request."),
    event("touchAsked", &[CHANNEL, NAME], "A request waits for a touch or for user verification."),
    event("answered", &[CHANNEL, NAME, STATUS, STATUS_CODE, TIME], "The key has answered."),
    event(
        "refused",
        &[CHANNEL, NAME, optional("error", Kind::Text, "The error of CTAPHID, or the status word."), TIME],
        "The key has refused a message.",
    ),
    event("wink", NOTHING, "The key winks."),
    event(
        "lost",
        &[required("count", COUNT, "How many.")],
        "Events that this connection did not read in time and does not get.",
    ),
];
