//! Every wait ends in time, even if the pipe delivers reports for ever or takes a request slowly.

use super::*;

/// The reports with which a pipe is flooded, one per millisecond.
fn floods(channel: u32) -> [[u8; 64]; 8] {
    [
        // Reports for other clients.
        single(channel + 1, HidCommand::KEEPALIVE, &[2]),
        claim(channel + 1, HidCommand::CBOR, 300),
        continuation(channel + 1, 0),
        error_report(channel + 1, HidErrorCode::CHANNEL_BUSY),
        single(BROADCAST, HidCommand::INIT, &[9; 17]),
        error_report(BROADCAST, HidErrorCode::INVALID_CHANNEL),
        // Reports for this client that mean nothing.
        continuation(channel, 5),
        single(channel, HidCommand::INIT, &[9; 17]),
    ]
}

fn error_report(channel: u32, code: HidErrorCode) -> [u8; 64] {
    single(channel, HidCommand::ERROR, &[code.0])
}

/// How many milliseconds `work` takes on the pipe's clock, and its result.
fn timed<T>(transport: &mut Blocking, work: impl FnOnce(&mut Blocking) -> T) -> (u64, T) {
    let start = transport.io.clock.get();
    let result = work(transport);
    (transport.io.clock.get() - start, result)
}

const TIMEOUT: HidError<Unplugged> = HidError::Failed(HidFailure::Timeout);

#[test]
fn opening_ends_in_time_under_a_flood_of_any_reports() {
    for flood in floods(1) {
        let mut transport = blocking();
        transport.io.flood = Some(flood);
        let (millis, result) = timed(&mut transport, |transport| transport.open());
        assert_eq!(result, Err(TIMEOUT), "{flood:02x?}");
        assert!((3_000..3_200).contains(&millis), "{millis} ms");
        let (millis, result) = timed(&mut transport, |transport| transport.send(Protocol::Ctap2, &[4]));
        assert_eq!(result, Err(TIMEOUT));
        assert!((3_000..3_200).contains(&millis), "{millis} ms");
        // When the flood is over, the transport works again.
        transport.io.flood = None;
        assert_eq!(transport.wink(), Ok(()));
    }
}

#[test]
fn commands_end_in_time_under_a_flood_of_any_reports() {
    for flood in floods(1) {
        let limits = [
            (HidCommand::PING, 3_000),
            (HidCommand::WINK, 3_000),
            (HidCommand::CBOR, 10_000),
            (HidCommand(0x41), 30_000),
        ];
        for (command, limit) in limits {
            let mut transport = blocking();
            transport.open().unwrap();
            transport.io.flood = Some(flood);
            let len = usize::from(command != HidCommand::WINK);
            let (millis, result) = timed(&mut transport, |transport| transport.command(command, &mut [4; 64], len));
            assert_eq!(result, Err(TIMEOUT), "{command:?} {flood:02x?}");
            assert!((limit..limit + 200).contains(&millis), "{command:?}: {millis} ms");
        }
        let mut transport = blocking();
        transport.open().unwrap();
        transport.io.flood = Some(flood);
        assert_eq!(transport.ping(&mut [4; 64], 1), Err(TIMEOUT));
    }
}

#[test]
fn requests_end_in_time_under_a_flood_of_any_reports_however_often_they_are_asked_for() {
    for flood in floods(1) {
        for (protocol, limit) in [(Protocol::Ctap2, 10_000), (Protocol::Ctap1, 30_000)] {
            for wait in [0, 7, 100, 60_000] {
                let mut transport = blocking();
                transport.open().unwrap();
                transport.io.flood = Some(flood);
                transport.send(protocol, &[4; 4]).unwrap();
                let mut buffer = buffer(&[4; 4]);
                let (millis, result) = timed(&mut transport, |transport| {
                    loop {
                        let start = transport.io.clock.get();
                        match transport.receive(&mut buffer, Duration::from_millis(wait)) {
                            Ok(Received::Nothing) => assert!(transport.io.clock.get() <= start + wait + 1),
                            result => return result,
                        }
                    }
                });
                assert_eq!(result, Err(TIMEOUT));
                assert!((limit..limit + 200).contains(&millis), "{protocol:?}, {wait}: {millis} ms");
            }
        }
    }
}

