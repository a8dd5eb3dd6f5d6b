//! What goes out to the connections of the control socket: answers, and events to those that have subscribed.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    mpsc::{self, Receiver, Sender},
};

use serde_json::{Value, json};

/// How many bytes of lines wait for a connection that does not read. The line that exceeds them waits too, however long
/// it is: an answer may be.
pub const BYTES: usize = 1 << 20;

/// The lines to one connection, in their order.
#[derive(Clone)]
pub struct Outbox(Arc<Mutex<Queue>>, Arc<Room>);

struct Queue {
    lines: Sender<Arc<str>>,
    is_subscribed: bool,
    /// Events that did not find room, and which the connection does not know of.
    lost: u32,
}

/// The room for lines that wait.
struct Room {
    taken: Mutex<Taken>,
    changed: Condvar,
    limit: usize,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    /// The connection takes no lines any more.
    is_closed: bool,
}

impl Taken {
    fn has_room(&self, limit: usize) -> bool {
        self.bytes < limit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other end of an [`Outbox`]: what is to be written.
pub struct Lines(Receiver<Arc<str>>, Arc<Room>);

impl Lines {
    /// Waits for the next line, which ends as lines do. `None`: nobody sends any more.
    pub fn next(&self) -> Option<Arc<str>> {
        self.0.recv().ok()
    }

    /// A line was written: its room is free.
    pub fn written(&self, line: &str) {
        let mut taken = lock(&self.1.taken);
        taken.bytes = taken.bytes.saturating_sub(line.len());
        self.1.changed.notify_all();
    }
}

impl Drop for Lines {
    /// Nothing is written any more: whoever waits for room need not.
    fn drop(&mut self) {
        lock(&self.1.taken).is_closed = true;
        self.1.changed.notify_all();
    }
}

/// An outbox in which so many bytes of lines can wait, and its other end.
pub fn outbox(limit: usize) -> (Outbox, Lines) {
    let (lines, received) = mpsc::channel();
    let room = Arc::new(Room { taken: Mutex::default(), changed: Condvar::new(), limit });
    let queue = Queue { lines, is_subscribed: false, lost: 0 };
    (Outbox(Arc::new(Mutex::new(queue)), room.clone()), Lines(received, room))
}

impl Outbox {
    pub fn subscribe(&self, is_subscribed: bool) {
        lock(&self.0).is_subscribed = is_subscribed;
    }

    /// Sends an answer. Waits for room: who does not read its answers is not read. Returns whether the connection is
    /// there.
    pub fn answer(&self, answer: &Value) -> bool {
        let taken = lock(&self.1.taken);
        let is_full = |taken: &mut Taken| !taken.is_closed && !taken.has_room(self.1.limit);
        drop(self.1.changed.wait_while(taken, is_full));
        let mut queue = lock(&self.0);
        let lost = std::mem::take(&mut queue.lost);
        (lost == 0 || self.push(&queue, lost_line(lost))) && self.push(&queue, line(answer))
    }

    /// Sends an event, if the connection has subscribed and there is room. Does not wait.
    fn event(&self, line: &Arc<str>) {
        let mut queue = lock(&self.0);
        if !queue.is_subscribed {
            return;
        }
        if !lock(&self.1.taken).has_room(self.1.limit) {
            queue.lost = queue.lost.saturating_add(1);
            return;
        }
        let lost = std::mem::take(&mut queue.lost);
        if lost > 0 {
            self.push(&queue, lost_line(lost));
        }
        self.push(&queue, line.clone()); // a connection that has gone is dismissed by its reader
    }

    /// Returns whether the connection is there.
    fn push(&self, queue: &Queue, line: Arc<str>) -> bool {
        let mut taken = lock(&self.1.taken);
        taken.bytes = taken.bytes.saturating_add(line.len());
        !taken.is_closed && queue.lines.send(line).is_ok()
    }
}

fn line(message: &Value) -> Arc<str> {
    format!("{message}\n").into()
}

fn lost_line(count: u32) -> Arc<str> {
    line(&json!({ "event": "lost", "count": count }))
}

/// The connections that events are for.
#[derive(Clone, Default)]
pub struct Audience(Arc<Mutex<Vec<Outbox>>>);

impl Audience {
    /// Adds a connection, unless there are so many already.
    pub fn admit(&self, outbox: &Outbox, most: usize) -> bool {
        let mut outboxes = lock(&self.0);
        let has_room = outboxes.len() < most;
        if has_room {
            outboxes.push(outbox.clone());
        }
        has_room
    }

    pub fn dismiss(&self, outbox: &Outbox) {
        lock(&self.0).retain(|other| !Arc::ptr_eq(&other.0, &outbox.0));
    }

    /// Tells all that have subscribed.
    pub fn tell(&self, event: &str, members: &Value) {
        let outboxes = lock(&self.0);
        if outboxes.is_empty() {
            return;
        }
        let mut object = members.clone();
        if let Some(object) = object.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        object["event"] = event.into();
        let line = line(&object);
        outboxes.iter().for_each(|outbox| outbox.event(&line));
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    /// The next line, if there is one.
    fn next(lines: &Lines) -> Option<Value> {
        let line = lines.0.try_recv().ok()?;
        lines.written(&line);
        Some(serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn events_that_find_no_room_are_counted_and_the_reader_is_told() {
        const WINK: &str = "{\"event\":\"wink\"}\n";
        let (outbox, lines) = outbox(2 * WINK.len());
        let audience = Audience::default();
        let winks = |count| (0..count).for_each(|_| audience.tell("wink", &json!({})));
        let wink = Some(json!({ "event": "wink" }));
        assert!(audience.admit(&outbox, 1) && !audience.admit(&outbox, 1));
        winks(1); // it has not subscribed
        outbox.subscribe(true);
        winks(5);
        assert_eq!((next(&lines), next(&lines), next(&lines)), (wink.clone(), wink.clone(), None), "three were lost");
        winks(1);
        assert_eq!((next(&lines), next(&lines)), (Some(json!({ "event": "lost", "count": 3 })), wink.clone()));
        // Before an answer, too.
        winks(4);
        assert_eq!((next(&lines), next(&lines)), (wink.clone(), wink));
        assert!(outbox.answer(&json!({ "id": 1 })));
        assert_eq!(next(&lines), Some(json!({ "event": "lost", "count": 2 })));
        assert_eq!(next(&lines), Some(json!({ "id": 1 })));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_one_line_and_others_lose_nothing() {
        const LIMIT: usize = 10_000;
        let ((slow, its), (other, lines)) = (outbox(LIMIT), outbox(LIMIT));
        let audience = Audience::default();
        for outbox in [&slow, &other] {
            assert!(audience.admit(outbox, 2));
            outbox.subscribe(true);
        }
        let members = json!({ "peer": "x".repeat(999) });
        for _ in 0..1000 {
            audience.tell("opened", &members);
            assert_eq!(next(&lines).unwrap()["event"], "opened");
        }
        let waiting: Vec<_> = std::iter::from_fn(|| its.0.try_recv().ok()).collect();
        let bytes: usize = waiting.iter().map(|line| line.len()).sum();
        assert!((LIMIT..LIMIT + 1100).contains(&bytes), "{bytes}");
        waiting.iter().for_each(|line| its.written(line));
        audience.tell("wink", &json!({}));
        let lost = 1000 - waiting.len();
        assert_eq!(next(&its), Some(json!({ "event": "lost", "count": lost })));
        assert_eq!((next(&its), next(&lines)), (Some(json!({ "event": "wink" })), Some(json!({ "event": "wink" }))));
    }

    #[test]
    fn an_answer_waits_for_room_until_the_connection_has_gone() {
        let (outbox, lines) = outbox(5);
        assert!(outbox.answer(&json!({ "id": "an answer may be longer than the room" })));
        let waits = |outbox: Outbox| thread::spawn(move || outbox.answer(&json!({ "id": 2 })));
        let second = waits(outbox.clone());
        thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished());
        assert!(next(&lines).is_some());
        assert!(second.join().unwrap());
        let third = waits(outbox.clone());
        thread::sleep(Duration::from_millis(50));
        assert!(!third.is_finished());
        drop(lines);
        assert!(!third.join().unwrap());
        assert!(!outbox.answer(&json!({ "id": 4 })));
    }
}
