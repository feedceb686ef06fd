//! Reading and changing a request's JSON without touching what is not ours to change.
//!
//! A name that stands twice in an object is refused: two readers may take two different ones of them, and then what was
//! examined here would not be what the provider does.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value};

/// Reads a whole document.
pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A value in which no object has a name twice.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Once)?;
            if all.contains_key(&name) {
                return Err(A::Error::custom(format_args!("`{name}` stands twice in one object")));
            }
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

/// The fields of one object in their order, each with its text as it came.
pub(super) struct Fields<'a>(Vec<(String, Cow<'a, RawValue>)>);

impl<'a> Fields<'a> {
    /// The fields of an object.
    pub(super) fn of(bytes: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// The text of the first field whose name fits.
    pub(super) fn find(&self, fits: impl Fn(&str) -> bool) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| fits(name)).map(|(_, value)| value.as_ref())
    }

    /// Puts a value in the place of the field whose name fits, or adds it under `name`.
    pub(super) fn set(
        &mut self,
        name: &str,
        fits: impl Fn(&str) -> bool,
        value: &impl Serialize,
    ) -> serde_json::Result<()> {
        let value = Cow::Owned(to_raw_value(value)?);
        match self.0.iter_mut().find(|(name, _)| fits(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// The object as text.
    pub(super) fn write(&self) -> serde_json::Result<String> {
        let length = self.0.iter().map(|(name, value)| name.len() + value.get().len() + 8).sum::<usize>();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (position, (name, value)) in self.0.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name)?);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        Ok(text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, Cow<'de, RawValue>)>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = fields.next_key::<String>()? {
                    all.push((name, Cow::Borrowed(fields.next_value::<&'de RawValue>()?)));
                }
                Ok(all)
            }
        }
        reader.deserialize_map(InOrder).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"model":"cheap","model":"dear"}"#,
            r#"{"a":[{"b":{"c":1,"c":2}}]}"#,
            r#"{"max_tokens":1,"max\u005ftokens":2}"#,
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("stands twice"), "{error}");
        }
        assert!(read(br#"{"a":{"c":1},"b":{"c":1}} "#).is_ok());
        assert!(read(b"{} {}").is_err());
    }

    #[test]
    fn what_is_not_changed_keeps_its_text() {
        let text =
            r#"{"b":1.0000000000000000001,"a":{"z":[ 1, 2 ],"y":12345678901234567890123},"max_tokens":9}"#;
        let mut fields = Fields::of(text.as_bytes()).unwrap();
        fields.set("max_tokens", |name| name == "max_tokens", &7).unwrap();
        fields.set("new", |name| name == "new", &true).unwrap();
        let expected = text.replace("9}", "7,\"new\":true}");
        assert_eq!(fields.write().unwrap(), expected);
    }
}
