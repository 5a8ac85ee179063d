//! Where in a file a value stands. Values are read by serde, which forgets their place; when there is a mistake to
//! report, the file is parsed once more with spans and the value looked up by its keys.

use toml::de::{DeTable, DeValue};

/// A value of a file, by the keys that lead to it.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub file: &'a str,
    keys: Vec<Key<'a>>,
}

#[derive(Clone, Copy, Debug)]
enum Key<'a> {
    Name(&'a str),
    At(usize),
}

impl<'a> Place<'a> {
    pub fn file(file: &'a str) -> Self {
        Place { file, keys: Vec::new() }
    }

    /// The value of a key.
    pub fn name(&self, name: &'a str) -> Self {
        self.with(Key::Name(name))
    }

    /// The element of an array.
    pub fn at(&self, index: usize) -> Self {
        self.with(Key::At(index))
    }

    fn with(&self, key: Key<'a>) -> Self {
        let mut place = self.clone();
        place.keys.push(key);
        place
    }

    /// Line and column of the value, or of the nearest thing around it.
    pub fn position(&self, text: &str) -> Option<(usize, usize)> {
        let table = DeTable::parse(text).ok()?;
        let mut offset = None;
        let mut value: Option<&DeValue<'_>> = None;
        for (depth, key) in self.keys.iter().enumerate() {
            let next = match (key, value) {
                (Key::Name(name), None) if depth == 0 => find(table.get_ref(), name),
                (Key::Name(name), Some(DeValue::Table(inner))) => find(inner, name),
                (Key::At(index), Some(DeValue::Array(items))) => {
                    items.get(*index).map(|item| (item.span().start, item.get_ref()))
                }
                _ => None,
            };
            let Some((start, found)) = next else { break };
            offset = Some(start);
            value = Some(found);
        }
        offset.map(|offset| line_and_column(text, offset))
    }
}

fn find<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(usize, &'t DeValue<'i>)> {
    table
        .iter()
        .find(|(key, _)| key.get_ref() == name)
        .map(|(key, value)| (key.span().start, value.get_ref()))
}

/// Line and column, both from 1, the column in characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a = 1\n[[command]]\nid = 'x'\n[[command]]\nid = 'y'\n  exit = [{ code = 0 },\n  { code = 7 }]\n";

    #[test]
    fn values_are_found_by_their_keys() {
        let commands = Place::file("f").name("command");
        assert_eq!(commands.at(1).name("id").position(TEXT), Some((5, 1)));
        assert_eq!(
            commands.at(1).name("exit").at(1).name("code").position(TEXT),
            Some((7, 5))
        );
    }

    #[test]
    fn what_is_not_there_gives_the_nearest_thing_around() {
        let second = Place::file("f").name("command").at(1);
        assert_eq!(second.name("source").position(TEXT), second.position(TEXT));
        assert_eq!(Place::file("f").name("zz").position(TEXT), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("ö = 1\nüx", "ö = 1\nü".len()), (2, 2));
        assert_eq!(line_and_column("ö", 1), (1, 2));
    }
}
