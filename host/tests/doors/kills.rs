//! A key process that is killed while it registers, and started again on its store.

use std::{thread, time::Duration};

use keyfob_core::{Status, transport::hid::HidCommand};

use super::{
    FULL,
    client::{Client, registration},
    door::Door,
    key::Process,
};

const SERVED: [&str; 4] = ["tcp", "unix", "udp", "usbip"];
const DOORS: [&str; 5] = ["tcp", "unix", "udp", "usbip", "packets"];
/// How often it is killed at each door: after each packet of the request, and then later and later.
const KILLS: usize = 8;

/// Whether the key had begun to answer with success when it was killed.
fn was_acknowledged(client: &mut Client) -> bool {
    let mut reports = Vec::new();
    while let Ok(Some(report)) = client.connection.receive(Duration::from_millis(100)) {
        if report[..5] == [&client.channel.to_be_bytes()[..], &[0x80 | HidCommand::CBOR.0]].concat() {
            reports.push(report);
        }
    }
    reports.first().is_some_and(|report| report[7] == Status::OK.0)
}

/// A key, and its door of this name: packets are those below `keyfob run`.
fn start(name: &str, options: &[&str]) -> (Process, Door) {
    if name == "packets" {
        let key = Process::run(options);
        let door = key.packets();
        return (key, door);
    }
    let key = Process::serve(&SERVED, options);
    let door = key.door(name);
    (key, door)
}

#[test]
fn a_key_that_is_killed_while_it_registers_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let options = [FULL, &["--store", store.to_str().unwrap()]].concat();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        for (index, name) in DOORS.iter().enumerate() {
            let (mut key, door) = start(name, &options);
            let rp_id = format!("{name}-{kill}.example");
            let mut client = Client::open(&door);
            let packets = client.packets(HidCommand::CBOR, &registration(&rp_id));
            packets.iter().take(kill.max(1)).for_each(|packet| client.connection.send(packet).unwrap());
            if let Some(later) = kill.checked_sub(packets.len()) {
                thread::sleep(Duration::from_millis((later * DOORS.len() + index) as u64));
            }
            key.kill();
            let was_acknowledged = was_acknowledged(&mut client);
            drop(key);

            let (_key, door) = start(name, &options);
            let mut client = Client::open(&door);
            let found = client.sign_in(&rp_id);
            assert!(matches!(found, Status::OK | Status::NO_CREDENTIALS), "{found:?}");
            assert!(found == Status::OK || !was_acknowledged, "{rp_id} was acknowledged and is lost");
            assert_eq!(client.register(&rp_id), Status::OK, "the next try");
            acknowledged.push(rp_id);
            for rp_id in &acknowledged {
                assert_eq!(client.sign_in(rp_id), Status::OK, "{rp_id}");
            }
        }
    }
}
