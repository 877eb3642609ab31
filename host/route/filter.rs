//! Filters: CEL expressions over `event` and `body`.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, Env, Value};

use super::facts::{Evaluation, Facts};
use super::{budget, check};
use crate::event::Event;

/// A filter's text may have this many bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Characters of a failure that are kept; it may quote the event.
const REASON_CHARS_MAX: usize = 300;

/// CEL's standard library; the same for all filters.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

pub(super) fn environment() -> Arc<Env> {
    ENVIRONMENT.clone()
}

/// A compiled CEL filter. Evaluated from any thread.
pub struct Filter {
    text: String,
    expression: IdedExpr,
    reads_body: bool,
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct FilterError {
    /// What is wrong.
    pub why: String,
    /// The bytes of the text it is about.
    pub at: Range<usize>,
    /// What to do.
    pub hint: Option<String>,
}

impl Filter {
    /// Compiles an expression: syntax, and names of variables, fields and functions.
    ///
    /// # Errors
    /// All that is wrong, with its place in the text.
    pub fn compile(text: &str) -> Result<Self, Vec<FilterError>> {
        if text.len() > TEXT_BYTES_MAX || text.trim().is_empty() {
            let why = match text.len() {
                length if length > TEXT_BYTES_MAX => {
                    format!("it has {length} bytes, more than {TEXT_BYTES_MAX}")
                }
                _ => "it is empty".to_owned(),
            };
            let hint = Some("such as 'event.type == \"status.updated\"'".to_owned());
            return Err(vec![FilterError {
                why,
                at: 0..text.len(),
                hint,
            }]);
        }
        let parsed = environment().parser().parse_with_source_info(text);
        let (mut expression, info) = parsed.map_err(|errors| syntax(text, &errors))?;
        let errors = check::names(text, &info, &expression);
        if !errors.is_empty() {
            return Err(errors);
        }
        let reads_body = check::reads_body(&expression);
        budget::meter(&mut expression);
        Ok(Self {
            text: text.to_owned(),
            expression,
            reads_body,
        })
    }

    /// The expression as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if it reads `body`, so that the body has to be parsed.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// Whether it holds for the event.
    ///
    /// # Errors
    /// Why it could not be evaluated: a name that the body lacks, a comparison of types that do not compare,
    /// a result that is no boolean, too much to compute.
    pub fn holds(&self, event: &Event) -> Result<bool, String> {
        self.holds_for(&Facts::of(event))
    }

    pub(super) fn holds_for(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let evaluation = Evaluation::of(facts);
        let mut context = Context::with_env(environment());
        context.set_variable_resolver(&evaluation);
        let result = Value::resolve_val(&self.expression, &context);
        if evaluation.budget().is_spent() {
            let turns = budget::TURNS_MAX;
            return Err(format!(
                "the filter takes too long: its macros made {turns} turns, or ran for {:?}",
                budget::TIME_MAX
            ));
        }
        match result {
            Ok(value) => value
                .downcast_ref::<CelBool>()
                .map(|truth| *truth.inner())
                .ok_or_else(|| {
                    format!(
                        "the filter gives a value of type `{}`, not true or false",
                        value.get_type().name()
                    )
                }),
            Err(error) => Err(error.to_string().chars().take(REASON_CHARS_MAX).collect()),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

fn syntax(text: &str, errors: &cel::ParseErrors) -> Vec<FilterError> {
    // The parser recovers from errors and then finds more that are only their consequence.
    errors
        .errors
        .iter()
        .take(1)
        .map(|error| {
            let at = byte_at(text, error.pos);
            let hint = match text.get(at..).and_then(|rest| rest.chars().next()) {
                Some('=') => "`==` compares",
                Some('"' | '\'') => "text is not closed; it stands in one pair of quotes",
                _ => "filters are CEL: https://cel.dev",
            };
            let end = text
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .map_or(at, |c| at + c.len_utf8());
            FilterError {
                why: plainly(&error.msg),
                at: at..end,
                hint: Some(hint.to_owned()),
            }
        })
        .collect()
}

/// The parser's message without what it would have expected, which is a list of its grammar's tokens.
fn plainly(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("Syntax error: ");
    let what = line.split(" expecting ").next().unwrap_or_default();
    let plain = if what.contains("<EOF>") {
        "the expression is not complete".to_owned()
    } else {
        let found = [
            "mismatched input",
            "extraneous input",
            "no viable alternative at input",
            "token recognition error at:",
        ]
        .iter()
        .find_map(|prefix| what.strip_prefix(prefix));
        found.map_or_else(|| what.to_owned(), |found| format!("unexpected{found}"))
    };
    plain.chars().take(REASON_CHARS_MAX).collect()
}

/// The byte at a line and column, both from 1; columns count characters.
fn byte_at(text: &str, (line, column): (isize, isize)) -> usize {
    let nth = |number: isize| usize::try_from(number - 1).unwrap_or(0);
    let before: usize = text
        .split_inclusive('\n')
        .take(nth(line))
        .map(str::len)
        .sum();
    let rest = text.get(before..).unwrap_or_default();
    let within = rest
        .char_indices()
        .nth(nth(column))
        .map_or(rest.len(), |(at, _)| at);
    before + within
}

const _: fn() = || {
    fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Filter>();
};
