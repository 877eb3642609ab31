//! A chain, and everything that can be done to it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

fn chain(length: u64) -> (Vec<Row>, Head) {
    let mut head = Head::EMPTY;
    let rows = (1..=length)
        .map(|seq| {
            let deed = Deed {
                act: "reload",
                subject: format!("generation {seq}"),
                ..Deed::default()
            };
            let entry = Entry::new(
                seq,
                1_000_000_000_000 + seq,
                &Actor::new("ada", "::1"),
                &deed,
            );
            let text = entry.text();
            let hash = link(&head.hash, &text);
            head = Head { seq, hash };
            Row { seq, text, hash }
        })
        .collect();
    (rows, head)
}

fn faults(rows: &[Row], head: Head, anchors: Vec<Anchor>) -> Vec<Fault> {
    let mut check = Check::new(anchors);
    rows.iter().for_each(|row| check.row(row));
    check.end(head).faults
}

#[test]
fn an_untouched_chain_is_good_from_nothing_to_many() {
    for length in [0, 1, 2, 50] {
        let (rows, head) = chain(length);
        assert_eq!(faults(&rows, head, vec![head]), []);
    }
}

#[test]
fn an_altered_entry_is_found() {
    for at in 0..5 {
        let (mut rows, head) = chain(5);
        rows[at].text = rows[at].text.replace("ada", "eve");
        assert_eq!(faults(&rows, head, vec![]), [Fault::Altered(at as u64 + 1)]);
    }
}

#[test]
fn an_altered_entry_with_a_hash_to_match_is_found_at_its_successor() {
    let (mut rows, head) = chain(5);
    rows[2].text = rows[2].text.replace("ada", "eve");
    rows[2].hash = link(&rows[1].hash, &rows[2].text);
    assert_eq!(faults(&rows, head, vec![]), [Fault::Altered(4)]);
    // The last one has no successor, but a head record.
    let (mut rows, head) = chain(5);
    rows[4].text = rows[4].text.replace("ada", "eve");
    rows[4].hash = link(&rows[3].hash, &rows[4].text);
    assert_eq!(faults(&rows, head, vec![]), [Fault::Head(5)]);
}

#[test]
fn a_removed_entry_is_found_wherever_it_stood() {
    for at in 0..5_u64 {
        let (mut rows, head) = chain(5);
        rows.remove(usize::try_from(at).unwrap());
        let expected = if at == 4 {
            Fault::Cut { last: 4, head: 5 }
        } else {
            Fault::Missing {
                first: at + 1,
                last: at + 1,
            }
        };
        assert_eq!(faults(&rows, head, vec![]), [expected]);
    }
}

#[test]
fn a_removed_entry_is_found_also_when_the_later_ones_move_up() {
    let (mut rows, head) = chain(5);
    rows.remove(1);
    for (row, seq) in rows.iter_mut().zip(1..) {
        row.seq = seq;
    }
    let head = Head { seq: 4, ..head };
    let found = faults(&rows, head, vec![]);
    assert_eq!(found[0], Fault::Altered(2));
    assert!(
        found.contains(&Fault::Moved { seq: 2, says: 3 }),
        "{found:?}"
    );
}

#[test]
fn entries_that_changed_places_are_found() {
    let (mut rows, head) = chain(5);
    let (second, third) = (rows[1].clone(), rows[2].clone());
    (rows[1].text, rows[1].hash) = (third.text, third.hash);
    (rows[2].text, rows[2].hash) = (second.text, second.hash);
    let found = faults(&rows, head, vec![]);
    for fault in [
        Fault::Altered(2),
        Fault::Moved { seq: 2, says: 3 },
        Fault::Moved { seq: 3, says: 2 },
    ] {
        assert!(found.contains(&fault), "{fault:?} in {found:?}");
    }
}

#[test]
fn a_chain_forged_as_a_whole_is_found_only_by_a_head_that_was_kept_elsewhere() {
    let (_, anchor) = chain(5);
    // The last two are gone, and the head record fits.
    let (rows, head) = chain(3);
    assert_eq!(faults(&rows, head, vec![]), []);
    assert_eq!(faults(&rows, head, vec![anchor]), [Fault::Anchor(anchor)]);
    // A log that went on after the anchor still holds it.
    let (rows, head) = chain(9);
    assert_eq!(faults(&rows, head, vec![anchor]), []);
}

#[test]
fn a_head_is_written_and_read_as_one_word() {
    let (_, head) = chain(2);
    assert_eq!(head.to_string().parse(), Ok(head));
    for wrong in ["", "2", "2:ab", "x:00", ":"] {
        assert_eq!(wrong.parse::<Head>(), Err(BadHead));
    }
}

#[test]
fn names_and_reasons_are_one_short_line() {
    let actor = Actor::new(" eve\n{\"seq\":1}\u{1b}[2J ", "");
    assert_eq!(actor.name, "eve {\"seq\":1} [2J");
    assert_eq!(Actor::new(" ", "").name, "unknown");
    let deed = Deed {
        reason: "x".repeat(REASON_CHARS_MAX + 1),
        ..Deed::default()
    };
    let entry = Entry::new(1, 0, &actor, &deed);
    assert_eq!(entry.reason.len(), REASON_CHARS_MAX);
}

#[test]
fn the_line_and_its_hash_are_as_the_reference_says() {
    let deed = Deed {
        act: "dead_letters.discard",
        subject: "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0".to_owned(),
        reason: "OPS-7".to_owned(),
        ..Deed::default()
    };
    let entry = Entry::new(1, 1_000_000_000_007, &Actor::new("ada", "127.0.0.1"), &deed);
    let line = r#"{"seq":1,"at":"2001-09-09T01:46:40.007Z","actor":"ada","peer":"127.0.0.1","act":"dead_letters.discard","subject":"0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0","reason":"OPS-7"}"#;
    assert_eq!(entry.text(), line);
    let mut bytes = vec![0; 32];
    bytes.extend_from_slice(line.as_bytes());
    assert_eq!(link(&GENESIS, line)[..], Sha256::digest(&bytes)[..]);
}
