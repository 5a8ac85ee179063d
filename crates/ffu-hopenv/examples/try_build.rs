//! Temporary.
#![allow(clippy::print_stdout)]
use ffu_hopenv::*;
fn main() {
    let catalog = ffu_catalog::Catalog::embedded().unwrap_or_else(|e| panic!("{e}"));
    let home = std::env::var("HOME").unwrap();
    let store = EnvStore::new(format!("{home}/.cache/ffu"));
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let verb = args.remove(0);
    let list: Vec<ffu_model::Series> = args.iter().map(|a| a.parse().unwrap()).collect();
    let t = std::time::Instant::now();
    match verb.as_str() {
        "build" => {
            let options = BuildOptions { force: std::env::var("FORCE").is_ok(), ..Default::default() };
            let r = store.build_all(&catalog, &list, &options, &|e| println!("[{:.1}] {e}", t.elapsed().as_secs_f32()));
            match r { Ok(r) => for (s, r) in r { match r { Ok(i) => println!("{s} ok {} files {} MiB {} pkgs", i.files, i.bytes >> 20, i.packages.len()), Err(e) => println!("{s} ERR {e}") } }, Err(e) => println!("ERR {e}") }
        }
        "verify" => for s in &list { println!("{s} {:?} {:?}", store.verify(&catalog, s).map(|i| i.files).map_err(|e| e.to_string()), t.elapsed()); },
        "quick" => for s in &list { println!("{s} {:?} {:?}", store.verify_quick(&catalog, s).map(|i| i.files).map_err(|e| e.to_string()), t.elapsed()); },
        _ => for i in store.list().unwrap() { println!("{:?}", i.map(|i| (i.series, i.directory)).map_err(|e| e.to_string())); },
    }
}
