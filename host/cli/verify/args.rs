//! Arguments that `verify` and `send` share, and what is said of wrong ones.

use std::fmt;

use crate::provider::{self, Preset};
use crate::verify::SetupError;

/// What is wrong with a command's arguments, as it is printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage(Vec<(String, Option<String>)>);

impl Usage {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(vec![(message.into(), None)])
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some((_, place)) = self.0.last_mut() {
            *place = Some(hint.into());
        }
        self
    }

    pub(crate) fn setup(errors: Vec<SetupError>) -> Self {
        Self(
            errors
                .into_iter()
                .map(|error| (error.message, error.hint))
                .collect(),
        )
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (message, hint)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "error: {message}")?;
            if let Some(hint) = hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// The preset called `name`.
pub(crate) fn preset(name: &str) -> Result<&'static Preset, Usage> {
    provider::preset(name).ok_or_else(|| {
        let usage = Usage::new(format!("there is no provider `{name}`"));
        match nearest(name) {
            Some(known) => usage.hint(format!("did you mean `{known}`?")),
            None => usage.hint(format!(
                "there are {}",
                provider::names().collect::<Vec<_>>().join(", ")
            )),
        }
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace('_', "-");
    provider::names()
        .map(|known| (strsim::damerau_levenshtein(&wanted, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map(|(_, known)| known)
}

/// Reads `key=value`.
pub(crate) fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value".to_owned()),
    }
}
