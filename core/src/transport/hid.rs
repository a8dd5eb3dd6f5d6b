//! CTAPHID framing.
