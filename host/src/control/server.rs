//! Connections to the control socket: lines in, lines out.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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
    lines::{LONGEST, Lines, Next, PATIENCE, Patience, Source},
    outbox::{self, Audience, BYTES, Outbox},
    perform,
};

/// How many connections there can be.
const CONNECTIONS: usize = 32;
/// How many more have a thread that tells them that there are too many, and waits until they have read it.
const REFUSED: usize = 32;
/// How many ceremonies can run at once.
const CEREMONIES: usize = 16;
/// A connection that takes nothing for this long is closed.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How long a client that was refused may take to close its end.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to wait after a connection could not be accepted.
const REST: Duration = Duration::from_millis(100);

/// What the socket controls.
#[derive(Clone)]
pub struct Controlled {
    pub hub: HubHandle,
    pub control: Control,
    pub audience: Audience,
    patience: Patience,
    ceremonies: Arc<AtomicUsize>,
    /// Connections, with those that are refused.
    connections: Arc<AtomicUsize>,
}

impl Controlled {
    pub fn new(hub: HubHandle, control: Control, audience: Audience) -> Self {
        let (ceremonies, connections) = Default::default();
        Self { hub, control, audience, patience: PATIENCE, ceremonies, connections }
    }
}

/// A socket that clients connect to.
pub enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connected socket.
trait Connection: Source + Write + Send + Sized + 'static {
    fn again(&self) -> io::Result<Self>;
    fn bound_writes(&self) -> io::Result<()>;
    fn close(&self, how: Shutdown);
}

macro_rules! connection {
    ($stream:ty) => {
        impl Source for $stream {
            fn bound_reads(&self, time: Option<Duration>) -> io::Result<()> {
                self.set_read_timeout(time)
            }
        }

        impl Connection for $stream {
            fn again(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn bound_writes(&self) -> io::Result<()> {
                self.set_write_timeout(Some(LONGEST_WRITE))
            }

            fn close(&self, how: Shutdown) {
                let _ = self.shutdown(how); // it is closed already
            }
        }
    };
}

connection!(TcpStream);
#[cfg(unix)]
connection!(UnixStream);

/// Serves clients, as long as the process lives.
pub fn serve(listener: Listener, controlled: Controlled) {
    thread::spawn(move || match listener {
        Listener::Tcp(listener) => accept(&controlled, || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }),
        #[cfg(unix)]
        Listener::Unix(listener) => accept(&controlled, || listener.accept().map(|(stream, _)| stream)),
    });
}

fn accept<S: Connection>(controlled: &Controlled, mut accept: impl FnMut() -> io::Result<S>) {
    loop {
        match accept() {
            Ok(mut stream) => {
                let controlled = controlled.clone();
                let connections = controlled.connections.clone();
                if connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS.saturating_add(REFUSED) {
                    connections.fetch_sub(1, Ordering::Relaxed);
                    // There is room for it: nothing was written yet.
                    let _ = stream.write_all(format!("{}\n", busy().answer(&Value::Null)).as_bytes());
                    continue;
                }
                let serve = move || {
                    // A connection that cannot be set up has gone.
                    let _ = connection(stream, &controlled);
                    controlled.connections.fetch_sub(1, Ordering::Relaxed);
                };
                // One for which there is no thread is closed.
                if thread::Builder::new().spawn(serve).is_err() {
                    connections.fetch_sub(1, Ordering::Relaxed);
                    thread::sleep(REST);
                }
            }
            // The client has gone, or there are no files.
            Err(_) => thread::sleep(REST),
        }
    }
}

/// Why a connection is closed that is one too many.
fn busy() -> Refusal {
    Refusal::new("busy", "", format!("there are {CONNECTIONS} connections already"))
}

