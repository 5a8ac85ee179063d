//! IPv4 prefixes.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 prefix, as `10.100.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: u32,
    length: u8,
}

impl Cidr {
    /// Its length in bits, 1 to 30.
    pub fn length(self) -> u8 {
        self.length
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - u32::from(self.length))
    }

    /// Whether a host can have that address: in it, and neither its first nor its last.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        let number = address.to_bits();
        number & self.mask() == self.network && number != self.network && number != self.network | !self.mask()
    }

    /// Host addresses, the highest first.
    pub fn from_the_top(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.network | !self.mask();
        (self.network + 1..last).rev().map(Ipv4Addr::from_bits)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.network), self.length)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no IPv4 prefix such as 10.100.0.0/16, of 1 to 30 bits");
        let (network, length) = text.split_once('/').ok_or_else(bad)?;
        let network: Ipv4Addr = network.parse().map_err(|_| bad())?;
        let length: u8 = length.parse().map_err(|_| bad())?;
        if !(1..=30).contains(&length) {
            return Err(bad());
        }
        let mut cidr = Cidr { network: 0, length };
        cidr.network = network.to_bits() & cidr.mask();
        Ok(cidr)
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_know_their_addresses() {
        let cidr: Cidr = "10.2.0.7/30".parse().unwrap();
        assert_eq!(cidr.to_string(), "10.2.0.4/30");
        let hosts: Vec<String> = cidr.from_the_top().map(|address| address.to_string()).collect();
        assert_eq!(hosts, ["10.2.0.6", "10.2.0.5"]);
        assert!(cidr.holds("10.2.0.5".parse().unwrap()) && !cidr.holds("10.2.0.7".parse().unwrap()));
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/0",
            "10.0.0.0/31",
            "10.0.0/8",
            "::/64",
            "10.0.0.0/x",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?}");
        }
    }
}
