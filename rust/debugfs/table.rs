// SPDX-License-Identifier: GPL-2.0

//! Rows of named fields, as an aligned table or as JSON, one object per line.

use core::fmt::Write;
use kernel::fmt;

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    /// One of a few words.
    Word(&'a str),
    /// A name, or none.
    Name(Option<&'a str>),
}

impl Value<'_> {
    /// How wide its column is, unless the heading is wider.
    fn width(self) -> usize {
        match self {
            Value::Number(_) => 6,
            Value::Word(_) => 9,
            Value::Name(_) => 20,
        }
    }
}

/// Names are aligned to the left, numbers to the right. A field is never empty and has no white space in it,
/// so that columns can be counted.
impl core::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Value::Number(number) => return core::fmt::Display::fmt(number, f),
            Value::Name(None | Some("")) => "-",
            Value::Word(text) | Value::Name(Some(text)) => text,
        };
        let mut length = 0;
        for c in text.chars() {
            let is_shown = !c.is_whitespace() && !c.is_control();
            f.write_char(if is_shown { c } else { '_' })?;
            length += 1;
        }
        (length..f.width().unwrap_or(0)).try_for_each(|_| f.write_char(' '))
    }
}

/// Takes a field and its name.
pub(super) type Field<'a> = dyn FnMut(&str, Value<'_>) -> fmt::Result + 'a;

/// A row of a table: all rows have the same fields.
pub(super) trait Row {
    fn fields(&self, field: &mut Field<'_>) -> fmt::Result;
}

/// Prints rows as a table.
pub(super) struct Table<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    headed: bool,
}

impl<'a, 'b> Table<'a, 'b> {
    pub(super) fn new(f: &'a mut fmt::Formatter<'b>) -> Self {
        Self { f, headed: false }
    }

    pub(super) fn row(&mut self, row: &dyn Row) -> fmt::Result {
        if !core::mem::replace(&mut self.headed, true) {
            row.fields(&mut |name, value| self.cell(name, value, Value::Word(name)))?;
            writeln!(self.f)?;
        }
        row.fields(&mut |name, value| self.cell(name, value, value))?;
        writeln!(self.f)
    }

    /// Shows `shown` in the column for values like `value`.
    fn cell(&mut self, heading: &str, value: Value<'_>, shown: Value<'_>) -> fmt::Result {
        let width = heading.len().max(value.width());
        match value {
            Value::Number(_) => write!(self.f, "{shown:>width$} "),
            _ => write!(self.f, "{shown:<width$} "),
        }
    }
}

/// Prints one row, one field per line.
pub(super) fn list(f: &mut fmt::Formatter<'_>, row: &dyn Row) -> fmt::Result {
    row.fields(&mut |name, value| writeln!(f, "{name:<20} {value}"))
}

/// Prints one row as a JSON object, without its end: more fields may follow.
pub(super) fn open_object(f: &mut fmt::Formatter<'_>, row: &dyn Row) -> fmt::Result {
    let mut separator = '{';
    row.fields(&mut |name, value| {
        write!(f, "{separator}\"{name}\":")?;
        separator = ',';
        match value {
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(text) => string(f, text),
            Value::Name(text) => string(f, text.unwrap_or("")),
        }
    })
}

/// Prints one row as a line with a JSON object.
pub(super) fn object(f: &mut fmt::Formatter<'_>, row: &dyn Row) -> fmt::Result {
    open_object(f, row)?;
    writeln!(f, "}}")
}

/// Prints a text as a JSON string.
pub(super) fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"")?;
    text.chars().try_for_each(|c| match c {
        '"' | '\\' => write!(f, "\\{c}"),
        '\0'..' ' => write!(f, "\\u{:04x}", c as u32),
        _ => write!(f, "{c}"),
    })?;
    write!(f, "\"")
}