fn connection<S: Connection>(stream: S, controlled: &Controlled) -> io::Result<()> {
    stream.bound_writes()?;
    let (outbox, lines) = outbox::outbox(BYTES);
    let (mut writer, mut reader) = (stream.again()?, Lines::new(stream, controlled.patience));
    let written = thread::Builder::new().spawn(move || {
        while let Some(line) = lines.next() {
            if writer.write_all(line.as_bytes()).is_err() {
                return writer.close(Shutdown::Both);
            }
            lines.written(&line);
        }
        writer.close(Shutdown::Write);
    })?;
    if controlled.audience.admit(&outbox, CONNECTIONS) {
        let has_gone = Arc::default();
        read(&mut reader, &outbox, controlled, &has_gone);
        // Nobody waits for its ceremonies: the key is free for others.
        has_gone.store(true, Ordering::Relaxed);
        controlled.audience.dismiss(&outbox);
    } else {
        outbox.answer(&busy().answer(&Value::Null));
    }
    drop(outbox);
    // What is under way is answered; then the writer closes.
    let _ = written.join();
    reader.pass(FAREWELL);
    Ok(())
}

/// Acts on lines until the connection ends, or a line is none.
fn read<S: Connection>(lines: &mut Lines<S>, outbox: &Outbox, controlled: &Controlled, has_gone: &Arc<AtomicBool>) {
    let Patience { first, line } = controlled.patience;
    let refusal = loop {
        match lines.next() {
            Next::Line(line) if act(&line, outbox, controlled, has_gone) => {}
            Next::Line(_) | Next::End => return,
            Next::TooLong => break Refusal::new("tooLong", "", format!("a line has at most {LONGEST} bytes")),
            Next::Silent => break Refusal::new("silent", "", format!("the first line comes within {first:?}")),
            Next::Unfinished => {
                break Refusal::new("silent", "", format!("a line that has begun ends within {line:?}"));
            }
        }
    };
    outbox.answer(&refusal.answer(&Value::Null));
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

#[cfg(all(test, unix))]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        sync::mpsc,
    };

    use keyfob_soft_authenticator::devices::{KeyOptions, VirtualKey, hub::Hub};

    use super::*;

    const SHORT: Patience = Patience { first: Duration::from_millis(300), line: Duration::from_millis(150) };

    fn controlled() -> Controlled {
        let (sender, handle) = mpsc::channel();
        thread::spawn(move || {
            let options = KeyOptions::workstation();
            let mut memory = vec![0; options.config.buffer_len()];
            let (mut key, _) = VirtualKey::controlled(&mut memory, options).unwrap();
            let mut hub = Hub::new(&mut key).unwrap();
            sender.send(hub.handle()).unwrap();
            hub.run(|_| {}).unwrap();
        });
        let hub = handle.recv().unwrap();
        let control = hub.control().unwrap().clone();
        Controlled { patience: SHORT, ..Controlled::new(hub, control, Audience::default()) }
    }

    fn connected(controlled: &Controlled) -> UnixStream {
        let (client, server) = UnixStream::pair().unwrap();
        let controlled = controlled.clone();
        thread::spawn(move || connection(server, &controlled).unwrap());
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    }

    #[test]
    fn who_says_nothing_or_half_a_line_is_told_and_closed_and_who_waits_for_events_stays() {
        let controlled = controlled();
        let mut waits = connected(&controlled);
        let mut answers = BufReader::new(waits.try_clone().unwrap()).lines();
        waits.write_all(b"{\"id\": 1, \"verb\": \"subscribe\"}\n").unwrap();
        answers.next().unwrap().unwrap();
        for half in ["", "{\"id\": 1, \"verb\": \"unplug\"}"] {
            let mut client = connected(&controlled);
            client.write_all(half.as_bytes()).unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            let refusal: Value = serde_json::from_str(&said).unwrap();
            assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!("silent"), &Value::Null), "{half}");
        }
        assert!(controlled.control.is_plugged_in());
        controlled.audience.tell("wink", &json!({}));
        assert_eq!(answers.next().unwrap().unwrap(), r#"{"event":"wink"}"#);
        waits.write_all(b"{\"id\": 2, \"verb\": \"status\"}\n").unwrap();
        assert!(answers.next().unwrap().unwrap().contains("isPluggedIn"));
        controlled.hub.stop();
    }
}
