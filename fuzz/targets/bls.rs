//! Boot entries: a text is kept, a name is given back, and versions have an order.
#![no_main]

use calypte_disk::bls::{Entry, EntryName, Fields};
use calypte_disk::version::compare;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let fields = Fields::parse(text);
    assert_eq!(Fields::parse(&fields.to_string()), fields);
    if let Ok(entry) = Entry::parse(text)
        && let Ok(fields) = entry.fields()
    {
        assert_eq!(Entry::parse(&fields.to_string()).as_ref(), Ok(&entry));
    }
    if let Ok(name) = EntryName::parse(text) {
        assert_eq!(EntryName::parse(&name.to_string()).as_ref(), Ok(&name));
        assert!(name.good().counter.is_none());
    }
    let mut parts = text.splitn(3, '\n');
    let (a, b, c) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    assert_eq!(compare(a, b), compare(b, a).reverse());
    if compare(a, b).is_le() && compare(b, c).is_le() {
        assert!(compare(a, c).is_le());
    }
});
