//! State-space exploration by breadth-first search, so that a counterexample is a shortest path.

use super::properties::{self, liveness};
use super::rules::Model;
use super::state::ModelState;
use super::state_encoding::{Fingerprints, fingerprint};
use super::steps::{self, Step};
use std::collections::VecDeque;
use std::fmt;

/// What an exploration found.
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// The longest shortest path.
    pub depth: usize,
    /// The first violation: the property, and a shortest path to it.
    pub violation: Option<Violation>,
}

/// A property that does not hold, and how it comes to that.
pub struct Violation {
    pub property: &'static str,
    pub path: Vec<Step>,
    pub state: ModelState,
    /// For a property of how orders come to rest: the schedule from the state on.
    pub then: Vec<Step>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "violated: {}", self.property)?;
        self.path.iter().try_for_each(|step| writeln!(f, "  {step:?}"))?;
        if !self.then.is_empty() {
            writeln!(f, " and then, without any fault:")?;
            self.then.iter().try_for_each(|step| writeln!(f, "  {step:?}"))?;
        }
        write!(f, "in {:#?}", self.state)
    }
}

/// Explores everything that can happen from `initial`, up to the first violation or to the limit.
pub fn explore(model: &Model, initial: Vec<ModelState>, limit: usize) -> Explored {
    // Each known state with its predecessor; an initial one is its own.
    let mut known = Fingerprints::default();
    let mut settled = Fingerprints::default();
    let mut frontier = VecDeque::new();
    let mut found = Explored { states: 0, steps: 0, depth: 0, violation: None };
    for state in &initial {
        known.insert(fingerprint(state), fingerprint(state));
        frontier.push_back((0, *state));
    }
    while let Some((depth, state)) = frontier.pop_front() {
        found.states += 1;
        found.depth = depth;
        let broken = properties::broken(model, &state)
            .map(|property| (property, Vec::new()))
            .or_else(|| liveness::unsettled(model, &state, &mut settled));
        if let Some((property, then)) = broken {
            let path = path(model, &initial, &known, &state);
            found.violation = Some(Violation { property, path, state, then });
            return found;
        }
        let here = fingerprint(&state);
        for (_, after) in steps::all(model, &state) {
            found.steps += 1;
            if known.insert(fingerprint(&after), here) {
                frontier.push_back((depth + 1, after));
            }
        }
        assert!(found.states < limit, "more than {limit} states: {} wait", frontier.len());
    }
    found
}

/// The steps to a state, by its known predecessors.
fn path(model: &Model, initial: &[ModelState], known: &Fingerprints, end: &ModelState) -> Vec<Step> {
    let mut trail = vec![fingerprint(end)];
    while let Some(before) = known.get(trail[trail.len() - 1]).filter(|before| !trail.contains(before)) {
        trail.push(before);
    }
    let begins = trail.pop().expect("at least the end");
    let mut state = *initial.iter().find(|state| fingerprint(state) == begins).expect("an initial state");
    let mut path = Vec::new();
    while let Some(then) = trail.pop() {
        let (step, after) = steps::all(model, &state)
            .into_iter()
            .find(|(_, after)| fingerprint(after) == then)
            .expect("a known step");
        path.push(step);
        state = after;
    }
    path
}
