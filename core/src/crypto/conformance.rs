//! One suite of known answers and properties that every crypto backend runs.
