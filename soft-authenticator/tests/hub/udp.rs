//! The key on a datagram socket.

use std::net::UdpSocket;

use super::*;

fn client(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> [u8; REPORT_LEN] {
    let mut buffer = [0; 100];
    assert_eq!(socket.recv(&mut buffer).unwrap(), REPORT_LEN);
    buffer[..REPORT_LEN].try_into().unwrap()
}

fn served() -> (SocketAddr, Events) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (_, events, _) = hub(Config::new([0xAA; 16]), Touch::Auto, |hub| hub.listen_udp(socket).unwrap());
    (address, events)
}

#[test]
fn each_datagram_is_a_report_and_every_sender_sees_all_answers() {
    let (address, events) = served();
    let (first, second) = (client(address), client(address));
    first.send(&init(1)).unwrap();
    let channel: [u8; 4] = receive(&first)[15..19].try_into().unwrap();
    second.send(&init(2)).unwrap();
    assert_eq!((receive(&first)[7], receive(&second)[7]), (2, 2));
    let mut request = [0; REPORT_LEN];
    request[..8].copy_from_slice(&[channel[0], channel[1], channel[2], channel[3], 0x90, 0, 1, Command::GET_INFO.0]);
    first.send(&request).unwrap();
    let answer = receive(&first);
    assert_eq!((&answer[..5], answer[7]), (&[&channel[..], &[0x90]].concat()[..], 0));
    assert_eq!(receive(&second), answer);
    let peers = [&first, &second].map(|socket| Peer::Udp(socket.local_addr().unwrap()));
    assert_eq!(noted(&events, 3), [HubEvent::PluggedIn, HubEvent::Opened(peers[0]), HubEvent::Opened(peers[1])]);
}

#[test]
fn a_sender_that_does_not_begin_with_init_on_broadcast_is_not_heard() {
    let (address, events) = served();
    let (stranger, long, first) = (client(address), client(address), client(address));
    let mut ping = init(1);
    ping[4] = 0x81;
    stranger.send(&ping).unwrap();
    long.send(&[&init(1)[..], &[0]].concat()).unwrap();
    stranger.send(&[]).unwrap();
    first.send(&init(3)).unwrap();
    assert_eq!(receive(&first)[7], 3);
    let noted = noted(&events, 5);
    assert!(noted[..3].iter().all(|event| matches!(event, HubEvent::Stranger(_))), "{noted:?}");
    for socket in [stranger, long] {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(socket.recv(&mut [0; 64]).is_err(), "nothing is sent to strangers");
    }
}
