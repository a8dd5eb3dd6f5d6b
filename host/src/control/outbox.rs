//! What goes out to the connections of the control socket: answers, and events to those that have subscribed.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    mpsc::{SyncSender, TrySendError},
};

use serde_json::{Value, json};

/// How many lines wait for a connection that does not read.
pub const LINES: usize = 4096;

/// The lines to one connection, in their order.
#[derive(Clone)]
pub struct Outbox(Arc<Mutex<Lines>>);

struct Lines {
    lines: SyncSender<String>,
    is_subscribed: bool,
    /// Events that did not find room, and which the connection does not know of.
    lost: u32,
}

impl Outbox {
    pub fn new(lines: SyncSender<String>) -> Self {
        Self(Arc::new(Mutex::new(Lines { lines, is_subscribed: false, lost: 0 })))
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(&self, is_subscribed: bool) {
        self.lock().is_subscribed = is_subscribed;
    }

    /// Sends an answer. Waits for room: who does not read its answers is not read. Returns whether the connection is
    /// there.
    pub fn answer(&self, answer: &Value) -> bool {
        let (lines, lost) = {
            let mut outbox = self.lock();
            (outbox.lines.clone(), std::mem::take(&mut outbox.lost))
        };
        (lost == 0 || lines.send(lost_line(lost)).is_ok()) && lines.send(answer.to_string()).is_ok()
    }

    /// Sends an event, if the connection has subscribed and there is room. Does not wait. Returns whether the connection
    /// is there.
    fn event(&self, line: &str) -> bool {
        let mut outbox = self.lock();
        if !outbox.is_subscribed {
            return true;
        }
        if outbox.lost > 0 {
            match outbox.lines.try_send(lost_line(outbox.lost)) {
                Ok(()) => outbox.lost = 0,
                Err(TrySendError::Full(_)) => {
                    outbox.lost = outbox.lost.saturating_add(1);
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        match outbox.lines.try_send(line.to_owned()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                outbox.lost = 1;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

fn lost_line(count: u32) -> String {
    json!({ "event": "lost", "count": count }).to_string()
}

/// The connections that events are for.
#[derive(Clone, Default)]
pub struct Audience(Arc<Mutex<Vec<Outbox>>>);

impl Audience {
    fn lock(&self) -> MutexGuard<'_, Vec<Outbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, unless there are so many already.
    pub fn admit(&self, outbox: &Outbox, most: usize) -> bool {
        let mut outboxes = self.lock();
        let has_room = outboxes.len() < most;
        if has_room {
            outboxes.push(outbox.clone());
        }
        has_room
    }

    pub fn dismiss(&self, outbox: &Outbox) {
        self.lock().retain(|other| !Arc::ptr_eq(&other.0, &outbox.0));
    }

    /// Tells all that have subscribed.
    pub fn tell(&self, event: &str, members: &Value) {
        let outboxes = self.lock();
        if outboxes.is_empty() {
            return;
        }
        let mut object = members.clone();
        if let Some(object) = object.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        object["event"] = event.into();
        let line = object.to_string();
        for outbox in outboxes.iter() {
            outbox.event(&line); // one that is gone is dismissed by its reader
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn events_that_find_no_room_are_counted_and_the_reader_is_told() {
        let (sender, lines) = mpsc::sync_channel(2);
        let (audience, outbox) = (Audience::default(), Outbox::new(sender));
        assert!(audience.admit(&outbox, 1) && !audience.admit(&outbox, 1));
        audience.tell("wink", &json!({})); // it has not subscribed
        outbox.subscribe(true);
        for _ in 0..5 {
            audience.tell("wink", &json!({}));
        }
        let next = || serde_json::from_str::<Value>(&lines.try_recv().unwrap()).unwrap();
        assert_eq!((next()["event"].clone(), next()["event"].clone()), ("wink".into(), "wink".into()));
        assert!(lines.try_recv().is_err(), "three were lost");
        audience.tell("wink", &json!({}));
        assert_eq!(next(), json!({ "event": "lost", "count": 3 }));
        assert_eq!(next(), json!({ "event": "wink" }));
        // Before an answer, too.
        for _ in 0..4 {
            audience.tell("wink", &json!({}));
        }
        assert_eq!((next()["event"].clone(), next()["event"].clone()), ("wink".into(), "wink".into()));
        assert!(outbox.answer(&json!({ "id": 1 })));
        assert_eq!((next(), next()), (json!({ "event": "lost", "count": 2 }), json!({ "id": 1 })));
    }
}
