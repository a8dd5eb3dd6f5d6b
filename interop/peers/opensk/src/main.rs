//! OpenSK, Google's authenticator, in its own test environment, behind a TCP socket: each message is one 64-byte CTAPHID
//! report, both ways. Somebody touches it at once.
//!
//! One client after the other; the key keeps its power meanwhile.

use std::{
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use opensk::{Ctap, Transport, env::Env, env::test::TestEnv};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    println!("tcp {}", listener.local_addr()?);
    let mut key = Ctap::new(TestEnv::default());
    let mut last = Instant::now();
    loop {
        let (stream, _) = listener.accept()?;
        // A client that goes away has pulled no plug.
        let _ = serve(stream, &mut key, &mut last);
    }
}

fn serve(mut stream: TcpStream, key: &mut Ctap<TestEnv>, last: &mut Instant) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut report = [0; 64];
    loop {
        stream.read_exact(&mut report)?;
        let elapsed = last.elapsed();
        *last = Instant::now();
        key.env().clock().advance(elapsed.as_millis() as usize);
        for answer in key.process_hid_packet(&report, Transport::MainHid) {
            stream.write_all(&answer)?;
        }
    }
}
