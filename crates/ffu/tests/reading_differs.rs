//! Our reading of configuration against the real oslo.config of every era, over generated files.
//!
//! It needs the hop environments (`ffu env build`); those that are not there are left out, but four eras must be. More cases
//! a series: `FFU_READING_CASES=20000`; other ones each time: `FFU_READING_RANDOM=1`; some series: `FFU_READING_SERIES=rocky,train`.

mod reading;

use std::cell::RefCell;
use std::io::Write;

use ffu_catalog::options::Opt;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use reading::cases::case;
use reading::{Case, Compared, Oracle, compare, python};

const SERIES: [&str; 19] = [
    "pike", "queens", "rocky", "stein", "train", "ussuri", "victoria", "wallaby", "xena", "yoga", "zed", "2023.1",
    "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2",
];

#[test]
fn generated_files_are_read_as_oslo_config_reads_them() {
    let cases: u32 = match std::env::var("FFU_READING_CASES") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 1000,
    };
    let only = std::env::var("FFU_READING_SERIES").unwrap_or_default();
    let mut asked = Vec::new();
    let mut compared = Compared::default();
    for series in SERIES {
        if !only.is_empty() && !only.split(',').any(|one| one == series) {
            continue;
        }
        let Some(oracle) = Oracle::start(series) else { continue };
        let oracle = RefCell::new(oracle);
        let total = RefCell::new(Compared::default());
        let era = oracle.borrow().era;
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: 4000,
            ..Config::default()
        };
        let mut runner = if std::env::var_os("FFU_READING_RANDOM").is_some() {
            TestRunner::new(config)
        } else {
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        };
        let result = runner.run(&case(era), |case| {
            let answer = oracle.borrow_mut().ask(&case);
            let found = compare(&case, era, &answer).map_err(TestCaseError::fail)?;
            total.borrow_mut().add(found);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{series}: {error}");
        }
        asked.push(series);
        compared.add(*total.borrow());
    }
    writeln!(
        std::io::stderr(),
        "{cases} cases each of {}: {compared:?}",
        asked.join(", ")
    )
    .unwrap();
    assert!(
        compared.refused > 100 && compared.set > 100 && compared.failures > 100,
        "{compared:?}"
    );
    if only.is_empty() {
        assert!(asked.len() >= 4, "only {asked:?}: build more with `ffu env build`");
    }
}

/// The sample that oslo-config-generator writes, and the same with every option set to its default.
fn samples(series: &str) -> Option<[Vec<u8>; 2]> {
    let generator = python(series)?.with_file_name("oslo-config-generator");
    let mut command = std::process::Command::new(generator);
    for namespace in [
        "nova.conf",
        "oslo.messaging",
        "oslo.db",
        "oslo.log",
        "keystonemiddleware.auth_token",
    ] {
        command.args(["--namespace", namespace]);
    }
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    if !output.status.success() {
        // Train's generator fails in its own environment: its stevedore and importlib-metadata do not go together.
        return None;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let set = |line: &str| match line.strip_prefix('#') {
        Some(option) if option.starts_with(|c: char| c.is_ascii_alphabetic()) && option.contains(" = ") => {
            option.to_owned()
        }
        _ => line.to_owned(),
    };
    let all = text.lines().map(set).collect::<Vec<_>>().join("\n");
    Some([text.into_bytes(), all.into_bytes()])
}

#[test]
fn real_samples_are_read_as_oslo_config_reads_them() {
    let catalog = ffu_catalog::Catalog::embedded().unwrap();
    let nova = catalog.options("nova").unwrap().unwrap();
    let mut asked = Vec::new();
    for series in ["rocky", "stein", "2024.1", "2024.2", "2025.1", "2026.1"] {
        let (Some(mut oracle), Some([sample, all])) = (Oracle::start(series), samples(series)) else {
            continue;
        };
        let options = nova.at(&series.parse().unwrap()).unwrap();
        // Those that every program has without registering them.
        let own = ["config_file", "config_dir", "config_source", "shell_completion"];
        let mut options: Vec<Opt> = options
            .iter()
            .filter(|option| !own.contains(&option.name.as_str()))
            .cloned()
            .collect();
        for option in options.iter_mut().filter(|option| option.machine_default) {
            option.default = None;
        }
        // An option that is overwritten in a later file, by an old name, with lines that continue, and a reference.
        let more = b"[DEFAULT]\r\nmy_ip = 10.0.0.1\r\nhost = h\r\n\r\n[vnc]\r\nserver_listen = $my_ip\r\n[cinder]\r\ncatalog_info = a:\r\n b:c\r\n";
        let case = Case {
            files: vec![sample, all, more.to_vec()],
            options,
            environment: [("OS_VNC__ENABLED".to_owned(), "no".to_owned())].into(),
        };
        let answer = oracle.ask(&case);
        let compared =
            compare(&case, oracle.era, &answer).unwrap_or_else(|difference| panic!("{series}: {difference}"));
        assert!(
            compared.entries > 500 && compared.set > 300 && compared.values > 500,
            "{series}: {compared:?}"
        );
        asked.push((series, compared));
    }
    writeln!(std::io::stderr(), "real samples: {asked:?}").unwrap();
    assert!(asked.len() >= 4, "only {asked:?}: build more with `ffu env build`");
}
