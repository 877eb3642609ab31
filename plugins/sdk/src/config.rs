//! Reading a plugin's config. Problems are told with the path of the key and never with a value, which
//! may be a secret.

use serde::Deserialize;

use crate::Plugin;
use crate::verify::Verifier;

/// What is wrong with a plugin's config: one sentence or several.
///
/// ```
/// use hookswitch::ConfigError;
///
/// let mut problems = ConfigError::default();
/// problems.add("`limit`: must be at least 1");
/// problems.add("`limit` and `share` exclude each other: keep one");
/// assert!(problems.check(()).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// One problem. Name the key and say what to do; leave out values that may be secret.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            problems: vec![problem.into()],
        }
    }

    /// Adds another problem, so that the user sees all of them at once.
    pub fn add(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// `value` if no problem was added, otherwise this error.
    ///
    /// # Errors
    /// There are problems.
    pub fn check<T>(self, value: T) -> Result<T, Self> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// The problems in the order added.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl From<String> for ConfigError {
    fn from(problem: String) -> Self {
        Self::new(problem)
    }
}

impl From<&str> for ConfigError {
    fn from(problem: &str) -> Self {
        Self::new(problem)
    }
}

/// The config of a plugin that has none: any key is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Makes a plugin from the JSON text of its config.
pub fn configure<P: Plugin>(json: &str) -> Result<P, ConfigError> {
    P::configure(read(json)?)
}

/// Makes a verifier from the JSON text of its config.
pub(crate) fn configure_verifier<V: Verifier>(json: &str) -> Result<V, ConfigError> {
    V::configure(read(json)?)
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = without_value(&without_place(error.inner()));
        ConfigError::new(match path.as_str() {
            "." => problem,
            path => format!("`{path}`: {problem}"),
        })
    })
}

/// The message without its line and column: the text is the host's JSON, which the user never saw.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message
        .strip_suffix(&place)
        .map_or(message.clone(), str::to_owned)
}

/// ``invalid type: string "abc", expected u64`` without the value, which may be a key or a password.
fn without_value(message: &str) -> String {
    let quoted = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match (message.find(['"', '`']), message.rfind(", expected ")) {
        (Some(value), Some(expected)) if quoted && value < expected => {
            let (head, tail) = (message.get(..value), message.get(expected..));
            format!(
                "{}{}",
                head.unwrap_or_default().trim_end(),
                tail.unwrap_or_default()
            )
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
