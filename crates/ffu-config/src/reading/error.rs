//! What a service would say to a value.

/// Why an option has no effective value: where oslo.config raises when the option is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The type refuses the text, or that of an option it refers to.
    #[error("[{group}] {name}: {reason}: correct the value, `ffu config explain` shows what it may be")]
    Value {
        /// The option's group.
        group: String,
        /// Its name.
        name: String,
        /// Why, in words; without the value where the option is secret.
        reason: String,
    },
    /// A reference to an option that is not there.
    #[error(
        "[{group}] {name}: `{reference}` refers to no option: correct the reference, or write `$$` for a plain `$`"
    )]
    NoSuchOption {
        /// The group of the option that has the reference.
        group: String,
        /// Its name.
        name: String,
        /// The reference, without `$` and braces.
        reference: String,
    },
    /// A reference into a group that is not there.
    #[error("[{group}] {name}: `{reference}` refers to a group without options: correct the reference")]
    NoSuchGroup {
        /// The group of the option that has the reference.
        group: String,
        /// Its name.
        name: String,
        /// The reference, without `$` and braces.
        reference: String,
    },
    /// A reference to a whole group.
    #[error("[{group}] {name}: `{reference}` is a group, not an option: write ${{{reference}.OPTION}}")]
    GroupAsValue {
        /// The group of the option that has the reference.
        group: String,
        /// Its name.
        name: String,
        /// The reference, without `$` and braces.
        reference: String,
    },
    /// References that lead back to where they began.
    #[error("[{group}] {name}: its references go round in a circle: {}: take one of them out", circle.join(" -> "))]
    Cycle {
        /// The group of the option whose reference closes the circle.
        group: String,
        /// Its name.
        name: String,
        /// The options of the circle, `group.name`, the first again at the end.
        circle: Vec<String>,
    },
    /// Too many references that follow each other.
    #[error("[{group}] {name}: more than {limit} references follow each other: write the value itself")]
    TooDeep {
        /// The group of the option.
        group: String,
        /// Its name.
        name: String,
        /// The limit.
        limit: usize,
    },
}
