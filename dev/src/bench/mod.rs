//! Measures the service: what a placed order costs PostgreSQL at least, and what changes when there are many orders.

pub mod cpu;
pub mod fill;
pub mod growth;
pub mod pgbench;
