//! Configurations as an operator might have them, made of a catalog: options under current names and old spellings, with
//! values that their types take.

use ffu_catalog::options::{OptType, OptionSet};

/// A small generator of numbers, the same for the same seed.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }
}

/// One or two files that set `count` options of a series.
pub fn files(set: &OptionSet<'_>, count: usize, numbers: &mut Numbers) -> Vec<String> {
    let all: Vec<_> = set.iter().collect();
    let mut files = vec![String::new(), String::new()];
    for index in 0..count {
        let option = all[numbers.below(all.len())];
        let Some(value) = value(&option.kind, numbers) else {
            continue;
        };
        // Groups of libraries are not sections of their own here.
        if option.group.contains(['{', ']', '\n']) {
            continue;
        }
        let old = (!option.aliases.is_empty() && numbers.below(2) == 0)
            .then(|| &option.aliases[numbers.below(option.aliases.len())]);
        let (group, name) = old.map_or((&option.group, &option.name), |old| (&old.group, &old.name));
        let file = &mut files[usize::from(numbers.below(4) == 0)];
        if index % 3 == 0 {
            file.push_str(&format!("[{group}]\n# comment {index}\n{name} = {value}\n"));
        } else {
            file.push_str(&format!("[{group}]\n{name}={value}\n\n"));
        }
    }
    files
}

/// A value that a type takes; `None` where the generator knows none.
pub fn value(kind: &OptType, numbers: &mut Numbers) -> Option<String> {
    let within = |min: Option<i64>, max: Option<i64>, numbers: &mut Numbers| {
        let low = min.unwrap_or_else(|| max.map_or(1, |max| max.min(1)));
        let high = max.unwrap_or(low.saturating_add(900)).max(low);
        low + i64::try_from(numbers.below(usize::try_from((high - low).min(900)).unwrap_or(1))).unwrap_or(0)
    };
    Some(match kind {
        OptType::String {
            choices: Some(choices), ..
        } => {
            let some: Vec<&String> = choices.iter().flatten().collect();
            (*some.get(numbers.below(some.len()))?).clone()
        }
        OptType::String { regex: Some(_), .. } => return None,
        OptType::String { .. } => format!("text{}", numbers.below(1000)),
        OptType::Boolean => ["true", "False", "1", "off"][numbers.below(4)].to_owned(),
        OptType::Integer { min, max, choices } | OptType::Port { min, max, choices } => match choices {
            Some(choices) => choices.get(numbers.below(choices.len()))?.to_string(),
            None => {
                let port = matches!(kind, OptType::Port { .. });
                within(*min, max.or(port.then_some(65535)), numbers).to_string()
            }
        },
        OptType::Float { min, max } => {
            let low = min.unwrap_or(0.0).max(0.0);
            let high = max.unwrap_or(low + 1.0);
            (low + (high - low) / 2.0).to_string()
        }
        OptType::List { item, bounds: false } => {
            let items: Option<Vec<String>> = (0..=numbers.below(3)).map(|_| value(item, numbers)).collect();
            items?.join(",")
        }
        OptType::Dict {
            value: item,
            key: None,
            bounds: false,
            separator: None,
        } => format!("k{}:{}", numbers.below(9), value(item, numbers)?),
        OptType::IpAddress { version: Some(6) } => "2001:db8::1".to_owned(),
        OptType::IpAddress { .. } => format!("192.0.2.{}", numbers.below(250)),
        OptType::Uri { schemes, .. } => {
            let scheme = schemes
                .as_ref()
                .and_then(|all| all.first())
                .map_or("http", String::as_str);
            format!("{scheme}://h{}.example.org:80/x", numbers.below(9))
        }
        OptType::Hostname | OptType::HostAddress { version: None } | OptType::HostDomain { version: None } => {
            format!("h{}.example.org", numbers.below(9))
        }
        _ => return None,
    })
}
