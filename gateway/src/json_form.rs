//! Whether a JSON text is an object of columns or rows.
//!
//! Cost: reads no further than the first member that is no array; of columns, all of the text once, keeping nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer as _, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

/// Whether all members of the text's object are arrays. An object of other members is a row; so is one that cannot be
/// read, which the reader of rows then refuses.
pub fn is_columns(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = Deserializer::from_str(text);
    deserializer.deserialize_map(Members).is_ok()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of arrays")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut has_members = false;
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value::<Array>()?;
            has_members = true;
        }
        if has_members { Ok(()) } else { Err(A::Error::custom("an empty object")) }
    }
}

struct Array;

impl<'de> Deserialize<'de> for Array {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Array, D::Error> {
        deserializer.deserialize_seq(Items).map(|()| Array)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_objects_of_arrays() {
        for text in ["{\"a\":[1]}", " {\"a\":[], \"b\":[[1],{}]}", "\u{feff}{\"a\":[1]}"] {
            assert!(is_columns(text), "{text}");
        }
        for text in ["", "{}", "[]", "{\"a\":1}", "{\"a\":[1],\"b\":2}", "{\"a\":[1", "{\"a\":{\"b\":[1]}}"] {
            assert!(!is_columns(text), "{text}");
        }
    }
}
