//! A filter's budget: how much it may compute.
//!
//! CEL has no loops, but its macros (`all`, `exists`, `map`, `filter`, `exists_one`) go through lists, lists
//! come from bodies, and macros nest. So each turn of a macro asks for fuel: [`meter`] rewrites the
//! expression that way once, when it is compiled. Without fuel every macro ends at its next turn, and the
//! result, which means nothing then, is not used.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

/// The variable that a macro reads at each turn. `@` cannot be written in CEL.
pub(super) const FUEL: &str = "@fuel";

/// Turns of macros that one evaluation may make.
pub(super) const TURNS_MAX: u32 = 100_000;

/// Wall time after which no macro makes another turn. Turns differ: one may search a body of 10 MiB.
pub(super) const TIME_MAX: Duration = Duration::from_millis(100);

/// What is left to spend.
#[derive(Debug)]
pub(super) struct Budget {
    turns: AtomicU32,
    clock: fn() -> Instant,
    /// Set at the first turn, so that filters without macros look at no clock.
    begun: std::sync::OnceLock<Instant>,
}

impl Budget {
    pub(super) fn full(clock: fn() -> Instant) -> Self {
        Self {
            turns: AtomicU32::new(TURNS_MAX),
            clock,
            begun: std::sync::OnceLock::new(),
        }
    }

    /// Takes one turn; false if there is none left.
    pub(super) fn spend(&self) -> bool {
        let now = (self.clock)();
        let late = now.duration_since(*self.begun.get_or_init(|| now)) > TIME_MAX;
        let next = |left: u32| left.checked_sub(1);
        let spent = self
            .turns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        if late {
            self.turns.store(0, Ordering::Relaxed);
        }
        spent.is_ok() && !late
    }

    /// True if it was spent to the last turn.
    pub(super) fn is_spent(&self) -> bool {
        self.turns.load(Ordering::Relaxed) == 0
    }
}

/// Rewrites every macro of the expression so that each turn asks for [`FUEL`].
pub(super) fn meter(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => call
            .target
            .iter_mut()
            .map(|t| &mut **t)
            .chain(&mut call.args)
            .for_each(meter),
        Expr::List(list) => list.elements.iter_mut().for_each(meter),
        Expr::Select(select) => meter(&mut select.operand),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .for_each(|entry| meter_entry(&mut entry.expr)),
        Expr::Struct(strct) => strct
            .entries
            .iter_mut()
            .for_each(|entry| meter_entry(&mut entry.expr)),
        Expr::Comprehension(comprehension) => {
            let c = &mut **comprehension;
            for part in [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ] {
                meter(part);
            }
            meter_turn(c);
        }
    }
}

fn meter_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => meter(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            meter(&mut entry.key);
            meter(&mut entry.value);
        }
    }
}

/// `map` and `filter` append to a list, which the interpreter does in place only while their condition is
/// a constant and their step keeps its shape; so their fuel goes into the step: `cond ? append : list` and
/// the appended element. All others stop by their condition.
fn meter_turn(c: &mut ComprehensionExpr) {
    let appends = matches!(&c.result.expr, Expr::Ident(name) if *name == c.accu_var)
        && matches!(c.loop_cond.expr, Expr::Literal(_));
    if appends && meter_append(&mut c.loop_step) {
        return;
    }
    let condition = std::mem::take(&mut c.loop_cond);
    c.loop_cond = call(operators::LOGICAL_AND, vec![fuel(), condition]);
}

/// False if the step has another shape.
fn meter_append(step: &mut IdedExpr) -> bool {
    let Expr::Call(outer) = &mut step.expr else {
        return false;
    };
    match (outer.func_name.as_str(), outer.args.as_mut_slice()) {
        (operators::CONDITIONAL, [guard, ..]) => {
            let condition = std::mem::take(guard);
            *guard = call(operators::LOGICAL_AND, vec![fuel(), condition]);
            true
        }
        (operators::ADD, [_, items]) => {
            let Expr::List(list) = &mut items.expr else {
                return false;
            };
            for element in &mut list.elements {
                let value = std::mem::take(element);
                let null = IdedExpr {
                    id: 0,
                    expr: Expr::Literal(LiteralValue::Null),
                };
                *element = call(operators::CONDITIONAL, vec![fuel(), value, null]);
            }
            true
        }
        _ => false,
    }
}

fn fuel() -> IdedExpr {
    IdedExpr {
        id: 0,
        expr: Expr::Ident(FUEL.to_owned()),
    }
}

fn call(operator: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr {
        id: 0,
        expr: Expr::Call(CallExpr {
            func_name: operator.to_owned(),
            target: None,
            args,
        }),
    }
}
