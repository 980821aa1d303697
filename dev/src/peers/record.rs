//! The call recorder: every call, for tests to inspect.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::contract::{CallName, Peer};
use super::state::{now_ms, now_us};
use super::trace::CallTrace;

/// One call to a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedCall {
    /// Counts from 0, in the order in which the calls came in.
    pub number: u64,
    /// Which service was called.
    pub peer: Peer,
    /// What was asked of it.
    pub call: CallName,
    /// The order that it was about, if known.
    pub order_id: Option<String>,
    /// What it was about besides: an event of Catalog, the type and the number of an event that was sent, the type of a message.
    #[serde(default)]
    pub detail: Option<String>,
    /// The seats that it was about, if known.
    pub seat_ids: Vec<i64>,
    /// Its `Idempotency-Key`.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The trace that it is a part of.
    #[serde(default)]
    pub trace: Option<CallTrace>,
    /// The status that was answered; `None` while it is under way, or when the connection was closed.
    pub status: Option<u16>,
    /// Whether the connection was closed without an answer.
    pub closed: bool,
    /// When it came in: milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it took, in milliseconds; `None` while it is under way.
    pub took_ms: Option<i64>,
    /// When it came in and when it was answered, in microseconds since 1970.
    #[serde(skip)]
    pub(super) precise: (i64, Option<i64>),
}

/// The calls so far.
#[derive(Default)]
pub(super) struct Recorder {
    pub calls: VecDeque<RecordedCall>,
    /// How often each call came in, named like `seating.reserve`.
    pub counts: BTreeMap<(Peer, CallName), u64>,
    /// How many calls are under way.
    pub open: usize,
    /// The keys of charges that are under way, by number.
    open_keys: BTreeMap<u64, String>,
    next: u64,
}

impl Recorder {
    /// Of the calls, no more than `limit` are kept; the counts go on.
    pub fn start(&mut self, call: &Call, limit: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open += 1;
        *self.counts.entry((call.peer, call.name)).or_default() += 1;
        if call.name == CallName::Charge {
            self.open_keys.extend(call.idempotency_key.clone().map(|key| (number, key)));
        }
        if self.calls.len() >= limit.max(1) {
            self.calls.pop_front();
        }
        self.calls.push_back(RecordedCall {
            number,
            peer: call.peer,
            call: call.name,
            order_id: call.about.order_id.clone(),
            detail: call.about.detail.clone(),
            seat_ids: call.about.seat_ids.clone(),
            idempotency_key: call.idempotency_key.clone(),
            trace: call.about.trace.clone(),
            status: None,
            closed: false,
            started_at_ms: now_ms(),
            took_ms: None,
            precise: (now_us(), None),
        });
        number
    }

    /// `status`: `None` when the connection is closed without an answer.
    pub fn finish(&mut self, number: u64, status: Option<u16>) {
        self.open = self.open.saturating_sub(1);
        self.open_keys.remove(&number);
        let Some(first) = self.calls.front().map(|call| call.number) else {
            return;
        };
        let index = number.checked_sub(first).map(|index| index as usize);
        // It may have been forgotten, or cleared away, meanwhile.
        if let Some(call) = index.and_then(|index| self.calls.get_mut(index)) {
            call.status = status;
            call.closed = status.is_none();
            call.took_ms = Some(now_ms() - call.started_at_ms);
            call.precise.1 = Some(now_us());
        }
    }

    /// Whether a charge under this key is under way.
    pub fn has_open_key(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| self.open_keys.values().any(|open| open == key))
    }

    /// Clears the record. Numbers are not reused, so that an open call does not finish as another one.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.counts.clear();
    }
}
