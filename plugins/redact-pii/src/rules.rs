//! All pointers as one tree, so that a body is walked once however many there are.

use crate::pointer::{Pointer, Segment};
use crate::redaction::{Hasher, Redaction};

/// What is to happen to which values.
pub(crate) struct Rules {
    root: Branch,
    hasher: Option<Hasher>,
}

/// What is to happen at one place and below it.
#[derive(Default)]
pub(crate) struct Branch {
    here: Option<Redaction>,
    keys: Vec<(String, Branch)>,
    any: Option<Box<Branch>>,
}

impl Rules {
    pub(crate) fn new(hasher: Option<Hasher>) -> Self {
        Self {
            root: Branch::default(),
            hasher,
        }
    }

    /// Adds what happens at a pointer.
    pub(crate) fn add(&mut self, pointer: &Pointer, redaction: Redaction) {
        let mut branch = &mut self.root;
        for segment in &pointer.0 {
            branch = branch.grow(segment);
        }
        branch.here = Some(redaction);
    }

    /// The hasher; there is one if there is a rule that hashes.
    pub(crate) fn hasher(&self) -> Option<&Hasher> {
        self.hasher.as_ref()
    }

    /// The place of the whole body.
    pub(crate) fn root(&self) -> Place<'_> {
        Place(vec![&self.root])
    }
}

impl Branch {
    fn grow(&mut self, segment: &Segment) -> &mut Branch {
        match segment {
            Segment::Any => self.any.get_or_insert_default(),
            Segment::Key(key) => {
                let index = match self.keys.iter().position(|(known, _)| known == key) {
                    Some(index) => index,
                    None => {
                        self.keys.push((key.clone(), Branch::default()));
                        self.keys.len() - 1
                    }
                };
                #[allow(clippy::indexing_slicing, reason = "found or pushed just above")]
                &mut self.keys[index].1
            }
        }
    }
}

/// The branches that apply at one place of a body: several where keys and `*` meet.
pub(crate) struct Place<'r>(Vec<&'r Branch>);

impl<'r> Place<'r> {
    /// The place below with this key.
    pub(crate) fn member(&self, key: &str) -> Place<'r> {
        self.below(|known| known == key)
    }

    /// The place below with this index. An index is written without leading zeros.
    pub(crate) fn element(&self, index: usize) -> Place<'r> {
        self.below(|known| {
            (known == "0" || !known.starts_with(['0', '+'])) && known.parse() == Ok(index)
        })
    }

    fn below(&self, is: impl Fn(&str) -> bool) -> Place<'r> {
        let mut below = Vec::new();
        for branch in &self.0 {
            below.extend(
                branch
                    .keys
                    .iter()
                    .find(|(key, _)| is(key))
                    .map(|(_, branch)| branch),
            );
            below.extend(branch.any.as_deref());
        }
        Place(below)
    }

    /// What happens to the value here: of several rules the one that reveals least.
    pub(crate) fn redaction(&self) -> Option<Redaction> {
        self.0.iter().filter_map(|branch| branch.here).min()
    }

    /// Whether nothing happens here or below.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_empty()
    }
}
