//! What an operator does to such files, against what upstream did. Upstream's texts are shortened from nova's and cinder's.

use super::*;
use crate::finding::Severity;

const BASE: &str = "\
[composite:osapi]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/v2: v2
# the one to use
/v2.1: v21

[composite:v21]
use = call:nova.api.auth:pipeline_factory_v21
noauth2 = cors sizelimit noauth2 app21
keystone = cors sizelimit authtoken keystonecontext app21

[composite:v2]
use = call:nova.api.auth:pipeline_factory
keystone = cors authtoken app2

[filter:noauth2]
paste.filter_factory = nova.auth:NoAuth.factory

[app:app2]
paste.app_factory = nova.v2:factory

[app:app21]
paste.app_factory = nova.v21:factory
";

const THEIRS: &str = "\
[composite:osapi]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/healthcheck: health
# the one to use
/v2.1: v21

[composite:v21]
use = call:nova.api.auth:pipeline_factory_v21
keystone = request_id cors sizelimit authtoken keystonecontext app21

[app:health]
paste.app_factory = oslo_middleware:Healthcheck.app_factory

[app:app21]
paste.app_factory = nova.v21:factory

[filter:request_id]
paste.filter_factory = nova.request_id:factory
";

fn ask(kind: Kind, base: &str, mine: &str, theirs: &str) -> Merged {
    let to = "2024.1".parse().unwrap();
    let request = |mine| Request {
        kind,
        name: "api-paste.ini",
        base: Some(base.as_bytes()),
        mine,
        theirs: Some(theirs.as_bytes()),
        to: &to,
    };
    let done = merge(&request(mine.as_bytes())).unwrap();
    let again = merge(&request(&done.bytes)).unwrap();
    assert_eq!(text(&done), text(&again), "not idempotent");
    done
}

fn text(done: &Merged) -> &str {
    std::str::from_utf8(&done.bytes).unwrap()
}

fn decisions(done: &Merged) -> Vec<&str> {
    done.findings
        .iter()
        .filter(|f| f.severity.needs_a_decision())
        .map(|f| f.subject.as_str())
        .collect()
}

#[test]
fn an_untouched_file_becomes_upstreams() {
    let done = ask(Kind::Paste, BASE, BASE, THEIRS);
    assert_eq!(decisions(&done), [""; 0]);
    let read = |text: &str| document::Document::read(text.as_bytes(), Side::Mine, Kind::Paste).unwrap();
    let (got, wanted) = (read(text(&done)), read(THEIRS));
    let mut names = [got.names(), wanted.names()];
    names.iter_mut().for_each(|names| names.sort_unstable());
    assert_eq!(names[0], names[1]);
    for section in wanted.names() {
        for key in wanted.keys(section) {
            assert_eq!(got.get(section, key), wanted.get(section, key), "[{section}] {key}");
        }
        assert_eq!(
            got.keys(section).len(),
            wanted.keys(section).len(),
            "[{section}]\n{}",
            text(&done)
        );
    }
    assert!(
        text(&done).contains("/healthcheck: health\n# the one to use\n/v2.1"),
        "{}",
        text(&done)
    );
}

#[test]
fn an_operators_filter_stays_in_a_pipeline_that_changed() {
    let mine = BASE.replace(
        "cors sizelimit authtoken keystonecontext app21",
        "cors sizelimit authtoken  audit keystonecontext app21",
    );
    let mine =
        format!("{mine}\n# ours\n[filter:audit]\npaste.filter_factory = keystonemiddleware.audit:filter_factory\n");
    let done = ask(Kind::Paste, BASE, &mine, THEIRS);
    assert!(
        text(&done).contains("keystone = request_id cors sizelimit authtoken audit keystonecontext app21\n"),
        "{}",
        text(&done)
    );
    assert!(text(&done).contains("# ours\n[filter:audit]\n"), "{}", text(&done));
    assert_eq!((decisions(&done), done.conflicts.len()), (vec![], 0));
}

#[test]
fn both_changed_the_same_key() {
    let mine = BASE.replace(
        "paste.app_factory = nova.v21:factory",
        "paste.app_factory = ours:factory",
    );
    let theirs = THEIRS.replace(
        "paste.app_factory = nova.v21:factory",
        "paste.app_factory = nova.new:factory",
    );
    let done = ask(Kind::Paste, BASE, &mine, &theirs);
    let wanted = "[app:app21]\n# ffu: conflict: [app:app21] paste.app_factory: upstream's in 2024.1 is paste.app_factory = nova.new:factory\n\
                  paste.app_factory = ours:factory\n";
    assert!(text(&done).contains(wanted), "{}", text(&done));
    assert_eq!(decisions(&done), ["[app:app21] paste.app_factory"]);
    let line = text(&done).lines().nth(done.conflicts[0].line - 1).unwrap();
    assert!(line.starts_with("# ffu: conflict: "));
}

