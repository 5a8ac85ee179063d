//! Three-way merge of ordered lists without repetitions, such as pipelines of filters.

/// What both sides' changes give together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The elements.
    pub elements: Vec<String>,
    /// Elements that both sides put at the same place, so that their order is a guess.
    pub guessed: Option<(String, String)>,
}

/// Applies both sides' changes; `None` if both reordered, or an element is there twice.
pub(super) fn merge(base: &[&str], mine: &[&str], theirs: &[&str]) -> Option<List> {
    if [base, mine, theirs].into_iter().any(repeats) {
        return None;
    }
    // One side's list is taken, and the other side's additions and removals are applied to it.
    match (keeps_order(base, mine), keeps_order(base, theirs)) {
        (true, _) => Some(apply(base, mine, theirs)),
        (false, true) => Some(apply(base, theirs, mine)),
        // Both reordered, but to the same order.
        (false, false) if keeps_order(mine, theirs) => Some(apply(base, mine, theirs)),
        (false, false) => None,
    }
}

fn repeats(list: &[&str]) -> bool {
    list.iter().enumerate().any(|(n, element)| list[..n].contains(element))
}

fn keeps_order(base: &[&str], side: &[&str]) -> bool {
    let common = base.iter().filter(|element| side.contains(element));
    common.eq(side.iter().filter(|element| base.contains(element)))
}

/// Applies the changes from `base` to `from` to `onto`.
fn apply(base: &[&str], from: &[&str], onto: &[&str]) -> List {
    let removed = |element: &&str| base.contains(element) && !from.contains(element);
    let mut out: Vec<&str> = onto.iter().copied().filter(|element| !removed(element)).collect();
    let mut guessed = None;
    for (n, element) in from.iter().enumerate() {
        if base.contains(element) || out.contains(element) {
            continue;
        }
        let before = from[..n]
            .iter()
            .rev()
            .find_map(|known| out.iter().position(|other| other == known));
        let after = from[n + 1..]
            .iter()
            .find_map(|known| out.iter().position(|other| other == known));
        let at = match (before, after) {
            (Some(before), _) => before + 1,
            (None, Some(after)) => after,
            (None, None) => out.len(),
        };
        // Directly beside something that the other side put there.
        let neighbour = out
            .get(at)
            .filter(|other| !base.contains(other) && !from.contains(other));
        if let Some(other) = neighbour {
            guessed.get_or_insert(((*element).to_owned(), (*other).to_owned()));
        }
        out.insert(at, element);
    }
    List {
        elements: out.into_iter().map(str::to_owned).collect(),
        guessed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, mine: &str, theirs: &str) -> Option<String> {
        let split = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        let own = |text: &str| split(Box::leak(text.to_owned().into_boxed_str()));
        merge(&own(base), &own(mine), &own(theirs)).map(|list| list.elements.join(" "))
    }

    #[test]
    fn both_sides_changes_are_there() {
        for (base, mine, theirs, wanted) in [
            ("a b c", "a x b c", "a b d c", "a x b d c"),
            ("a b c", "a b c", "b c", "b c"),
            ("a b c", "a c", "a b d c", "a d c"),
            ("a b c", "x a b c", "b c", "x b c"),
            ("a b app", "a x b app", "r a b app", "r a x b app"),
            ("a b c", "c b a", "a b d c", "c b d a"),
            ("a b c", "a x c", "a x b c", "a x c"),
            ("a b", "a b x", "a b", "a b x"),
            ("a b c", "b a x c", "b a c", "b a x c"),
        ] {
            assert_eq!(
                merged(base, mine, theirs).as_deref(),
                Some(wanted),
                "{base} / {mine} / {theirs}"
            );
        }
        assert_eq!(merged("a b c", "b a c", "a c b"), None);
        assert_eq!(merged("a a", "a a", "a"), None);
    }

    #[test]
    fn a_guess_is_told() {
        let list = merge(&["a", "b"], &["a", "x", "b"], &["a", "y", "b"]).unwrap();
        assert_eq!(list.guessed, Some(("x".into(), "y".into())));
        assert_eq!(list.elements, ["a", "x", "y", "b"]);
    }
}
