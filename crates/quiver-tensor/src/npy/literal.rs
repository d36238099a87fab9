//! The part of Python's literals that occurs in npy headers.

use crate::error::{Error, Result};

/// Containers nested deeper than this occur in no header; the bound keeps recursion off hostile input.
const DEEPEST: usize = 16;

/// A parsed literal.
#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    /// Integers of any sign; what does not fit has no meaning in a header.
    Integer(i64),
    Bool(bool),
    None,
    Tuple(Vec<Literal>),
    List(Vec<Literal>),
    /// Pairs in the order they were written.
    Dict(Vec<(Literal, Literal)>),
}

/// Parses a text that holds one literal and white space. `long_integers` accepts Python 2's `2L`.
pub(super) fn parse(text: &str, long_integers: bool) -> Result<Literal> {
    let mut parser = Parser { rest: text, long_integers };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.unexpected("the end")) }
}

struct Parser<'a> {
    rest: &'a str,
    long_integers: bool,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    }

    /// Takes `token` when it comes next, white space aside.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found: String = self.rest.chars().take(12).collect();
        Error::corrupt("the header is no Python literal")
            .with("wanted", wanted)
            .with("found", format!("{found:?}"))
    }

    fn value(&mut self, depth: usize) -> Result<Literal> {
        if depth > DEEPEST {
            return Err(Error::corrupt("the header is nested too deeply"));
        }
        self.skip_space();
        if self.take("{") {
            return self.dict(depth);
        }
        if self.take("(") {
            return self.tuple(depth);
        }
        if self.take("[") {
            return Ok(Literal::List(self.items("]", depth)?.0));
        }
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.text(quote),
            Some('-' | '0'..='9') => self.integer(),
            _ => self.word(),
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal> {
        let mut pairs = Vec::new();
        while !self.take("}") {
            let key = self.value(depth + 1)?;
            if !self.take(":") {
                return Err(self.unexpected("a colon"));
            }
            pairs.push((key, self.value(depth + 1)?));
            if !self.take(",") && !self.rest.starts_with('}') {
                return Err(self.unexpected("a comma"));
            }
        }
        Ok(Literal::Dict(pairs))
    }

    /// A tuple, or what one pair of brackets without a comma holds.
    fn tuple(&mut self, depth: usize) -> Result<Literal> {
        let (mut items, commas) = self.items(")", depth)?;
        match (items.len(), commas) {
            (1, 0) => Ok(items.remove(0)),
            _ => Ok(Literal::Tuple(items)),
        }
    }

    /// Values up to the closing bracket, and how many commas stood between or after them.
    fn items(&mut self, end: &str, depth: usize) -> Result<(Vec<Literal>, usize)> {
        let (mut items, mut commas) = (Vec::new(), 0);
        while !self.take(end) {
            items.push(self.value(depth + 1)?);
            if self.take(",") {
                commas += 1;
            } else if !self.rest.starts_with(end) {
                return Err(self.unexpected("a comma"));
            }
        }
        Ok((items, commas))
    }

    fn text(&mut self, quote: char) -> Result<Literal> {
        let mut text = String::new();
        let mut escaped = false;
        for (at, character) in self.rest.char_indices().skip(1) {
            match character {
                // What an escape stands for matters only in field names, and arrays with fields are refused anyway.
                _ if escaped => {
                    text.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                _ if character == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Literal::Text(text));
                }
                _ => text.push(character),
            }
        }
        Err(Error::corrupt("a text in the header does not end"))
    }

    fn integer(&mut self) -> Result<Literal> {
        let digits = self.rest.trim_start_matches('-').trim_start_matches(|c: char| c.is_ascii_digit());
        let (number, rest) = self.rest.split_at(self.rest.len() - digits.len());
        let value = number.parse().map_err(|_| self.unexpected("a size"))?;
        self.rest = match rest.strip_prefix('L') {
            Some(rest) if self.long_integers => rest,
            _ => rest,
        };
        Ok(Literal::Integer(value))
    }

    fn word(&mut self) -> Result<Literal> {
        for (word, value) in
            [("True", Literal::Bool(true)), ("False", Literal::Bool(false)), ("None", Literal::None)]
        {
            if self.take(word) {
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_tuples_from_brackets() {
        assert_eq!(parse("(3)", false).unwrap(), Literal::Integer(3));
        assert_eq!(parse("(3,)", false).unwrap(), Literal::Tuple(vec![Literal::Integer(3)]));
        assert_eq!(parse("()", false).unwrap(), Literal::Tuple(vec![]));
        assert!(parse("(,)", false).is_err());
        assert!(parse("(1 2)", false).is_err());
    }

    #[test]
    fn takes_long_integers_only_where_python_2_wrote() {
        assert_eq!(parse("2L", true).unwrap(), Literal::Integer(2));
        assert!(parse("2L", false).is_err());
    }

    #[test]
    fn refuses_what_is_nested_without_end() {
        assert!(parse(&"(".repeat(10_000), false).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\{\\}\\(\\)\\[\\]'\"\\\\:,LTrue0-9 \n\u{e9}-]{0,60}") {
            let _ = parse(&text, true);
        }
    }
}
