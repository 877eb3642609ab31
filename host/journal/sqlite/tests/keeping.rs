//! Retention, versions of the schema, the folder.

use rusqlite::config::DbConfig;

use super::*;

fn count(world: &World, table: &str) -> i64 {
    world.figure(&format!("SELECT count(*) FROM {table}"))
}

#[tokio::test]
async fn finished_events_go_after_their_time_with_all_that_belongs_to_them() {
    let world = World::new();
    let journal = world.open();
    let done = store(&journal, "done").await;
    let open = store(&journal, "open").await;
    let dead = store(&journal, "dead").await;
    let mut failed = record(0, "crm", State::Delivered);
    failed.attempt = Some(crate::journal::Attempt {
        number: 1,
        at_ms: START_MS,
        class: "transient",
        code: "http_503".to_owned(),
        detail: String::new(),
    });
    journal
        .settle(settlement(done, vec![failed]))
        .await
        .unwrap();
    let buried = vec![record(0, "crm", State::Dead)];
    journal.settle(settlement(dead, buried)).await.unwrap();
    world.later(DAY - Duration::from_secs(1));
    // Upkeep runs all the time; a later commit shows that it has looked at this hour.
    store(&journal, "later").await;
    assert_eq!(count(&world, "event"), 4);
    world.later(Duration::from_secs(2));
    eventually("removal", || count(&world, "event") == 3).await;
    assert_eq!(count(&world, "attempt"), 0);
    assert_eq!(count(&world, "delivery"), 1, "the dead letter's");
    assert_eq!(world.figure("SELECT min(seq) FROM event"), open);
    world.later(2 * DAY);
    eventually("removal of the dead letter", || {
        count(&world, "delivery") == 0
    })
    .await;
    assert_eq!(count(&world, "message"), 0);
    eventually("figures", || journal.stats().dead == 0).await;
    assert_eq!(
        count(&world, "event"),
        2,
        "unfinished events stay however old"
    );
}

#[tokio::test]
async fn a_dead_letter_beside_a_pending_delivery_keeps_its_event() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let records = vec![
        record(0, "crm", State::Dead),
        record(1, "crm", State::Pending),
    ];
    journal.settle(settlement(seq, records)).await.unwrap();
    let gone = store(&journal, "b").await;
    journal.settle(delivered(gone)).await.unwrap();
    world.later(10 * DAY);
    eventually("removal", || count(&world, "event") == 1).await;
    assert_eq!(count(&world, "delivery"), 2);
}

#[tokio::test]
async fn a_place_is_never_used_twice_though_its_event_is_gone() {
    let world = World::new();
    let journal = world.open();
    let last = store(&journal, "a").await;
    journal.settle(delivered(last)).await.unwrap();
    world.later(2 * DAY);
    eventually("removal", || count(&world, "event") == 0).await;
    journal.close().await;
    let journal = world.open();
    assert_eq!(store(&journal, "b").await, last + 1);
}

