//! Checks whether an attestation certificate leads to a certificate that the relying party trusts (WebAuthn L3 §7.1
//! steps 23, 24).
//!
//! Only certificates that the relying party supplies are trusted. A certificate in the attestation is not trusted just
//! because it is there.

use super::{Error, certificate::Certificate, check};
use crate::{cbor::List, crypto::Verify};

/// The certificates that a relying party trusts, and the time of the check.
#[derive(Clone, Copy, Debug)]
pub struct Anchors<'a> {
    /// Trusted certificates in DER: root, intermediate or attestation certificates.
    pub certificates: &'a [&'a [u8]],
    /// The time, in seconds since 1970.
    pub now: u64,
    /// Whether a chain may contain the root. The standard leaves the root out.
    pub accept_root: bool,
}

/// Checks that `x5c`, an attestation certificate and its chain in order, leads to an anchor, and that every certificate
/// is valid now and may issue what it has issued: path lengths, key usage and unknown critical extensions are checked, and
/// an issuer with constraints on names is refused. A leaf that is itself an anchor is trusted.
///
/// # Errors
/// [`Error::Certificate`] for a malformed certificate, [`Error::Validity`], [`Error::RootInChain`], [`Error::Chain`]
/// when the chain does not lead to an anchor or is out of order, [`Error::Constraints`], [`Error::Crypto`] for a signature that the backend
/// cannot verify.
pub fn chain(crypto: &impl Verify, x5c: List<'_, &[u8]>, anchors: &Anchors<'_>) -> Result<(), Error> {
    let now = digits(anchors.now).ok_or(Error::Validity)?;
    let mut certificates = x5c.iter();
    let mut bytes = certificates.next().ok_or(Error::Certificate)?;
    let mut certificate = Certificate::parse(bytes).ok_or(Error::Certificate)?;
    let (mut authority, mut authorities) = (false, 0u64);
    loop {
        valid(&certificate, now)?;
        let trusted = anchors.certificates.contains(&bytes);
        if trusted && !authority {
            return Ok(());
        }
        check(!certificate.is_self_issued() || anchors.accept_root, Error::RootInChain)?;
        check(certificate.is_understood(), Error::Constraints)?;
        if trusted {
            return Ok(());
        }
        let parsed = anchors.certificates.iter().filter_map(|anchor| Certificate::parse(anchor));
        let mut refused = None;
        for anchor in parsed.filter(|anchor| certificate.is_named_like(anchor) && anchor.may_issue()) {
            // Another anchor may have the same name, and even the same key: one was renewed.
            if certificate.is_signed_by(crypto, &anchor).is_err() {
                continue;
            }
            let constraints = || check(anchor.is_understood() && anchor.permits(authorities), Error::Constraints);
            match valid(&anchor, now).and_then(|()| constraints()) {
                Ok(()) => return certificates.try_for_each(|above| anchor_or_above(above, anchors)),
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        bytes = certificates.next().ok_or(Error::Chain)?;
        let issuer = Certificate::parse(bytes).ok_or(Error::Certificate)?;
        check(certificate.is_named_like(&issuer) && issuer.is_authority(), Error::Chain)?;
        check(issuer.permits(authorities), Error::Constraints)?;
        certificate.is_signed_by(crypto, &issuer)?;
        // A certificate that an authority issues to itself does not count (RFC 5280 §4.2.1.9).
        authorities = authorities.saturating_add(u64::from(!issuer.is_self_issued()));
        (certificate, authority) = (issuer, true);
    }
}

/// Checks the rest of a chain after it has reached an anchor. The rest may be the anchor and authorities above it,
/// without the root.
fn anchor_or_above(above: &[u8], anchors: &Anchors<'_>) -> Result<(), Error> {
    let certificate = Certificate::parse(above).ok_or(Error::Certificate)?;
    check(certificate.is_authority() || anchors.certificates.contains(&above), Error::Chain)?;
    check(!certificate.is_self_issued() || anchors.accept_root, Error::RootInChain)
}

fn valid(certificate: &Certificate<'_>, now: u64) -> Result<(), Error> {
    let (begins, ends) = certificate.validity().ok_or(Error::Certificate)?;
    check((begins..=ends).contains(&now), Error::Validity)
}

/// Seconds since 1970 as the decimal digits YYYYMMDDhhmmss. `None` after the year 9999.
fn digits(seconds: u64) -> Option<u64> {
    const DAY: u64 = 86_400;
    let (mut days, time) = (seconds.checked_div(DAY)?, seconds.checked_rem(DAY)?);
    let mut year = 1970_u64;
    let mut months = months(year);
    let mut month = 1_u64;
    loop {
        if year > 9999 {
            return None;
        }
        let length = *months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
        let Some(left) = days.checked_sub(length) else { break };
        days = left;
        month = month.checked_add(1)?;
        if month > 12 {
            (year, month) = (year.checked_add(1)?, 1);
            months = self::months(year);
        }
    }
    let minutes = time.checked_div(60)?;
    let fields =
        [month, days.checked_add(1)?, minutes.checked_div(60)?, minutes.checked_rem(60)?, time.checked_rem(60)?];
    fields.into_iter().try_fold(year, |digits, field| digits.checked_mul(100)?.checked_add(field))
}

/// The lengths of a year's months, in days.
const fn months(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_certificates_write_them() {
        for (seconds, written) in [
            (0, 19_700_101_000_000),
            (951_782_399, 20_000_228_235_959),
            (951_782_400, 20_000_229_000_000),
            (1_795_303_612, 20_261_121_232_652),
            (4_107_542_400, 21_000_301_000_000),
            (253_402_300_799, 99_991_231_235_959),
        ] {
            assert_eq!(digits(seconds), Some(written), "{seconds}");
        }
        assert_eq!(digits(253_402_300_800), None);
        assert_eq!(digits(u64::MAX), None);
    }
}
