//! `--vantage`: ports of instances are reached from within their network only.

use std::str::FromStr;

use ffu_model::watch::Vantage;

use super::NeutronError;

/// Where the ports of a network are probed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkVantage {
    /// The network's name or uuid.
    pub network: String,
    /// From where.
    pub vantage: Vantage,
}

impl FromStr for NetworkVantage {
    type Err = NeutronError;

    /// `network=NAME:NETNS` or `network=NAME:ssh/HOST`; a name may have colons.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix("network=").and_then(|rest| rest.rsplit_once(':'));
        let vantage = |from: &str| match from.strip_prefix("ssh/") {
            Some(host) if !host.is_empty() && !host.starts_with('-') => Some(Vantage::Ssh {
                host: host.to_owned(),
                config: None,
                program: "ffu".to_owned(),
            }),
            None if !from.is_empty() && !from.contains('/') && !from.starts_with('-') => {
                Some(Vantage::Netns { name: from.to_owned() })
            }
            _ => None,
        };
        parts
            .filter(|(network, _)| !network.is_empty())
            .and_then(|(network, from)| {
                Some(NetworkVantage {
                    network: network.to_owned(),
                    vantage: vantage(from)?,
                })
            })
            .ok_or_else(|| NeutronError::Vantage { text: text.to_owned() })
    }
}
