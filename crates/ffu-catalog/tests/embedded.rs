//! The catalog that is built into the binary, and what it answers.

use ffu_catalog::Catalog;

#[test]
fn loads_without_a_mistake() {
    Catalog::embedded().unwrap_or_else(|errors| panic!("{errors}"));
}
