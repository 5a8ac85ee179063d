//! An option's name with its group.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `group.name`; the group in lower case or `DEFAULT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The group.
    pub group: String,
    /// The option.
    pub name: String,
}

impl Name {
    /// A name of these two parts.
    pub fn new(group: impl Into<String>, name: impl Into<String>) -> Self {
        Name {
            group: group.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.group, self.name)
    }
}
