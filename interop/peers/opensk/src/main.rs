//! OpenSK, Google's authenticator, in its own test environment behind a TCP socket, which carries 64-byte CTAPHID
//! reports in both directions. Its user touches it at once.
//!
//! It serves one client after another. A connection plugs the key in.

use std::{
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use opensk::{
    ctap::{CtapState, main_hid::MainHid},
    env::{Env, test::TestEnv},
};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    println!("tcp {}", listener.local_addr()?);
    let mut env = TestEnv::default();
    loop {
        let (stream, _) = listener.accept()?;
        // A client that disconnects unplugs the key, so its error does not matter.
        let _ = serve(stream, &mut env);
    }
}

fn serve(mut stream: TcpStream, env: &mut TestEnv) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut state, mut hid, mut last) = (CtapState::new(env), MainHid::default(), Instant::now());
    let mut report = [0; 64];
    loop {
        stream.read_exact(&mut report)?;
        let elapsed = last.elapsed();
        last = Instant::now();
        env.clock().advance(elapsed.as_millis() as usize);
        for answer in hid.process_hid_packet(env, &report, false, &mut state) {
            stream.write_all(&answer)?;
        }
    }
}