#[tokio::test]
async fn near_its_limit_the_journal_removes_the_oldest_finished_events_and_never_dead_letters() {
    let mut world = World::new();
    world.options.size_bytes_max = 1 << 20;
    let journal = world.open();
    let body = "x".repeat(20_000);
    let dead = store(&journal, &body).await;
    let buried = vec![record(0, "crm", State::Dead)];
    journal.settle(settlement(dead, buried)).await.unwrap();
    for _ in 0..120 {
        // A sender comes again after a 503.
        let seq = loop {
            match journal.append(event(&body), None).await {
                Ok(Appended::Stored(seq)) => break seq,
                other => assert_eq!(other, Err(AppendError::Full)),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        journal.settle(delivered(seq)).await.unwrap();
    }
    assert!(count(&world, "event") < 60);
    let kept = format!("SELECT count(*) FROM event WHERE seq = {dead}");
    assert_eq!(world.figure(&kept), 1);
    assert_eq!(
        world.figure("SELECT count(*) FROM event WHERE seq = 121"),
        1
    );
}

#[tokio::test]
async fn many_free_pages_are_given_back_to_the_disk() {
    let world = World::new();
    let journal = world.open();
    let body = "x".repeat(400_000);
    for _ in 0..40 {
        let seq = store(&journal, &body).await;
        journal.settle(delivered(seq)).await.unwrap();
    }
    let before = world.figure("PRAGMA page_count");
    assert!(before > 3900);
    world.later(2 * DAY);
    eventually("shrinking", || world.figure("PRAGMA page_count") < 1024).await;
    assert!(journal.stats().bytes < 1 << 20);
}

#[tokio::test]
async fn a_folder_belongs_to_one_journal_at_a_time() {
    let world = World::new();
    let journal = world.open();
    let second = world.try_open(schema::STEPS);
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    journal.close().await;
    world.open().close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.open().close().await;
    let mode = std::fs::metadata(&world.options.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(world.folder.path().join("journal/ballast").exists());
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
    let world = World::new();
    let journal = world.open();
    store(&journal, "old").await;
    journal.close().await;
    let mut steps = schema::STEPS.to_vec();
    steps.push("CREATE TABLE later(x INTEGER) STRICT; INSERT INTO later VALUES (42);");
    let journal = world.try_open(&steps).unwrap();
    assert_eq!(world.figure("PRAGMA user_version"), steps.len() as i64);
    assert_eq!(world.figure("SELECT x FROM later"), 42);
    assert_eq!(take(&journal, 1).await[0].event.body, "old");
    journal.close().await;
    // And is brought up once only.
    let journal = world.try_open(&steps).unwrap();
    assert_eq!(world.figure("SELECT count(*) FROM later"), 1);
    journal.close().await;

    let Err(error) = world.try_open(schema::STEPS) else {
        panic!("a newer schema was opened");
    };
    let known = schema::STEPS.len();
    let newer = matches!(&error, OpenError::Newer { found, known: k, .. }
        if *found == known as i64 + 1 && *k == known);
    assert!(newer, "{error}");
    let version = format!("schema version {}", known + 1);
    assert!(error.to_string().contains(&version), "{error}");
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_schema_as_it_was() {
    let world = World::new();
    world.open().close().await;
    let mut steps = schema::STEPS.to_vec();
    steps.push("CREATE TABLE later(x INTEGER) STRICT; CREATE TABLE event(x INTEGER);");
    let failed = world.try_open(&steps);
    assert!(matches!(failed, Err(OpenError::Database { .. })));
    let journal = world.open();
    let known = schema::STEPS.len() as i64;
    assert_eq!(world.figure("PRAGMA user_version"), known);
    assert_eq!(
        world.figure("SELECT count(*) FROM sqlite_schema WHERE name = 'later'"),
        0
    );
    journal.close().await;
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let world = World::new();
    std::fs::create_dir(&world.options.path).unwrap();
    let other = Connection::open(world.options.path.join("journal.db")).unwrap();
    other.execute_batch("CREATE TABLE mine(x)").unwrap();
    drop(other);
    let refused = world.try_open(schema::STEPS);
    assert!(matches!(refused, Err(OpenError::Foreign { .. })));
}

#[tokio::test]
async fn the_database_is_set_up_for_durability() {
    let world = World::new();
    let connection = {
        folder::take(&world.options.path).unwrap();
        schema::writer(&world.options.path.join("journal.db"), schema::STEPS).unwrap()
    };
    for (pragma, expected) in [
        ("synchronous", 2),
        ("page_size", 4096),
        ("auto_vacuum", 2),
        ("wal_autocheckpoint", 250),
        ("application_id", i64::from(schema::APPLICATION_ID)),
    ] {
        let value: i64 = connection
            .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    let checkpoint_off = connection.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE);
    assert!(!checkpoint_off.unwrap());
}

#[tokio::test]
async fn the_views_for_people_show_ids_and_times_as_text() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    journal.settle(delivered(seq)).await.unwrap();
    let id = take(&journal, 1).await[0].event.id;
    let found = format!(
        "SELECT count(*) FROM events WHERE id = '{id}' AND finished
         AND received_at = '2023-11-14T22:13:20.000Z'"
    );
    assert_eq!(world.figure(&found), 1);
    let found =
        "SELECT count(*) FROM deliveries WHERE plugins = 'redact@ab12' AND state = 'delivered'";
    assert_eq!(world.figure(found), 1);
}
