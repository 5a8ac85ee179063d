use super::*;

#[test]
fn a_stepped_wall_clock_does_not_move_arrivals() {
    let stamp = |ns: i64| TimeSpec::new(ns / 1_000_000_000, ns % 1_000_000_000);
    let (now, wall, since) = (50_000_000_000, 1_700_000_000_000_000_000, 49_990_000_000);
    assert_eq!(arrival(stamp(wall - 3_000_000), now, wall, since), now - 3_000_000);
    assert_eq!(
        arrival(stamp(wall - 3_600_000_000_000), now, wall, since),
        now,
        "stepped forward"
    );
    assert_eq!(
        arrival(stamp(wall + 3_600_000_000_000), now, wall, since),
        now,
        "stepped back"
    );
}

#[test]
fn send_times_are_spread_over_the_call() {
    assert_eq!((between(100, 200, 0, 4), between(100, 200, 3, 4)), (100, 175));
    assert_eq!(between(0, 9_000_000, 0, 4), 0);
}

#[test]
fn drops_are_found_by_the_sockets_inode() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                 1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 77 2 00000000abc 12\n";
    assert_eq!(
        (drops_of(77, table), drops_of(7, table), drops_of(77, "")),
        (Some(12), None, None)
    );
    assert_eq!(Port::udp(false).expect("a socket").untold_drops(), 0);
    let own = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    let inode = nix::sys::stat::fstat(&own).expect("stat").st_ino;
    let table = std::fs::read_to_string("/proc/self/net/udp").expect("reads");
    assert_eq!(drops_of(inode, &table), Some(0));
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let error = Port::arp("ffut-none").err().expect("there is none").to_string();
    assert!(
        error.contains("no interface ffut-none") && error.contains("`ip link`"),
        "{error}"
    );
}
