//! soft-authenticator
