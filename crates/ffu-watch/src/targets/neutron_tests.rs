use super::*;

fn row(values: &[&str]) -> Row {
    values
        .iter()
        .map(|value| (*value != "NULL").then(|| (*value).to_owned()))
        .collect()
}

fn rows() -> Rows {
    Rows {
        floating_ips: vec![
            row(&[
                "f1",
                "203.0.113.5",
                "p1",
                "ACTIVE",
                "x1",
                "public",
                "n1aaaaaaa",
                "net",
                "compute:az1",
                "01234567-89ab-cdef-0123-456789abcdef",
                "cmp1",
                "normal",
            ]),
            row(&[
                "f2",
                "203.0.113.6",
                "p1",
                "DOWN",
                "x1",
                "public",
                "n1aaaaaaa",
                "net",
                "compute:az1",
                "01234567-89ab-cdef-0123-456789abcdef",
                "cmp1",
                "normal",
            ]),
            row(&[
                "f3",
                "203.0.113.7",
                "p1",
                "DOWN",
                "x1",
                "public",
                "NULL",
                "NULL",
                "NULL",
                "NULL",
                "NULL",
                "NULL",
            ]),
            row(&[
                "f4",
                "nonsense",
                "p1",
                "ACTIVE",
                "x1",
                "public",
                "n1aaaaaaa",
                "net",
                "compute:None",
                "01234567-89ab-cdef-0123-456789abcdef",
                "NULL",
                "NULL",
            ]),
        ],
        gateways: vec![
            row(&[
                "g1",
                "203.0.113.1",
                "p1",
                "r1",
                "router",
                "1",
                "x1",
                "public",
                "net1",
                "[\"az1\", \"az2\"]",
            ]),
            row(&[
                "g1",
                "2001:db8::1",
                "p1",
                "r1",
                "router",
                "1",
                "x1",
                "public",
                "net1",
                "",
            ]),
            row(&[
                "g2",
                "203.0.113.2",
                "p1",
                "r2",
                "router",
                "0",
                "x1",
                "public",
                "",
                "NULL",
            ]),
        ],
        instance_ports: vec![
            row(&[
                "aaaaaaaa-1",
                "10.0.0.5",
                "p1",
                "ACTIVE",
                "compute:az1",
                "01234567-89ab-cdef-0123-456789abcdef",
                "n1aaaaaaa",
                "net",
                "cmp1",
                "normal",
            ]),
            row(&[
                "bbbbbbbb-2",
                "10.0.0.5",
                "p2",
                "ACTIVE",
                "compute:az2",
                "01234567-89ab-cdef-0123-456789abcdef",
                "n2bbbbbbb",
                "net",
                "cmp2",
                "direct",
            ]),
            row(&[
                "cccccccc-3",
                "10.0.0.6",
                "p2",
                "DOWN",
                "compute:az2",
                "01234567-89ab-cdef-0123-456789abcdef",
                "n2bbbbbbb",
                "net",
                "cmp2",
                "direct",
            ]),
        ],
    }
}

#[test]
fn the_queries_are_plain_selects() {
    for query in [FLOATING_IPS, GATEWAYS, INSTANCE_PORTS] {
        assert_eq!(ffu_model::query::refusal(query), None, "{query}");
    }
}

#[test]
fn rows_become_targets_and_what_is_left_out_is_said() {
    let found = from_rows(&rows(), &Options::default()).unwrap();
    let names: Vec<_> = found.targets.targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["fip-203.0.113.5", "gateway-2001:db8::1", "gateway-203.0.113.1"]);
    let fip = &found.targets.targets[0].groups;
    let told: Vec<_> = fip.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        told,
        [
            "az=az1",
            "external=public",
            "host=cmp1",
            "kind=floating-ip",
            "network=net (n1aaaaaa)",
            "tenant=p1",
            "vnic_type=normal"
        ]
    );
    assert_eq!(found.targets.targets[2].groups["az"], "az1");
    let instance = Workload::Instance {
        uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
    };
    assert_eq!(found.targets.targets[0].workload.as_ref(), Some(&instance));
    assert_eq!(found.targets.targets[2].workload, None, "a router is no instance");
    assert_eq!(
        found.remarks,
        [
            "left out: 1 fip addresses that are no IP address",
            "left out: 1 floating IPs that lead to no port (or to port forwardings only)",
            "left out: 1 floating IPs whose status is \"DOWN\"",
            "left out: 1 gateways of routers that are switched off",
            "left out: 1 ports of instances whose status is \"DOWN\"",
            "left out: 1 ports of network net (n1aaaaaa), for which no vantage point is given",
            "left out: 1 ports of network net (n2bbbbbb), for which no vantage point is given",
        ]
    );
}

#[test]
fn ports_are_probed_from_the_vantage_point_of_their_network() {
    let options = Options {
        vantages: vec![
            "network=n2bbbbbbb:qdhcp-2".parse().unwrap(),
            "network=elsewhere:ns".parse().unwrap(),
        ],
        ..Options::default()
    };
    let found = from_rows(&rows(), &options).unwrap();
    let port = found
        .targets
        .targets
        .iter()
        .find(|t| t.name == "port-10.0.0.5-bbbbbbbb")
        .unwrap();
    assert_eq!(port.vantage, "network-net (n2bbbbbb)");
    let vantage = Vantage::Netns {
        name: "qdhcp-2".to_owned(),
    };
    assert_eq!(found.targets.vantages.get(&port.vantage), Some(&vantage));
    assert!(matches!(port.workload, Some(Workload::Instance { .. })));
    assert!(
        found
            .remarks
            .iter()
            .any(|r| r == "no port is in network elsewhere, for which a vantage point is given")
    );
    let file = crate::targets::write(&found.targets);
    crate::targets::parse(&file.unwrap(), "t.toml".into()).unwrap();
}

#[test]
fn what_is_typed_for_a_vantage_point_is_understood_or_refused() {
    let ssh: NetworkVantage = "network=a:b:ssh/root@gw".parse().unwrap();
    assert_eq!(ssh.network, "a:b");
    assert!(matches!(ssh.vantage, Vantage::Ssh { host, .. } if host == "root@gw"));
    for bad in [
        "",
        "network=",
        "network=a",
        "network=a:",
        "network=:ns",
        "a:ns",
        "network=a:x/y",
        "network=a:ssh/",
        "network=a:ssh/-oX",
    ] {
        let error = bad.parse::<NetworkVantage>().unwrap_err();
        assert!(error.to_string().contains("next: type network=NAME:NETNS"), "{bad}");
    }
}

#[test]
fn rows_of_another_query_are_refused() {
    let rows = Rows {
        gateways: vec![row(&["one"])],
        ..Rows::default()
    };
    let error = from_rows(&rows, &Options::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a row of neutron's gateways has 1 columns instead of 10\n  next: "),
        "{error}"
    );
}
