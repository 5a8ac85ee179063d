//! The seeds at every series. Long, and needs every environment: `cargo test -p ffu-lab --test every_series -- --ignored`,
//! with `FFU_LAB_SERIES="pike train"` for some of them only.

mod common;

use common::{Scratch, bring_up, check_contents};
use ffu_catalog::Catalog;
use ffu_lab::{down, providers, token};

#[test]
#[ignore = "takes half an hour and needs the environments of all series"]
fn a_lab_comes_up_and_holds_the_same_at_every_series() {
    let catalog = Catalog::embedded().unwrap();
    let wanted = std::env::var("FFU_LAB_SERIES").unwrap_or_default();
    let all = catalog.series.iter().map(|entry| entry.id.as_str());
    let chosen: Vec<&str> = all
        .filter(|id| wanted.is_empty() || wanted.split_whitespace().any(|one| one == *id))
        .collect();
    assert!(!chosen.is_empty(), "FFU_LAB_SERIES={wanted} names no series");
    for series in chosen {
        let scratch = Scratch::new();
        let lab = bring_up(&catalog, &scratch.dir, series, 20).unwrap_or_else(|error| panic!("{series}: {error}"));
        check_contents(&lab);
        for database in lab.status(&catalog).unwrap().databases {
            let placement_later = database.schema == "placement" && database.heads.is_empty();
            let there = database.candidates.iter().any(|candidate| candidate.as_str() == series);
            assert!(there || placement_later, "{series}: {database:?}");
        }
        let secrets = lab.secrets().unwrap();
        let admin = token(&lab, "admin", secrets.user("admin").unwrap(), "admin").unwrap();
        assert_eq!(providers(&lab, &admin).unwrap().len(), 2, "{series}");
        down(&scratch.dir).unwrap();
    }
}
