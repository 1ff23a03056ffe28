//! Maven, by `ComparableVersion` of 3.9: a version is a list of numbers and words, and a hyphen, or a change between
//! digits and letters, begins a list in it as its last item. Every text is a version.
//!
//! Since an inner list is always the last item of the one around it, a version is kept flat, as the row of its lists: no
//! depth of hyphens can exhaust the stack.

use std::cmp::Ordering;

use super::number::Number;

/// The lists, from the outermost to the innermost; each is an item of the one before it, after all else in that.
type Lists<'a> = Vec<Vec<Item<'a>>>;

/// What is in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item<'a> {
    Number(Number<'a>),
    Word(Word<'a>),
}

/// Words, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word<'a> {
    /// Alpha, beta, milestone, rc, snapshot, the release itself, sp: by their place.
    Known(usize),
    /// All others come after these.
    Other(&'a str),
}

const KNOWN: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
const RELEASE: Word<'_> = Word::Known(5);

/// What stands at a place of a list.
enum Place<'a> {
    Item(Item<'a>),
    Inner,
    Nothing,
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.to_lowercase(), right.to_lowercase());
    compare_lists(&read(&left), &read(&right))
}

/// Reads a version into its lists, and takes away what ends them and says nothing.
fn read(text: &str) -> Lists<'_> {
    let mut lists: Lists<'_> = vec![Vec::new()];
    let (mut start, mut in_digits) = (0, false);
    let piece = |start: usize, end: usize| text.get(start..end).unwrap_or_default();
    for (at, character) in text.char_indices() {
        match character {
            '.' | '-' => {
                let item = piece(start, at);
                add(&mut lists, if item.is_empty() { "0" } else { item }, false);
                start = at + 1;
                if character == '-' {
                    lists.push(Vec::new());
                }
            }
            digit if digit.is_ascii_digit() => {
                if !in_digits && at > start {
                    begin_list_after_items(&mut lists);
                    add(&mut lists, piece(start, at), true);
                    start = at;
                    lists.push(Vec::new());
                }
                in_digits = true;
            }
            _ => {
                if in_digits && at > start {
                    add(&mut lists, piece(start, at), false);
                    start = at;
                    lists.push(Vec::new());
                }
                in_digits = false;
            }
        }
    }
    let last = piece(start, text.len());
    if !last.is_empty() {
        if !in_digits {
            begin_list_after_items(&mut lists);
        }
        add(&mut lists, last, false);
    }
    for list in &mut lists {
        while list.last().is_some_and(Item::says_nothing) {
            list.pop();
        }
    }
    while lists.last().is_some_and(Vec::is_empty) {
        lists.pop();
    }
    lists
}

/// A word counts as behind a hyphen also where a dot is before it.
fn begin_list_after_items(lists: &mut Lists<'_>) {
    if lists.last().is_some_and(|list| !list.is_empty()) {
        lists.push(Vec::new());
    }
}

fn add<'a>(lists: &mut Lists<'a>, piece: &'a str, before_digit: bool) {
    let item = Number::new(piece).map_or_else(|| Item::Word(Word::new(piece, before_digit)), Item::Number);
    if let Some(list) = lists.last_mut() {
        list.push(item);
    }
}

impl<'a> Word<'a> {
    fn new(text: &'a str, before_digit: bool) -> Self {
        let text = match text {
            "a" if before_digit => "alpha",
            "b" if before_digit => "beta",
            "m" if before_digit => "milestone",
            "cr" => "rc",
            "ga" | "final" | "release" => "",
            text => text,
        };
        KNOWN.iter().position(|known| *known == text).map_or(Self::Other(text), Self::Known)
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Known(left), Self::Known(right)) => left.cmp(&right),
            (Self::Known(_), Self::Other(_)) => Ordering::Less,
            (Self::Other(_), Self::Known(_)) => Ordering::Greater,
            // Java's strings are UTF-16.
            (Self::Other(left), Self::Other(right)) => left.encode_utf16().cmp(right.encode_utf16()),
        }
    }
}

impl Item<'_> {
    fn says_nothing(&self) -> bool {
        self.compare_nothing().is_eq()
    }

    /// How it stands to there being nothing at its place.
    fn compare_nothing(&self) -> Ordering {
        match self {
            Self::Number(number) => number.cmp(&Number::ZERO),
            Self::Word(word) => word.compare(RELEASE),
        }
    }

    /// Words come before numbers.
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.cmp(&right),
            (Self::Word(left), Self::Word(right)) => left.compare(right),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
        }
    }
}

/// Place by place; a list comes after words and before numbers.
fn compare_lists(mut left: &[Vec<Item<'_>>], mut right: &[Vec<Item<'_>>]) -> Ordering {
    let mut at = 0;
    loop {
        let order = match (place(left, at), place(right, at)) {
            (Place::Nothing, Place::Nothing) => return Ordering::Equal,
            (Place::Inner, Place::Inner) => {
                (left, right) = (inner(left), inner(right));
                at = 0;
                continue;
            }
            (Place::Inner, Place::Nothing) => return compare_with_nothing(inner(left)),
            (Place::Nothing, Place::Inner) => return compare_with_nothing(inner(right)).reverse(),
            (Place::Item(left), Place::Item(right)) => left.compare(right),
            (Place::Item(left), Place::Nothing) => left.compare_nothing(),
            (Place::Nothing, Place::Item(right)) => right.compare_nothing().reverse(),
            (Place::Inner, Place::Item(item)) => compare_list_with(item),
            (Place::Item(item), Place::Inner) => compare_list_with(item).reverse(),
        };
        if order.is_ne() {
            return order;
        }
        at += 1;
    }
}

fn place<'a>(lists: &[Vec<Item<'a>>], at: usize) -> Place<'a> {
    let list = lists.first().map_or(&[] as &[_], Vec::as_slice);
    match list.get(at) {
        Some(item) => Place::Item(*item),
        None if at == list.len() && lists.len() > 1 => Place::Inner,
        None => Place::Nothing,
    }
}

fn inner<'a, 'b>(lists: &'b [Vec<Item<'a>>]) -> &'b [Vec<Item<'a>>] {
    lists.get(1..).unwrap_or_default()
}

/// The first item that says something decides.
fn compare_with_nothing(lists: &[Vec<Item<'_>>]) -> Ordering {
    let orders = lists.iter().flatten().map(Item::compare_nothing);
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

const fn compare_list_with(item: Item<'_>) -> Ordering {
    match item {
        Item::Number(_) => Ordering::Less,
        Item::Word(_) => Ordering::Greater,
    }
}
