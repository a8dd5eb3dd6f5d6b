//! A virtual key behind a byte stream: a serial port that takes and gives a few bytes at a time.

use std::{collections::VecDeque, fmt, time::Duration};

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};
use keyfob_core::{
    Instant,
    client::{Ceremony, MakeCredential, MakeOptions, run_async},
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::{
        AsyncReportIo,
        hid::{AsyncHidTransport, HidError},
        stream::{StreamError, StreamIo},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::{
    tests::Dialog,
    usb::{Usb, now, plug_in},
};

/// How many bytes one call takes or gives at most. Reports have 64.
const PIECE: usize = 23;

/// The client's end of the stream.
struct Serial {
    key: Usb,
    outgoing: Vec<u8>,
    incoming: VecDeque<u8>,
    /// Bytes that still come before the stream ends.
    left: usize,
    broken: bool,
    /// Whether the last piece was waited for.
    late: bool,
}

/// The port has failed.
#[derive(Debug)]
struct PortFailed;

impl fmt::Display for PortFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the serial port is gone")
    }
}

impl std::error::Error for PortFailed {}

impl Error for PortFailed {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Serial {
    type Error = PortFailed;
}

impl Read for Serial {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, PortFailed> {
        while self.incoming.is_empty() && self.left > 0 {
            let report = self.key.read(Duration::from_secs(60)).await.map_err(|_| PortFailed)?;
            self.incoming.extend(report.into_iter().flatten());
        }
        self.late = !self.late;
        if self.late {
            tokio::task::yield_now().await; // the next piece comes later
        }
        let len = buf.len().min(PIECE).min(self.incoming.len()).min(self.left);
        self.left -= len;
        buf.iter_mut().zip(self.incoming.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }
}

impl Write for Serial {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, PortFailed> {
        if self.broken {
            return Err(PortFailed);
        }
        let len = buf.len().min(PIECE);
        self.outgoing.extend(&buf[..len]);
        if let Some((report, rest)) = self.outgoing.split_first_chunk::<64>() {
            self.key.write(report).await.map_err(|_| PortFailed)?;
            self.outgoing = rest.to_vec();
        }
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), PortFailed> {
        Ok(())
    }
}

/// A key whose stream ends after this many bytes.
fn serial(left: usize) -> Serial {
    Serial { key: plug_in(), outgoing: Vec::new(), incoming: VecDeque::new(), left, broken: false, late: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_over_a_byte_stream_runs_as_a_task() {
    let made = tokio::spawn(async {
        let io = StreamIo::new(serial(usize::MAX), tokio::time::sleep);
        let mut transport = AsyncHidTransport::new(io, now as fn() -> Instant, [7; 8]);
        let (mut rng, mut buffer) = (ChaCha20Rng::seed_from_u64(1), vec![0; 8_192]);
        let (hash, algorithms) = ([1; 32], [CredentialParameters::new(Algorithm::ES256)]);
        let rp = RpEntity { id: "example.org", name: None };
        let user = UserEntity { id: &[1], name: Some("alice"), display_name: None };
        let options = MakeOptions::new(&hash, rp, user, &algorithms);
        let make = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, &mut rng);
        run_async(make, &mut transport, &mut Dialog, now).await.unwrap().auth_data.rp_id_hash.len()
    });
    assert_eq!(made.await.unwrap(), 32);
}

#[tokio::test]
async fn a_read_whose_time_is_over_within_a_report_loses_no_byte() {
    // CTAPHID_INIT on the broadcast channel, with a nonce that the response repeats.
    let mut init = [0; 64];
    init[..15].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut io = StreamIo::new(serial(usize::MAX), async |_| ());
    io.write(&init).await.unwrap();
    let mut reads = 0;
    let report = loop {
        reads += 1;
        assert!(reads < 1_000_000, "the report does not come");
        if let Some(report) = io.read(Duration::ZERO).await.unwrap() {
            break report;
        }
        tokio::task::yield_now().await;
    };
    assert!(reads > 64 / PIECE, "{reads} reads");
    assert_eq!((&report[..5], &report[7..15]), (&init[..5], &init[7..15]));
}

#[tokio::test]
async fn a_stream_that_ends_or_fails_says_so_in_a_sentence() {
    let mut io = StreamIo::new(serial(0), tokio::time::sleep);
    let ended = io.read(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(ended, StreamError::Ended));
    assert_eq!(ended.to_string(), "the stream has ended");
    let mut io = StreamIo::new(Serial { broken: true, ..serial(0) }, tokio::time::sleep);
    let failed = HidError::Io(io.write(&[0; 64]).await.unwrap_err());
    let failed: Box<dyn std::error::Error> = Box::new(failed);
    assert!(failed.to_string().ends_with("the stream failed: the serial port is gone"), "{failed}");
}
