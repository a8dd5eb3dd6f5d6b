//! Plain WebDriver: the program, and requests to it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

/// A `keyfob webdriver`, until it is dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// With these arguments besides `--listen`.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        command.args(["webdriver", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("WebDriver listens at http://").expect(&line).parse().unwrap();
        Self { process, address }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A new session.
    pub fn session(&self) -> Session {
        Session::begin(self.address)
    }

    /// Asks it to end, and returns its exit status.
    pub fn end(mut self) -> Option<i32> {
        self.terminate();
        self.wait()
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Its exit status, when it has ended.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends its driver. Nothing else has its number before it is collected here.
        if matches!(self.process.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.process.wait();
        }
    }
}

/// A free port of the loopback interface.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Sends a request with these header lines and body, and returns the connection.
pub fn send(address: SocketAddr, line: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    stream
}

/// The status and the value of a response.
pub fn receive(mut stream: TcpStream) -> (u16, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    assert!(head.to_lowercase().contains("content-type: application/json; charset=utf-8"), "{head}");
    let body: Value = serde_json::from_str(body).expect(body);
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body["value"].clone())
}

/// A command of WebDriver.
pub fn call(address: SocketAddr, line: &str, body: &str) -> (u16, Value) {
    receive(send(address, line, &format!("Host: {address}\r\n"), body))
}

/// The code of an error in the form of WebDriver §6.6; nothing else is one.
pub fn error((status, value): (u16, Value)) -> (u16, String) {
    let members: Vec<_> = value.as_object().unwrap_or_else(|| panic!("{value}")).keys().collect();
    assert_eq!(members, ["error", "message", "stacktrace"]);
    assert!(value["message"].as_str().unwrap().len() > 5 && value["stacktrace"].is_string(), "{value}");
    (status, value["error"].as_str().unwrap().to_owned())
}

pub const INVALID_ARGUMENT: (u16, &str) = (400, "invalid argument");
pub const UNSUPPORTED_OPERATION: (u16, &str) = (500, "unsupported operation");

/// A session, and a short way to its authenticators.
pub struct Session {
    pub address: SocketAddr,
    pub id: String,
}

impl Session {
    pub fn begin(address: SocketAddr) -> Self {
        let (status, made) = call(address, "POST /session", r#"{"capabilities": {}}"#);
        assert_eq!(status, 200, "{made}");
        Self { address, id: made["sessionId"].as_str().unwrap().to_owned() }
    }

    /// The method, and the path behind `webauthn/`.
    pub fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        call(self.address, &format!("{method} /session/{}/webauthn/{path}", self.id), body)
    }

    /// The value of a command that succeeds.
    pub fn value(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.call(method, path, &body.to_string());
        assert_eq!(status, 200, "{value}");
        value
    }

    /// A new authenticator with discoverable credentials and user verification, and `more` parameters.
    pub fn add(&self, more: &Value) -> String {
        let mut parameters = json!({
            "protocol": "ctap2_1", "transport": "usb", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true,
        });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = self.value("POST", "authenticator", &parameters);
        id.as_str().unwrap().to_owned()
    }

    pub fn remove(&self, authenticator: &str) {
        assert!(self.value("DELETE", &format!("authenticator/{authenticator}"), &Value::Null).is_null());
    }

    pub fn credentials(&self, authenticator: &str) -> Vec<Value> {
        let credentials = self.value("GET", &format!("authenticator/{authenticator}/credentials"), &Value::Null);
        credentials.as_array().unwrap().clone()
    }

    pub fn refused(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        error(self.call(method, path, &body.to_string()))
    }
}

/// For comparison with an error.
pub fn as_error((status, code): (u16, &str)) -> (u16, String) {
    (status, code.to_owned())
}
