//! Ports for a lab's services: below those that the kernel gives to whoever asks for any.
//!
//! A lab's services are stopped and started again long after their ports were chosen. A port of the kernel's own range may
//! meanwhile be the near end of any connection of the machine.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::TcpListener;

use crate::error::LabError;
use crate::layout::Ports;

/// Above the well-known services, and at or below the kernel's range (32768 to 60999 by default).
const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 32_000;
const TRIES: usize = 500;

/// Two ports on 127.0.0.1 on which nobody listens; the database takes its own.
///
/// # Errors
/// There are none.
pub(crate) fn free() -> Result<Ports, LabError> {
    let what = "find a free port on";
    let mut random = std::fs::File::open("/dev/urandom").map_err(LabError::io(what, "127.0.0.1"))?;
    let mut found = BTreeSet::new();
    let mut last = std::io::Error::other("every port that was tried is taken");
    for _ in 0..TRIES {
        let mut bytes = [0_u8; 2];
        random.read_exact(&mut bytes).map_err(LabError::io(what, "127.0.0.1"))?;
        let port = LOWEST + u16::from_le_bytes(bytes) % (HIGHEST - LOWEST);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => found.insert(port),
            Err(error) => {
                last = error;
                continue;
            }
        };
        let mut both = found.iter().copied();
        if let (Some(keystone), Some(placement)) = (both.next(), both.next()) {
            return Ok(Ports {
                keystone,
                placement,
                database: 0,
            });
        }
    }
    Err(LabError::io(what, "127.0.0.1")(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_are_free_and_outside_the_range_of_the_kernel() {
        let ports = free().unwrap();
        assert_ne!(ports.keystone, ports.placement);
        for port in [ports.keystone, ports.placement] {
            assert!((LOWEST..HIGHEST).contains(&port), "{port}");
        }
        assert_eq!(ports.database, 0);
    }
}
