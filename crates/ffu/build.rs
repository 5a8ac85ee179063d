//! Packs the addresses that the loader has to fill in when the program starts (a tenth of their size; less to read).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
