//! Connections to the control socket: lines in, lines out.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};

use keyfob_soft_authenticator::{devices::hub::HubHandle, testing::Control};
use serde_json::{Value, json};

use super::{
    check::{self, Refusal, Request},
    outbox::{Audience, LINES, Outbox},
    perform,
};

/// The longest line, in bytes.
pub const LONGEST: u64 = 64 << 10;
/// How many connections there can be.
const CONNECTIONS: usize = 32;
/// How many ceremonies can run at once.
const CEREMONIES: usize = 16;
/// A connection that takes no line for this long is closed.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be accepted.
const REST: Duration = Duration::from_millis(100);

/// What the socket controls.
#[derive(Clone)]
pub struct Controlled {
    pub hub: HubHandle,
    pub control: Control,
    pub audience: Audience,
    ceremonies: Arc<AtomicUsize>,
}

impl Controlled {
    pub fn new(hub: HubHandle, control: Control, audience: Audience) -> Self {
        Self { hub, control, audience, ceremonies: Arc::default() }
    }
}

/// A socket that clients connect to.
pub enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connected socket.
trait Connection: Read + Write + Send + Sized + 'static {
    fn again(&self) -> io::Result<Self>;
    fn bound_writes(&self) -> io::Result<()>;
    fn close(&self);
}

impl Connection for TcpStream {
    fn again(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn bound_writes(&self) -> io::Result<()> {
        self.set_nodelay(true)?;
        self.set_write_timeout(Some(LONGEST_WRITE))
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both); // it is closed already
    }
}

#[cfg(unix)]
impl Connection for UnixStream {
    fn again(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn bound_writes(&self) -> io::Result<()> {
        self.set_write_timeout(Some(LONGEST_WRITE))
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both); // it is closed already
    }
}

/// Serves clients, as long as the process lives.
pub fn serve(listener: Listener, controlled: Controlled) {
    thread::spawn(move || match listener {
        Listener::Tcp(listener) => accept(&controlled, || listener.accept().map(|(stream, _)| stream)),
        #[cfg(unix)]
        Listener::Unix(listener) => accept(&controlled, || listener.accept().map(|(stream, _)| stream)),
    });
}

fn accept<S: Connection>(controlled: &Controlled, mut accept: impl FnMut() -> io::Result<S>) {
    loop {
        match accept() {
            Ok(stream) => {
                let controlled = controlled.clone();
                // A connection that cannot be set up has gone; one for which there is no thread is closed.
                if thread::Builder::new().spawn(move || drop(connection(stream, &controlled))).is_err() {
                    thread::sleep(REST);
                }
            }
            // The client has gone, or there are no files.
            Err(_) => thread::sleep(REST),
        }
    }
}

fn connection<S: Connection>(stream: S, controlled: &Controlled) -> io::Result<()> {
    stream.bound_writes()?;
    let (sender, lines) = mpsc::sync_channel(LINES);
    let (mut writer, reader) = (stream.again()?, stream.again()?);
    let written = thread::Builder::new().spawn(move || {
        for line in lines {
            if writer.write_all(format!("{line}\n").as_bytes()).is_err() {
                break;
            }
        }
        writer.close();
    })?;
    let outbox = Outbox::new(sender);
    if controlled.audience.admit(&outbox, CONNECTIONS) {
        let has_gone = Arc::default();
        read(BufReader::new(reader), &outbox, controlled, &has_gone);
        // Nobody waits for its ceremonies: the key is free for others.
        has_gone.store(true, Ordering::Relaxed);
        controlled.audience.dismiss(&outbox);
    } else {
        let busy = Refusal::new("busy", "", format!("there are {CONNECTIONS} connections already"));
        outbox.answer(&busy.answer(&Value::Null));
    }
    drop(outbox);
    // What is under way is answered; then the writer closes.
    let _ = written.join();
    Ok(())
}

/// Acts on lines until the connection ends, or a line is none.
fn read(mut lines: impl BufRead, outbox: &Outbox, controlled: &Controlled, has_gone: &Arc<AtomicBool>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if line.last() != Some(&b'\n') {
            let is_long = u64::try_from(line.len()).is_ok_and(|len| len >= LONGEST);
            let refusal = Refusal::new("tooLong", "", format!("a line has at most {LONGEST} bytes"));
            // The end of a connection in the middle of a line is no request.
            if is_long {
                outbox.answer(&refusal.answer(&Value::Null));
            }
            return;
        }
        let line = line.trim_ascii();
        if !line.is_empty() && !act(line, outbox, controlled, has_gone) {
            return;
        }
    }
}

/// Acts on a line. Returns whether another one may follow: not after one that is no JSON object, for that is what a
/// browser sends.
fn act(line: &[u8], outbox: &Outbox, controlled: &Controlled, has_gone: &Arc<AtomicBool>) -> bool {
    let request = match check::request(line) {
        Ok(request) => request,
        Err((id, refusal)) => {
            return outbox.answer(&refusal.answer(&id)) && !matches!(refusal.code, "parse" | "http");
        }
    };
    match request.verb.name {
        "subscribe" => outbox.subscribe(true),
        "unsubscribe" => outbox.subscribe(false),
        _ => {}
    }
    if !perform::is_ceremony(&request) {
        return answer(&request, outbox, controlled, has_gone);
    }
    let id = request.id.clone();
    let busy = |what: &str| outbox.answer(&Refusal::new("busy", "", what).answer(&id));
    if controlled.ceremonies.fetch_add(1, Ordering::Relaxed) >= CEREMONIES {
        controlled.ceremonies.fetch_sub(1, Ordering::Relaxed);
        return busy(&format!("{CEREMONIES} ceremonies run already"));
    }
    let work = {
        let (outbox, controlled, has_gone) = (outbox.clone(), controlled.clone(), has_gone.clone());
        move || {
            answer(&request, &outbox, &controlled, &has_gone);
            controlled.ceremonies.fetch_sub(1, Ordering::Relaxed);
        }
    };
    if thread::Builder::new().spawn(work).is_err() {
        controlled.ceremonies.fetch_sub(1, Ordering::Relaxed);
        return busy("the system gives no thread for a ceremony");
    }
    true
}

/// Does what is asked for, and answers. Returns whether the connection is there.
fn answer(request: &Request, outbox: &Outbox, controlled: &Controlled, has_gone: &Arc<AtomicBool>) -> bool {
    let answer = match perform::perform(request, &controlled.hub, &controlled.control, has_gone) {
        Ok(result) => json!({ "id": request.id, "result": result }),
        Err(refusal) => refusal.answer(&request.id),
    };
    outbox.answer(&answer)
}
