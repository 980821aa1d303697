//! Fault injection: which calls fail, and how.

mod gateway;
mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::contract::errors;
use super::contract::{CallName, Peer};
use super::{Sandbox, catalog, payment, seating, server};

pub use gateway::{Page, RetryAfter};
pub use rule::{Action, FaultRule, Moment};

/// The rules in force.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Placed>,
    next_id: u64,
    down: Vec<Peer>,
    /// How often each peer was taken down.
    starts: BTreeMap<Peer, u64>,
}

/// A rule with its number, and what has become of it.
#[derive(Clone, Serialize)]
pub(super) struct Placed {
    id: u64,
    /// Calls that it was for.
    seen: u64,
    /// Number of hits.
    hits: u64,
    rule: FaultRule,
}

impl Faults {
    pub fn add(&mut self, rule: FaultRule) -> u64 {
        self.next_id += 1;
        self.rules.push(Placed { id: self.next_id, seen: 0, hits: 0, rule });
        self.next_id
    }

    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|placed| placed.id != id);
        before != self.rules.len()
    }

    pub fn clear(&mut self) {
        self.rules.clear();
        self.down.clear();
    }

    pub fn list(&self) -> &[Placed] {
        &self.rules
    }

    pub fn set_down(&mut self, peer: Peer, down: bool) {
        self.down.retain(|other| *other != peer);
        if down {
            self.down.push(peer);
            *self.starts.entry(peer).or_default() += 1;
        }
    }

    /// How often the peer was taken down: connections do not outlive it.
    pub fn starts_of(&self, peer: Peer) -> u64 {
        self.starts.get(&peer).copied().unwrap_or(0)
    }

    /// What happens to this call, if anything, and the `Retry-After` of its answer. Used-up rules stay in the list, for their numbers.
    pub fn take(&mut self, call: &Call) -> Option<(Action, Option<RetryAfter>)> {
        if self.down.contains(&call.peer) {
            return Some((Action::LoseRequest, None));
        }
        for placed in &mut self.rules {
            let rule = &placed.rule;
            let fits = rule.peer.is_none_or(|peer| peer == call.peer)
                && rule.call.is_none_or(|name| name == call.name)
                && rule.only.fits(&call.about)
                && rule.action.is_possible(call);
            if !fits || rule.times.is_some_and(|times| placed.hits >= times) {
                continue;
            }
            placed.seen += 1;
            if placed.seen > rule.after {
                placed.hits += 1;
                return Some((rule.action.clone(), rule.retry_after));
            }
        }
        None
    }
}

/// Does the call in the way the action says. `None`: close the connection without an answer.
pub(super) async fn act(
    sandbox: &Sandbox,
    call: &Call,
    fault: Option<(Action, Option<RetryAfter>)>,
) -> Option<Answer> {
    let Some((action, retry_after)) = fault else {
        return Some(server::perform(sandbox, call).await);
    };
    let mut answer = inject(sandbox, call, action).await?;
    answer.retry_after = retry_after.map(RetryAfter::header);
    Some(answer)
}

async fn inject(sandbox: &Sandbox, call: &Call, action: Action) -> Option<Answer> {
    match action {
        Action::Fail { status, body: Some(body) } => Some(Answer::text(status, &body)),
        Action::Fail { status, body: None } => Some(Answer::error(status, "made to fail")),
        Action::Stall { ms, effect: Moment::Before } => {
            let answer = server::perform(sandbox, call).await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Some(answer)
        }
        Action::Stall { ms, effect: Moment::After } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Some(server::perform(sandbox, call).await)
        }
        Action::StallBody { ms } => {
            let mut answer = server::perform(sandbox, call).await;
            if answer.body.is_empty() {
                answer = Answer::json(200, &serde_json::json!({}));
            }
            answer.body_delay = Some(Duration::from_millis(ms));
            Some(answer)
        }
        Action::LoseAnswer => {
            server::perform(sandbox, call).await;
            None
        }
        Action::LoseRequest | Action::BreakKept => None,
        Action::Gateway { status, page, effect_ms } => {
            match effect_ms {
                None => {}
                Some(0) => drop(server::perform(sandbox, call).await),
                Some(ms) => perform_later(sandbox, call, Duration::from_millis(ms)),
            }
            Some(page.answer(status, call))
        }
        Action::KeyInUse => Some(payment::internal_error()),
        Action::Garbage { body, content_type, status, effect } => {
            if effect {
                server::perform(sandbox, call).await;
            }
            Some(Answer::of_type(status, &content_type, &body))
        }
        Action::Refuse => Some(refuse(sandbox, call).await),
        Action::Patch(patch) => Some(server::perform(sandbox, call).await.patched(&patch)),
        Action::Rewrite { status, patch, both_spellings, byte_order_mark } => {
            let mut answer = server::perform(sandbox, call).await;
            answer.status = status.unwrap_or(answer.status);
            if both_spellings {
                answer = answer.in_both_spellings();
            }
            if let Some(patch) = patch {
                answer = answer.patched(&patch);
            }
            Some(if byte_order_mark { answer.with_byte_order_mark() } else { answer })
        }
    }
}

/// Carries the call out after it was answered. Until then it counts as open.
fn perform_later(sandbox: &Sandbox, call: &Call, wait: Duration) {
    sandbox.state().calls.open += 1;
    let (sandbox, call) = (sandbox.itself(), call.clone());
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        if let Some(sandbox) = sandbox.upgrade() {
            server::perform(&sandbox, &call).await;
            sandbox.state().calls.open -= 1;
        }
    });
}

async fn refuse(sandbox: &Sandbox, call: &Call) -> Answer {
    match call.name {
        CallName::Reserve | CallName::Allocate => seating::refusal(&sandbox.state(), call),
        CallName::Charge => payment::charge(sandbox, call, Some(payment::Mode::Decline)).await,
        CallName::Refund => payment::not_refundable(),
        CallName::Release => errors::seating(400, "refused"),
        CallName::Notify | CallName::TakeEvent | CallName::Produce => errors::catalog(400, "refused"),
        CallName::Seat | CallName::OrderSeats | CallName::Availability => seating::not_found(),
        CallName::Payment => payment::not_found(),
        CallName::Login => errors::seating(401, "refused"),
        CallName::ByName => errors::seating(404, "refused"),
        CallName::Event | CallName::Unknown => catalog::not_found(),
    }
}
