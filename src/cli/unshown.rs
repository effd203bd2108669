//! A value that clap must not repeat in its error, since it may be a secret that somebody gave by mistake.

use std::convert::Infallible;
use std::str::FromStr;

/// A value, or why it is none; found out when it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unshown<T>(Result<T, String>);

impl<T: Clone> Unshown<T> {
    /// The value.
    ///
    /// # Errors
    /// With what is wrong, without the text that was given.
    pub fn get(&self) -> Result<T, String> {
        self.0.clone()
    }
}

impl<T: FromStr<Err = String>> FromStr for Unshown<T> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}
