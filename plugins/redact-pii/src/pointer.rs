//! JSON Pointers (RFC 6901) with one extension: a segment that is `*` stands for every member of an object
//! and every element of a list, and `~2` is a `*` that stands for itself.

/// Nesting that a pointer may reach; it bounds the recursion of the editor.
const SEGMENTS_MAX: usize = 64;

/// A parsed pointer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pointer(pub(crate) Vec<Segment>);

/// One step of a pointer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// The member with this key, or the element with this index.
    Key(String),
    /// Every member or element.
    Any,
}

impl Pointer {
    /// Parses a pointer; the error says what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(segments) = text.strip_prefix('/') else {
            return Err(match text {
                "" => "an empty pointer is the whole body; name a part of it, as `/person/name`"
                    .to_owned(),
                _ => format!(
                    "`{text}` is not a JSON Pointer: it must begin with `/`, as `/person/name`"
                ),
            });
        };
        let segments: Vec<Segment> = segments
            .split('/')
            .map(|segment| match segment {
                "*" => Ok(Segment::Any),
                _ => unescape(segment).map(Segment::Key).ok_or_else(|| {
                    format!(
                        "`{text}` is not a JSON Pointer: after `~` comes `0` (for `~`), `1` (for `/`) or `2` (for `*`)"
                    )
                }),
            })
            .collect::<Result<_, _>>()?;
        if segments.len() > SEGMENTS_MAX {
            return Err(format!(
                "has {} segments, at most {SEGMENTS_MAX}",
                segments.len()
            ));
        }
        Ok(Self(segments))
    }
}

fn unescape(segment: &str) -> Option<String> {
    let mut text = String::with_capacity(segment.len());
    let mut letters = segment.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '~' => match letters.next()? {
                '0' => '~',
                '1' => '/',
                '2' => '*',
                _ => return None,
            },
            letter => letter,
        });
    }
    Some(text)
}