#[test]
fn the_answer_behind_a_flood_that_waited_beyond_the_time_is_still_taken() {
    let mut transport = blocking();
    let mut buffer = buffer(&[4, 5]);
    transport.send(Protocol::Ctap2, &[4, 5]).unwrap();
    transport.io.clock.set(transport.io.clock.get() + 60_000); // the client was asleep
    transport.io.left_over = vec![single(2, HidCommand::KEEPALIVE, &[1]); LEFT_OVER - 1];
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(2)));
}

#[test]
fn keep_alives_that_never_end_are_a_timeout_after_ten_minutes() {
    for command in [HidCommand::CBOR, HidCommand::MSG, HidCommand::PING, HidCommand(0x41)] {
        let mut transport = blocking();
        transport.open().unwrap();
        transport.io.flood = Some(single(1, HidCommand::KEEPALIVE, &[2]));
        let (millis, result) = timed(&mut transport, |transport| transport.command(command, &mut [4; 64], 1));
        assert_eq!(result, Err(TIMEOUT));
        assert!((600_000..600_200).contains(&millis), "{command:?}: {millis} ms");
    }
}

#[test]
fn an_authenticator_that_says_busy_without_end_is_reported_after_30_seconds() {
    let mut transport = blocking();
    transport.open().unwrap();
    transport.io.flood = Some(error_report(1, HidErrorCode::CHANNEL_BUSY));
    let (millis, result) = timed(&mut transport, |transport| transport.ping(&mut [4; 64], 1));
    assert_eq!(result, Err(BUSY));
    assert!((30_000..30_200).contains(&millis), "{millis} ms");
}

#[test]
fn a_cancelled_wait_for_a_busy_device_ends_at_once_under_a_flood() {
    let (mut transport, _) = occupied();
    let mut buffer = buffer(&[4; 100]);
    transport.receive(&mut buffer, Duration::from_millis(1_050)).unwrap();
    transport.cancel().unwrap();
    transport.io.flood = Some(single(9, HidCommand::KEEPALIVE, &[2]));
    let (millis, result) = timed(&mut transport, |transport| transport.receive(&mut buffer, SECOND));
    assert_eq!(result, Err(BUSY));
    assert!(millis < 200, "{millis} ms");
}

#[test]
fn a_request_that_the_pipe_takes_too_slowly_is_a_timeout_after_ten_seconds() {
    let mut transport = blocking();
    transport.open().unwrap();
    // 129 packets take 9 s, which is too slow for the device.
    transport.io.slow = 70;
    let mut buffer = vec![1; MAX_MESSAGE];
    assert_eq!(transport.ping(&mut buffer, MAX_MESSAGE), Err(HidError::Device(HidErrorCode::MSG_TIMEOUT)));
    for flood in [None, Some(single(9, HidCommand::KEEPALIVE, &[2]))] {
        let mut transport = blocking();
        transport.open().unwrap();
        (transport.io.slow, transport.io.deaf, transport.io.flood) = (700, true, flood);
        let (millis, result) = timed(&mut transport, |transport| transport.send(Protocol::Ctap2, &buffer));
        assert_eq!(result, Err(TIMEOUT));
        assert!((10_000..11_500).contains(&millis), "{millis} ms");
        let nothing = transport.receive(&mut buffer, SECOND);
        assert_eq!(nothing, Ok(Received::Nothing), "nothing is under way");
    }
}

#[test]
fn the_async_transport_ends_in_time_under_floods_too() {
    // The second INIT gets channel 2.
    for flood in floods(2).into_iter().chain([single(2, HidCommand::KEEPALIVE, &[2])]) {
        let (mut pipe, clock) = pipe();
        pipe.flood = Some(flood);
        let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
        let session = async {
            assert_eq!(transport.open().await, Err(TIMEOUT));
            transport.io.flood = None;
            transport.open().await.unwrap();
            transport.io.flood = Some(flood);
            assert_eq!(transport.command(HidCommand::CBOR, &mut [4; 64], 1).await, Err(TIMEOUT));
            assert_eq!(transport.wink().await, Err(TIMEOUT), "the channel is opened again");
        };
        assert!(poll(session, 1).is_some());
        let clock = transport.io.clock.get();
        assert!(clock < 700_000, "{clock} ms");
    }
}
