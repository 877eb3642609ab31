//! Branches: one scheme of an `any_of`, with the conditions around its check.
//!
//! Order: which requests it is for, headers that must have a value, the check itself (for each item of a list,
//! where the scheme says so), values of the authentic request that the source names, further schemes, and only then
//! the event's id and type.

use subtle::ConstantTimeEq;

use super::check::Check;
use super::extract::Extractor;
use super::pointer::{self, Found, Pointers};
use super::site::Site;
use super::{Coverage, Keys, Rejection, Request, Verified, View, headers};

/// Items of a list that are checked one by one. Adyen sends one, and allows for some more.
const ITEMS_MAX: usize = 1000;

/// A scheme at work.
pub(super) struct Branch {
    /// The scheme itself, then those that must accept the request as well. At least one.
    pub(super) conditions: Vec<Condition>,
    pub(super) coverage: Coverage,
    pub(super) extractor: Extractor,
}

/// A check and what belongs to it.
pub(super) struct Condition {
    pub(super) check: Check,
    /// Headers that another scheme judges by.
    pub(super) unless: Vec<String>,
    pub(super) require: Vec<(String, String)>,
    pub(super) each: Option<List>,
    pub(super) bound: Bound,
}

/// A list in the body, each item of which has to pass.
pub(super) struct List {
    pointers: Pointers,
    slot: usize,
    pointer: String,
}

/// Values of the request that must be those of the source.
#[derive(Default)]
pub(super) struct Bound {
    pub(super) pointers: Pointers,
    pub(super) values: Vec<(Site, Vec<u8>)>,
}

impl Branch {
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter()
    }

    pub(super) fn judge(
        &self,
        request: Request<'_>,
        now_ms: u64,
        keys: &dyn Keys,
    ) -> Result<Verified, Rejection> {
        let view = View {
            request,
            json: request.body,
            now_ms,
            keys,
        };
        for condition in &self.conditions {
            condition.run(view)?;
        }
        let extracted = self.extractor.run(request, now_ms)?;
        Ok(Verified {
            coverage: self.coverage,
            event_id: extracted.event_id,
            event_ids: extracted.event_ids,
            dedupe_by: extracted.dedupe_by,
            event_type: extracted.event_type,
        })
    }
}

impl Condition {
    fn run(&self, view: View<'_>) -> Result<(), Rejection> {
        for name in &self.unless {
            if view
                .request
                .headers
                .iter()
                .any(|header| header.name == *name)
            {
                return Err(Rejection::new(
                    "other_scheme",
                    format!("a request with header `{name}` is judged by another scheme"),
                ));
            }
        }
        for (name, wanted) in &self.require {
            if headers::required(view.request, name)? != wanted {
                return Err(Rejection::new(
                    "wrong_header",
                    format!("header `{name}` is not `{wanted}`"),
                ));
            }
        }
        match &self.each {
            None => self.check.run(view)?,
            Some(list) => list.run(view, &self.check)?,
        }
        self.bound.run(view)
    }
}

impl List {
    pub(super) fn new(pointer: &str) -> Self {
        let mut pointers = Pointers::default();
        let slot = pointers.add(pointer);
        Self {
            pointers,
            slot,
            pointer: pointer.to_owned(),
        }
    }

    fn raw<'r>(&self, view: View<'r>) -> Result<&'r str, Rejection> {
        let found = self.pointers.find_strict(view.json)?;
        found.raw(self.slot).ok_or_else(|| {
            Rejection::new(
                "missing_field",
                format!("field `{}` of the body is missing", self.pointer),
            )
        })
    }

    /// All items, for signing.
    pub(super) fn items<'r>(&self, view: View<'r>) -> Result<Vec<&'r str>, Rejection> {
        let mut items = vec![];
        pointer::visit_items(self.raw(view)?, |item| {
            items.push(item);
            items.len() < ITEMS_MAX
        });
        Ok(items)
    }

    fn run(&self, view: View<'_>, check: &Check) -> Result<(), Rejection> {
        let list = self.raw(view)?;
        let mut passed = 0_usize;
        let mut refused = None;
        let is_list = pointer::visit_items(list, |item| {
            let view = View {
                json: item.as_bytes(),
                ..view
            };
            match check.run(view) {
                Ok(()) => passed += 1,
                Err(rejection) => refused = Some(rejection),
            }
            refused.is_none() && passed <= ITEMS_MAX
        });
        match refused {
            Some(rejection) => Err(rejection),
            None if is_list && (1..=ITEMS_MAX).contains(&passed) => Ok(()),
            None => Err(Rejection::malformed(format!(
                "field `{}` of the body is no list of 1 to {ITEMS_MAX} items",
                self.pointer
            ))),
        }
    }
}

impl Bound {
    fn run(&self, view: View<'_>) -> Result<(), Rejection> {
        if self.values.is_empty() {
            return Ok(());
        }
        let found: Found<'_> = self.pointers.find_strict(view.json)?;
        for (site, wanted) in &self.values {
            let stated = site.required(view, &found)?;
            if !bool::from(stated.as_bytes().ct_eq(wanted)) {
                return Err(Rejection::new(
                    "wrong_value",
                    format!("{site} is not what this source is configured for"),
                ));
            }
        }
        Ok(())
    }
}
