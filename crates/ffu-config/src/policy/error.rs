//! What can be wrong with a policy file as a file.

/// Why a policy file cannot be read. oslo.policy cannot read it either, unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is larger than any policy file.
    #[error("the file has {bytes} bytes; a policy file has at most {most}: is it the right file?")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is read.
        most: usize,
    },
    /// It is not text.
    #[error("line {line}, column {column}: not UTF-8; convert it with `iconv -t UTF-8`")]
    NotUtf8 {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// It holds a character that YAML does not allow.
    #[error("line {line}, column {column}: the character U+{code:04X} is not allowed in a policy file; remove it")]
    Character {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The character.
        code: u32,
    },
    /// It is neither JSON nor YAML.
    #[error("line {line}, column {column}: {what}; the services refuse the whole file")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// It is JSON or YAML, but not rules with their checks.
    #[error("line {line}: a policy file maps names of rules to checks, this one is {what}")]
    NotAMapping {
        /// From 1.
        line: usize,
        /// What it is.
        what: &'static str,
    },
    /// Its aliases unfold to too much.
    #[error("line {line}: the aliases (*name) unfold to more than {most} values; write them out")]
    Aliases {
        /// From 1.
        line: usize,
        /// The most that is unfolded.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_where_and_what_next() {
        let all = [
            (PolicyError::TooLarge { bytes: 9, most: 8 }, "9 bytes"),
            (
                PolicyError::NotUtf8 { line: 1, column: 2 },
                "line 1, column 2: not UTF-8; convert",
            ),
            (
                PolicyError::Character {
                    line: 1,
                    column: 2,
                    code: 0,
                },
                "U+0000",
            ),
            (
                PolicyError::Syntax {
                    line: 3,
                    column: 4,
                    what: "x".into(),
                },
                "line 3, column 4: x",
            ),
            (
                PolicyError::NotAMapping {
                    line: 1,
                    what: "a list",
                },
                "this one is a list",
            ),
            (PolicyError::Aliases { line: 5, most: 6 }, "line 5"),
        ];
        for (error, part) in all {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
