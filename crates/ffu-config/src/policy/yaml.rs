//! From the events of the YAML parser to the rules of a policy file, without a tree and without recursion over the input.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::error::PolicyError;
use super::file::Entry;
use super::value::{self, Value};

/// The most values that aliases may unfold to.
const MOST_ALIASED: usize = 100_000;
/// The deepest nesting that is read; a check has two levels of lists.
const DEEPEST: usize = 100;

/// Something that is being read: a list, or a mapping with the key that waits for its value.
enum Open {
    List(Vec<Value>, usize),
    Map(Vec<Value>, bool, usize),
}

/// Reads one document.
pub(super) struct Reader<'t> {
    source: &'t str,
    json: bool,
    anchors: HashMap<usize, Value>,
    aliased: usize,
    /// Where scalars stand, for the search for tabs.
    scalars: Vec<(std::ops::Range<usize>, bool)>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(source: &'t str, json: bool) -> Self {
        Reader {
            source,
            json,
            anchors: HashMap::new(),
            aliased: 0,
            scalars: Vec::new(),
        }
    }

    /// The rules, and whether they are laid out as a block.
    pub(super) fn read(mut self, text: &str) -> Result<(Vec<Entry>, bool), PolicyError> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = DEEPEST;
        options.block_nesting_limit = DEEPEST;
        if self.json {
            options.simple_key_max_lookahead = text.len().max(1024);
        }
        let mut entries = Vec::new();
        let mut block = true;
        let mut stack: Vec<Open> = Vec::new();
        let mut root = false;
        let mut key: Option<(Value, Span)> = None;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| self.syntax(error.marker(), error.info()))?;
            let done = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.syntax(&span.start, "a second document begins: only one is allowed".into()));
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let value = self.scalar(&text, style, tag.as_deref(), &span)?;
                    self.remember(anchor, &value);
                    value
                }
                Event::Alias(id) => self.unfold(id, &span)?,
                Event::UnresolvedAlias(name) => {
                    return Err(self.syntax(&span.start, format!("the alias *{name} is nowhere defined")));
                }
                Event::MappingStart(style, anchor, tag) => {
                    self.collection_tag(tag.as_deref(), "map", &span)?;
                    if stack.is_empty() && !root {
                        root = true;
                        block = style == StructureStyle::Block;
                    } else {
                        stack.push(Open::Map(Vec::new(), true, anchor));
                    }
                    continue;
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.collection_tag(tag.as_deref(), "seq", &span)?;
                    if stack.is_empty() && !root {
                        // `[]` is a file without rules, as everything else that is false in Python.
                        stack.push(Open::List(Vec::new(), anchor));
                        continue;
                    }
                    stack.push(Open::List(Vec::new(), anchor));
                    continue;
                }
                Event::SequenceEnd => match stack.pop() {
                    Some(Open::List(items, anchor)) => {
                        let value = Value::List(items);
                        self.remember(anchor, &value);
                        value
                    }
                    _ => continue,
                },
                Event::MappingEnd => match stack.pop() {
                    Some(Open::Map(keys, _, anchor)) => {
                        let value = Value::Keys(keys);
                        self.remember(anchor, &value);
                        value
                    }
                    _ => continue,
                },
                _ => continue,
            };
            match stack.last_mut() {
                Some(Open::List(items, _)) => items.push(done),
                Some(Open::Map(keys, is_key, _)) => {
                    if *is_key {
                        self.hashable(&done, &span)?;
                        keys.push(done);
                    }
                    *is_key = !*is_key;
                }
                None if !root => self.no_mapping(&done, &span)?,
                None => match key.take() {
                    None => {
                        self.hashable(&done, &span)?;
                        key = Some((done, span));
                    }
                    Some((name, at)) => entries.push(self.entry(name, &at, done, &span)),
                },
            }
        }
        if !self.json {
            self.no_tabs()?;
        }
        Ok((entries, block))
    }

    fn entry(&self, name: Value, at: &Span, value: Value, end: &Span) -> Entry {
        let (name, name_is_text) = match name {
            Value::Text(name) => (name, true),
            Value::Falsy(name) | Value::Truthy(name) => (name, false),
            Value::List(_) | Value::Keys(_) => (String::new(), false),
        };
        let start = at.byte_range().map_or(0, |range| range.start);
        let end = end.byte_range().map_or(start, |range| range.end).max(start);
        // The end of a block scalar may include the blank lines after it.
        let kept = self.source.get(start..end).map_or(0, |text| text.trim_end().len());
        Entry {
            name,
            name_is_text,
            value,
            line: at.start.line(),
            column: at.start.col() + 1,
            span: start..start + kept,
            counts: true,
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Result<Value, PolicyError> {
        if let Some(range) = span.byte_range() {
            self.scalars.push((range, style == ScalarStyle::Plain));
        }
        let plain = style == ScalarStyle::Plain;
        let resolved = |text: &str| value::plain(text).map_err(|what| self.syntax(&span.start, what));
        match tag.map(Tag::to_string) {
            None if self.json && plain => Ok(match text {
                "null" | "false" => Value::Falsy(text.to_owned()),
                _ if text.parse::<f64>().is_ok_and(|number| number == 0.0) => Value::Falsy(text.to_owned()),
                _ => Value::Truthy(text.to_owned()),
            }),
            None if plain => resolved(text),
            None => Ok(Value::Text(text.to_owned())),
            // PyYAML: `!` on a plain scalar means "resolve as if there were no tag", else text.
            Some(tag) if tag == "!" && plain => resolved(text),
            Some(tag) if tag == "!" || tag.ends_with(":str") || tag == "!!str" => Ok(Value::Text(text.to_owned())),
            Some(tag) => Err(self.syntax(&span.start, format!("the tag {tag} has no place in a policy file"))),
        }
    }

    fn collection_tag(&self, tag: Option<&Tag>, wanted: &str, span: &Span) -> Result<(), PolicyError> {
        match tag.map(Tag::to_string) {
            None => Ok(()),
            Some(tag) if tag == "!" || tag.ends_with(wanted) => Ok(()),
            Some(tag) => Err(self.syntax(&span.start, format!("the tag {tag} has no place in a policy file"))),
        }
    }

    fn remember(&mut self, anchor: usize, value: &Value) {
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
    }

    fn unfold(&mut self, id: usize, span: &Span) -> Result<Value, PolicyError> {
        let Some(value) = self.anchors.get(&id) else {
            return Err(self.syntax(&span.start, "an alias stands inside of what it names".to_owned()));
        };
        self.aliased += size(value);
        match self.aliased > MOST_ALIASED {
            true => Err(PolicyError::Aliases {
                line: span.start.line(),
                most: MOST_ALIASED,
            }),
            false => Ok(value.clone()),
        }
    }

    fn hashable(&self, key: &Value, span: &Span) -> Result<(), PolicyError> {
        match key {
            Value::List(_) | Value::Keys(_) => Err(self.syntax(
                &span.start,
                "the name of a rule must be text, not a list or mapping".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// A document that is no mapping is an empty file if it is false in Python.
    fn no_mapping(&self, value: &Value, span: &Span) -> Result<(), PolicyError> {
        let what = match value {
            Value::Falsy(_) => return Ok(()),
            Value::Text(text) if text.is_empty() => return Ok(()),
            Value::List(items) if items.is_empty() => return Ok(()),
            Value::List(_) => "a list",
            _ => "a single value",
        };
        Err(PolicyError::NotAMapping {
            line: span.start.line(),
            what,
        })
    }

    /// PyYAML refuses tabs everywhere but inside quotes, block scalars and comments; YAML 1.2 allows more of them.
    fn no_tabs(&self) -> Result<(), PolicyError> {
        let mut at = 0;
        let end = self.source.len();
        let gaps = self.scalars.iter().map(|(range, plain)| (range.clone(), *plain));
        for (range, plain) in gaps.chain([(end..end, false)]) {
            let gap = self.source.get(at..range.start).unwrap_or_default();
            let found = tab_outside_comments(gap).map(|n| at + n).or_else(|| {
                let inside = self.source.get(range.clone()).unwrap_or_default();
                inside.find('\t').filter(|_| plain).map(|n| range.start + n)
            });
            if let Some(found) = found {
                let (line, column) = super::file::place(self.source, found);
                let what = "a tab is not allowed here in YAML: use blanks".to_owned();
                return Err(PolicyError::Syntax { line, column, what });
            }
            at = range.end.max(at);
        }
        Ok(())
    }

    fn syntax(&self, marker: &granit_parser::Marker, what: String) -> PolicyError {
        PolicyError::Syntax {
            line: marker.line(),
            column: marker.col() + 1,
            what,
        }
    }
}

/// The first tab of a text between scalars that is not in a comment.
fn tab_outside_comments(gap: &str) -> Option<usize> {
    let mut comment = false;
    for (n, c) in gap.char_indices() {
        match c {
            '#' => comment = true,
            '\n' | '\r' => comment = false,
            '\t' if !comment => return Some(n),
            _ => {}
        }
    }
    None
}

fn size(value: &Value) -> usize {
    match value {
        Value::List(items) | Value::Keys(items) => 1 + items.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}
