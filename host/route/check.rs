//! Checking a filter's names before it ever runs: variables, fields of `event`, functions, and depth.

use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo};
use cel::{Context, ExecutionError, Value};

use super::facts::FIELDS;
use super::filter::{FilterError, environment};
use crate::config::diagnostic::nearest;

/// Levels of an expression. Evaluation is recursive, and threads have 2 MiB of stack.
const DEPTH_MAX: usize = 100;

/// Functions and macros worth suggesting.
const FUNCTIONS: [&str; 19] = [
    "all",
    "bool",
    "contains",
    "double",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "has",
    "hasValue",
    "int",
    "map",
    "matches",
    "orValue",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// Names of types, which are values in CEL.
const TYPES: [&str; 11] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
];

/// What is wrong with the expression's names.
pub(super) fn names(text: &str, info: &SourceInfo, expression: &IdedExpr) -> Vec<FilterError> {
    let mut check = Check {
        text,
        info,
        scope: Vec::new(),
        errors: Vec::new(),
        reads_body: false,
    };
    check.visit(expression, 0);
    check.errors
}

struct Check<'c> {
    text: &'c str,
    info: &'c SourceInfo,
    /// Variables of the macros around.
    scope: Vec<&'c str>,
    errors: Vec<FilterError>,
    reads_body: bool,
}

impl<'c> Check<'c> {
    fn visit(&mut self, expression: &'c IdedExpr, depth: usize) {
        if depth > DEPTH_MAX {
            if !self
                .errors
                .iter()
                .any(|error| error.why.starts_with("it is nested"))
            {
                let why = format!("it is nested more than {DEPTH_MAX} deep");
                let hint =
                    Some("split it into several routes, or compute it in a plugin".to_owned());
                self.errors.push(FilterError {
                    why,
                    at: 0..self.text.len(),
                    hint,
                });
            }
            return;
        }
        let depth = depth + 1;
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.variable(expression.id, name),
            Expr::Select(select) => {
                self.field(expression.id, select);
                self.visit(&select.operand, depth);
            }
            Expr::Call(call) => {
                self.function(expression.id, call);
                if let Some(target) = &call.target
                    && !is_namespace(target)
                {
                    self.visit(target, depth);
                }
                for arg in &call.args {
                    self.visit(arg, depth);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|one| self.visit(one, depth)),
            Expr::Map(map) => map
                .entries
                .iter()
                .for_each(|entry| self.entry(&entry.expr, depth)),
            Expr::Struct(strct) => strct
                .entries
                .iter()
                .for_each(|entry| self.entry(&entry.expr, depth)),
            Expr::Comprehension(c) => {
                self.visit(&c.iter_range, depth);
                self.visit(&c.accu_init, depth);
                let outside = self.scope.len();
                self.scope.push(&c.iter_var);
                self.scope.extend(c.iter_var2.as_deref());
                self.scope.push(&c.accu_var);
                for part in [&c.loop_cond, &c.loop_step, &c.result] {
                    self.visit(part, depth);
                }
                self.scope.truncate(outside);
            }
        }
    }

    fn entry(&mut self, entry: &'c EntryExpr, depth: usize) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, depth);
                self.visit(&entry.value, depth);
            }
        }
    }

    fn variable(&mut self, id: u64, name: &str) {
        let plain = name.trim_start_matches('.');
        if plain == "body" && !self.scope.contains(&plain) {
            self.reads_body = true;
        }
        if self.scope.contains(&plain)
            || matches!(plain, "event" | "body")
            || TYPES.contains(&plain)
        {
            return;
        }
        let hint = if FIELDS.contains(&plain) {
            format!("did you mean `event.{plain}`?")
        } else {
            let near = nearest(
                plain,
                ["event", "body"]
                    .into_iter()
                    .chain(self.scope.iter().copied()),
            );
            near.map_or_else(
                || "there are `event` and `body`; text is written in quotes".to_owned(),
                |near| format!("did you mean `{near}`?"),
            )
        };
        self.push(id, name, format!("unknown variable `{plain}`"), hint);
    }

    fn field(&mut self, id: u64, select: &SelectExpr) {
        let is_event = matches!(&select.operand.expr, Expr::Ident(name) if name == "event");
        if !is_event || self.scope.contains(&"event") || FIELDS.contains(&select.field.as_str()) {
            return;
        }
        let hint = nearest(&select.field, FIELDS).map_or_else(
            || format!("there are: {}", FIELDS.join(", ")),
            |near| format!("did you mean `event.{near}`?"),
        );
        self.push(
            id,
            &select.field,
            format!("`event` has no field `{}`", select.field),
            hint,
        );
    }

    /// Whether a function exists is asked of the interpreter: called with nulls, one that does complains
    /// of their types, and one that does not is undeclared.
    fn function(&mut self, id: u64, call: &CallExpr) {
        let null = IdedExpr {
            id: 0,
            expr: Expr::Literal(LiteralValue::Null),
        };
        let namespace = call.target.as_deref().filter(|target| is_namespace(target));
        let probe = IdedExpr {
            id: 0,
            expr: Expr::Call(CallExpr {
                func_name: call.func_name.clone(),
                target: call
                    .target
                    .as_ref()
                    .map(|_| Box::new(namespace.unwrap_or(&null).clone())),
                args: vec![null.clone(); call.args.len()],
            }),
        };
        let context = Context::with_env(environment());
        let Err(ExecutionError::UndeclaredReference(undeclared)) = Value::resolve(&probe, &context)
        else {
            return;
        };
        if !undeclared.ends_with(&call.func_name) {
            return;
        }
        let name = &call.func_name;
        let hint = nearest(name, FUNCTIONS).map_or_else(
            || format!("there are: {}", FUNCTIONS.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.push(id, name, format!("unknown function `{name}`"), hint);
    }

    fn push(&mut self, id: u64, name: &str, why: String, hint: String) {
        let at = self.place(id, name);
        self.errors.push(FilterError {
            why,
            at,
            hint: Some(hint),
        });
    }

    /// The bytes of `name` in the node, or the node's. The parser counts characters.
    fn place(&self, id: u64, name: &str) -> Range<usize> {
        let Some((start, stop)) = self.info.offset_for(id) else {
            return 0..self.text.len();
        };
        let byte = |character: u32| {
            let mut indices = self.text.char_indices().map(|(at, _)| at);
            indices.nth(character as usize).unwrap_or(self.text.len())
        };
        let (start, stop) = (byte(start), byte(stop.saturating_add(1)));
        // A call's node begins at its parenthesis, a field's at its dot; the name stands beside it.
        let from = start.saturating_sub(name.len());
        let around = self.text.get(from..).unwrap_or_default();
        match around.find(name) {
            Some(found) if found <= name.len() + 1 => from + found..from + found + name.len(),
            _ => start..stop.max(start),
        }
    }
}

/// `optional.of(x)`: the target is part of the function's name.
fn is_namespace(target: &IdedExpr) -> bool {
    matches!(&target.expr, Expr::Ident(name) if name == "optional")
}

/// True if the expression reads `body`.
pub(super) fn reads_body(expression: &IdedExpr) -> bool {
    expression.references().has_variable("body")
}
