//! The providers: which there are, and what each reads out of its events.
//!
//! A provider is pointers and a table. All of them keep to the same rules: a subject is your own reference
//! or the provider's stable id of a person, never the id of a session; the inner status of one check never
//! decides; optional keys may be null or absent.

mod complycube;
mod didit;
mod idwise;
mod jumio;
mod k_id;
mod legal_talent;
mod onfido;
mod persona;
mod plaid;
mod shufti_pro;
mod stripe_identity;
mod sumsub;
mod trulioo;
mod veriff;

use hookswitch::Event;

use crate::config::Config;
use crate::decision::{Verdict, same};
use crate::json::Node;

/// An identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    ComplyCube,
    Didit,
    IdWise,
    Jumio,
    KId,
    LegalTalent,
    Onfido,
    Persona,
    Plaid,
    ShuftiPro,
    StripeIdentity,
    Sumsub,
    Trulioo,
    Veriff,
}

/// One event, and all that may be looked at to read it.
pub(crate) struct Input<'a> {
    pub(crate) root: &'a Node<'a>,
    pub(crate) event: &'a Event,
    pub(crate) config: &'a Config,
}

/// What a provider says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) event_type: Option<String>,
    pub(crate) event_id: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) reasons: Vec<String>,
    pub(crate) workflow: Option<String>,
    pub(crate) occurred_at: Option<String>,
    pub(crate) test: bool,
    pub(crate) flags: Vec<&'static str>,
}

impl Provider {
    pub(crate) const ALL: [Self; 14] = [
        Self::ComplyCube,
        Self::Didit,
        Self::IdWise,
        Self::Jumio,
        Self::KId,
        Self::LegalTalent,
        Self::Onfido,
        Self::Persona,
        Self::Plaid,
        Self::ShuftiPro,
        Self::StripeIdentity,
        Self::Sumsub,
        Self::Trulioo,
        Self::Veriff,
    ];

    /// The name in the output, and of the preset where there is one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ComplyCube => "complycube",
            Self::Didit => "didit",
            Self::IdWise => "idwise",
            Self::Jumio => "jumio",
            Self::KId => "k-id",
            Self::LegalTalent => "legal-talent",
            Self::Onfido => "onfido",
            Self::Persona => "persona",
            Self::Plaid => "plaid",
            Self::ShuftiPro => "shufti-pro",
            Self::StripeIdentity => "stripe-identity",
            Self::Sumsub => "sumsub",
            Self::Trulioo => "trulioo",
            Self::Veriff => "veriff",
        }
    }

    /// The provider of this name, compared like a word; `stripe` and `entrust` (Onfido's new name) too.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = Self::ALL
            .into_iter()
            .find(|provider| same(provider.name(), name));
        known.or_else(|| match name {
            _ if same(name, "stripe") => Some(Self::StripeIdentity),
            _ if same(name, "entrust") => Some(Self::Onfido),
            _ => None,
        })
    }

    /// Whether the body is a form: only Jumio's old callbacks are.
    pub(crate) fn is_form(self, event: &Event) -> bool {
        let first = event.body.iter().find(|byte| !byte.is_ascii_whitespace());
        self == Self::Jumio && !matches!(first, Some(b'{' | 0xEF))
    }

    /// What the event says.
    pub(crate) fn read(self, input: &Input<'_>) -> Reading {
        match self {
            Self::ComplyCube => complycube::read(input),
            Self::Didit => didit::read(input),
            Self::IdWise => idwise::read(input),
            Self::Jumio => jumio::read(input),
            Self::KId => k_id::read(input),
            Self::LegalTalent => legal_talent::read(input),
            Self::Onfido => onfido::read(input),
            Self::Persona => persona::read(input),
            Self::Plaid => plaid::read(input),
            Self::ShuftiPro => shufti_pro::read(input),
            Self::StripeIdentity => stripe_identity::read(input),
            Self::Sumsub => sumsub::read(input),
            Self::Trulioo => trulioo::read(input),
            Self::Veriff => veriff::read(input),
        }
    }
}

/// The first of some paths at which there is text.
fn first(node: &Node<'_>, paths: &[&str]) -> Option<String> {
    paths
        .iter()
        .find_map(|path| node.at(path).and_then(Node::text))
        .map(|text| text.into_owned())
}

/// The first of some paths at which there is a time.
fn time(node: &Node<'_>, paths: &[&str]) -> Option<String> {
    paths
        .iter()
        .find_map(|path| node.at(path).and_then(crate::time::of))
}

/// Every text at some paths, in order. `*` stands for every element of a list, and text in a list at the
/// end of a path counts by itself.
fn all(node: &Node<'_>, paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        gather(node, path, &mut found);
    }
    found
}

fn gather(node: &Node<'_>, path: &str, found: &mut Vec<String>) {
    let (here, rest) = match path.split_once("/*") {
        Some((here, rest)) => (here, Some(rest)),
        None => (path, None),
    };
    let Some(node) = (if here.is_empty() {
        Some(node)
    } else {
        node.at(here)
    }) else {
        return;
    };
    match rest {
        Some(rest) => node
            .elements()
            .iter()
            .for_each(|element| gather(element, rest, found)),
        None => found.extend(node.text().map(|text| text.into_owned())),
    }
}

/// Whether there is `true` at a path.
fn is_true(node: &Node<'_>, path: &str) -> bool {
    node.at(path).is_some_and(Node::is_true)
}
