//! A rehearsal: a plan's whole chain, gone through by the same engine and the same side effects, on a copy.
//!
//! The side effects cannot tell: they are handed a plan in which every reference to a connection leads to a private server
//! ([`shadow`]), whose commands read configuration in which nothing leads anywhere else ([`conf`]), and in which there are no
//! services. What is not as it should be is an error before a step, never a fallback ([`performer`]).

pub mod conf;
pub mod copy;
pub mod performer;
pub mod place;
pub mod record;
pub mod shadow;

#[cfg(test)]
mod tests;
