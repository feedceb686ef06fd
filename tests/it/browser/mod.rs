//! A person with a real browser in front of the demo: what they see, what they press, and what they cannot press.

mod driver;
mod pages;
mod stories;