#[test]
fn what_a_pipeline_still_needs_stays() {
    let mine = BASE.replace("/v2.1: v21", "/v2.1: v21\n/ours: v2");
    let done = ask(Kind::Paste, BASE, &mine, THEIRS);
    assert!(
        text(&done).contains("[composite:v2]") && text(&done).contains("/ours: v2"),
        "{}",
        text(&done)
    );
    assert!(
        done.findings
            .iter()
            .any(|f| f.id == "merge-still-used" && f.severity == Severity::Decide)
    );
}

#[test]
fn a_section_that_both_kept_but_only_one_changed() {
    let mine = BASE.replace("keystone = cors authtoken app2", "keystone = cors audit authtoken app2");
    let done = ask(Kind::Paste, BASE, &mine, THEIRS);
    assert_eq!(decisions(&done)[0], "[composite:v2] keystone");
    assert!(
        text(&done).contains("upstream has taken it out by 2024.1\nkeystone = cors audit authtoken app2"),
        "{}",
        text(&done)
    );
}

#[test]
fn rootwrap_filters_by_name() {
    let base = "# head\n[Filters]\n# ip\nip: IpFilter, ip, root\nkill: KillFilter, root, x, -9\nold: CommandFilter, old, root\n";
    let mine = "# head\n[Filters]\n# ip\nip: IpFilter,ip,root\nkill: KillFilter, root, x, -9, -15\nold: CommandFilter, old, root\n# ours\nmine: CommandFilter, mine, root\n";
    let theirs = "# head\n[Filters]\n# ip\nip: IpFilter, ip, root\nkill: KillFilter, root, x, -HUP\nnew: CommandFilter, new, root";
    let done = ask(Kind::Rootwrap, base, mine, theirs);
    assert_eq!(
        text(&done),
        "# head\n[Filters]\n# ip\nip: IpFilter,ip,root\n\
         # ffu: conflict: [Filters] kill: upstream's in 2024.1 is kill = KillFilter, root, x, -HUP\n\
         kill: KillFilter, root, x, -9, -15\nnew: CommandFilter, new, root\n# ours\nmine: CommandFilter, mine, root\n"
    );
    let conf = "[DEFAULT]\nfilters_path=/etc/a,/usr/a\nexec_dirs=/bin\n";
    let done = ask(
        Kind::Rootwrap,
        conf,
        &conf.replace("/bin", "/bin,/opt/bin"),
        &conf.replace("/bin", "/sbin,/bin"),
    );
    assert!(
        text(&done).contains("exec_dirs=/sbin,/bin,/opt/bin\n"),
        "{}",
        text(&done)
    );
}

#[test]
fn a_file_that_is_gone() {
    let to: ffu_model::Series = "train".parse().unwrap();
    let ask = |kind, mine: &str| {
        merge(&Request {
            kind,
            name: "keystone-paste.ini",
            base: Some(BASE.as_bytes()),
            mine: mine.as_bytes(),
            theirs: None,
            to: &to,
        })
        .unwrap()
    };
    let done = ask(Kind::Paste, BASE);
    assert!(done.unused && !done.changed && text(&done) == BASE);
    assert_eq!(done.findings[0].severity, Severity::RemovedWithoutEffect);
    let done = ask(
        Kind::Paste,
        &BASE.replace("cors authtoken app2", "audit cors authtoken app2"),
    );
    assert_eq!(done.findings[0].severity, Severity::LostUnlessYouAct);
    assert!(
        done.findings[0].message.ends_with("your own: [composite:v2] keystone"),
        "{}",
        done.findings[0]
    );
    // Rootwrap loads the whole directory: only the operator's own filters have to stay.
    let base = "[Filters]\nip: IpFilter, ip, root\n";
    let done = merge(&Request {
        kind: Kind::Rootwrap,
        name: "l3.filters",
        base: Some(base.as_bytes()),
        mine: format!("{base}mine: CommandFilter, mine, root\n").as_bytes(),
        theirs: None,
        to: &to,
    })
    .unwrap();
    assert_eq!(text(&done), "[Filters]\nmine: CommandFilter, mine, root\n");
}

#[test]
fn bad_files_are_errors_with_a_place() {
    let to = "train".parse().unwrap();
    let ask = |mine: &[u8]| {
        merge(&Request {
            kind: Kind::Paste,
            name: "x",
            base: None,
            mine,
            theirs: Some(b""),
            to: &to,
        })
        .map(|_| ())
        .unwrap_err()
        .to_string()
    };
    assert!(ask(b"a = b").starts_with("the operator's file, line 1: it stands before the first section"));
    assert!(ask(b"[a]\nb").contains("line 2: it is neither"));
    assert!(ask(b"[a").contains("line 1: a section has no closing bracket"));
    assert!(ask(b"[a]\nb = \xff").contains("line 2: not UTF-8"));
    assert!(ask(b"[a]\nb = \0").contains("line 2: it holds a NUL"));
    assert!(ask(&vec![b'a'; MOST_BYTES + 1]).contains("4194305 bytes"));
    assert_eq!(Kind::of("/etc/nova/api-paste.ini"), Some(Kind::Paste));
    assert_eq!(Kind::of("rootwrap.d/l3.filters"), Some(Kind::Rootwrap));
    assert_eq!(Kind::of("nova.conf"), None);
}
