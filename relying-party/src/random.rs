//! The system's random source.

/// Fresh random bytes.
///
/// # Errors
/// The system's random source failed.
pub fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
