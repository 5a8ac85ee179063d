use super::super::spec::tests::two_networks;
use super::*;

#[test]
fn scripts_hold_the_addresses_that_were_asked_for() {
    let (spec, names) = (two_networks(), Names::new("ffut", "0a1b2c"));
    let all = scripts(&spec, &names);
    assert_eq!(all.len(), 3 + 2 + 2);
    assert_eq!(names.all(&spec).len(), 3 + 2 + 2);
    let of = |namespace: String| &all.iter().find(|script| script.namespace == namespace).unwrap().text;
    let fabric = of(names.fabric());
    assert!(fabric.contains("link add p2 type veth peer name eth0 address fa:16:3e:00:00:02 netns ffut-0a1b2c-g2\n"));
    assert!(fabric.contains("link set p2 master br2 up"));
    assert!(of(names.guest(0)).contains("addr add 10.1.0.2/16 dev eth0"));
    assert!(of(names.guest(1)).contains("route add default via 10.2.0.1"));
    assert!(of(names.router()).contains("addr add 203.0.113.20/32 dev ext"));
    assert!(of(names.outside()).contains("route add 10.2.0.0/24 via 203.0.113.9"));
    assert!(of(names.outside()).contains("neigh replace 203.0.113.20 lladdr 0e:ff:00:03:00:00 dev eth0 nud permanent"));
    assert!(of(names.guest(1)).contains("neigh replace 10.2.0.1 lladdr 0e:ff:00:01:00:01 dev eth0"));
    assert!(of(names.router()).contains("neigh replace 10.1.0.2 lladdr fa:16:3e:00:00:01 dev net1"));
    assert!(
        relearn(&spec, 0)
            .contains("\nneigh del 10.1.0.2 dev net1\nneigh del 10.1.255.253 dev net1\nneigh replace 10.1.0.2 ")
    );
    let rules = translation(&spec);
    assert!(rules.contains("ip daddr 203.0.113.20 dnat to 10.1.0.2\n"), "{rules}");
    assert!(rules.contains("ip saddr 10.1.0.2 snat to 203.0.113.20\n"), "{rules}");
}

#[test]
fn a_machine_has_a_card_instead_of_a_namespace() {
    let (mut spec, names) = (two_networks(), Names::new("ffut", "0a1b2c"));
    spec.guests[0].machine = Some(super::super::Machine::new("/parts".into()));
    let all = scripts(&spec, &names);
    assert_eq!((all.len(), names.all(&spec).len()), (3 + 2 + 1, 3 + 2 + 1));
    let fabric = &all[0].text;
    assert!(fabric.contains("tuntap add name p1 mode tap\n") && fabric.contains("link set p1 master br1 up\n"));
    assert!(!fabric.contains("fa:16:3e:00:00:01"), "{fabric}");
    assert_eq!(names.of(0, &spec.guests[0]), names.fabric());
    let known = [
        ("10.1.255.254", "0e:ff:00:01:00:00"),
        ("10.1.255.253", "0e:ff:00:02:00:00"),
    ];
    let known = known.map(|(address, mac)| (address.parse().unwrap(), mac.to_owned()));
    assert_eq!(neighbours_of(&spec, 0), known);
}

#[test]
fn names_fit_the_kernel() {
    let longest = [port(249), bridge(49), leg(49)];
    assert!(longest.iter().all(|name| name.len() <= 15), "{longest:?}");
}
