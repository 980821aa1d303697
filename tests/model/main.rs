//! An exhaustive model of an order's life.

mod explore;
mod order;
mod peers;
mod properties;
mod service;
mod steps;
mod world;

use explore::{Explored, explore};
use service::Model;
use world::{Budget, World};

fn one_order(budget: Budget) -> Model {
    Model {
        orders: 1,
        same_user: false,
        next_buyer: true,
        holders: 3,
        signed: false,
        refusals: true,
        careless_refunds: false,
        strict: false,
        fixed: false,
        budget,
        without: None,
    }
}

fn run(name: &str, model: &Model) -> Explored {
    let begun = std::time::Instant::now();
    let mut initial = vec![World::new(model.budget)];
    if model.refusals {
        let mut refusing = initial[0];
        refusing.pays[0].refuses = true;
        initial.push(refusing);
    }
    let explored = explore(model, initial, 12_000_000);
    println!(
        "{name}: {} states, {} steps, {} deep, {:.1} s",
        explored.states,
        explored.steps,
        explored.depth,
        begun.elapsed().as_secs_f32()
    );
    if let Some(violation) = &explored.violation {
        println!("{violation}");
    }
    explored
}

#[test]
fn one_order_without_faults() {
    let found = run("quiet", &one_order(Budget { callbacks: 1, cancels: 1, refunds: 1, ..Budget::default() }));
    assert!(found.violation.is_none());
}

#[test]
fn one_order_with_one_fault() {
    let found = run("1 fault", &one_order(Budget { faults: 1, callbacks: 1, cancels: 1, refunds: 1, ..Budget::default() }));
    assert!(found.violation.is_none());
}

#[test]
fn one_order_with_one_crash() {
    let found = run("1 crash", &one_order(Budget { crashes: 1, callbacks: 1, cancels: 1, refunds: 1, ..Budget::default() }));
    assert!(found.violation.is_none());
}

/// A wider exploration by hand: `MODEL="faults=2 crashes=1 strict" cargo test --test model -- --ignored --nocapture`.
#[test]
#[ignore = "as wide as one likes"]
fn as_the_environment_says() {
    let wanted = std::env::var("MODEL").unwrap_or_default();
    let mut model = one_order(Budget::default());
    for word in wanted.split_whitespace() {
        let (name, number) = word.split_once('=').unwrap_or((word, "1"));
        let n: u8 = number.parse().expect("a number");
        let on = n > 0;
        match name {
            "faults" => model.budget.faults = n,
            "crashes" => model.budget.crashes = n,
            "callbacks" => model.budget.callbacks = n,
            "cancels" => model.budget.cancels = n,
            "refunds" => model.budget.refunds = n,
            "turns" => model.budget.turns = n,
            "overtakes" => model.budget.overtakes = n,
            "orders" => model.orders = n.into(),
            "holders" => model.holders = n.into(),
            "next" => model.next_buyer = on,
            "same_user" => model.same_user = on,
            "signed" => model.signed = on,
            "refusals" => model.refusals = on,
            "careless" => model.careless_refunds = on,
            "fixed" => model.fixed = on,
            "flips" => model.budget.flips = n,
            "strict" => model.strict = on,
            unknown => panic!("{unknown}?"),
        }
    }
    assert!(run(&wanted, &model).violation.is_none());
}
