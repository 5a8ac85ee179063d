//! Tells cargo that the embedded catalog is an input: `include_dir` alone does not notice new files.

fn main() {
    println!("cargo::rerun-if-changed=../../catalog");
}
