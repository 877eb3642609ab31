//! The file sink on a real folder. It has no counterpart that could be stopped.

use std::any::Any;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookswitch::config::{self, SinkKind};
use hookswitch::sink::file::FileSink;
use hookswitch::sink::{Delivery, Sink};
use tempfile::TempDir;

use super::compliance::{Faulty, Rig, compliance_suite};
use super::{TIMEOUT, config_of};

struct FileRig {
    folder: TempDir,
}

async fn rig() -> Option<FileRig> {
    Some(FileRig {
        folder: tempfile::tempdir().unwrap(),
    })
}

impl FileRig {
    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("out/audit.jsonl")
    }
}

fn sink_to(path: &Path, timeout: Duration) -> Arc<dyn Sink> {
    let file = config::File {
        path: path.to_owned(),
        rotate_bytes: 100_000,
        keep: 100,
    };
    let config = config_of(SinkKind::File(file.clone()), timeout);
    Arc::new(FileSink::new(&config, &file).unwrap())
}

#[async_trait]
impl Rig for FileRig {
    fn sink(&self, timeout: Duration) -> Arc<dyn Sink> {
        sink_to(&self.path(), timeout)
    }

    async fn arrived(&self, _at_least: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(self.folder.path().join("out")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for line in text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["id"], value["data"]["id"]);
                found.insert(value["id"].as_str().unwrap().to_owned());
            }
        }
        found
    }

    async fn misconfigured(&self) -> Faulty {
        (sink_to(self.folder.path(), TIMEOUT), "bad_path")
    }

    async fn silent(&self, timeout: Duration) -> (Arc<dyn Sink>, Box<dyn Any + Send>) {
        // Another program holds the file's lock and does not let go.
        let path = self.folder.path().join("locked.jsonl");
        let file = std::fs::File::create(&path).unwrap();
        file.lock().unwrap();
        (sink_to(&path, timeout), Box::new(file))
    }

    fn unacceptable(&self) -> Option<(Delivery, &'static str)> {
        None
    }

    async fn stop(&mut self) {}

    async fn start(&mut self) {}
}

compliance_suite!(rig());
