//! `[server]` and `[storage]`.

use std::net::SocketAddr;

use toml::de::DeTable;

use super::Reading;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::config::{ClientAuth, Server, Storage, Tls};

impl<'r> Reading<'r> {
    pub(super) fn server(&self, top: &Table<'r>) -> Option<Server> {
        let empty = DeTable::new();
        let table = match top.table("server", &keys::SERVER) {
            Some(table) => table,
            None => Table::open(self.problems, &keys::SERVER, &empty, 0..0),
        };
        let listen = self.address(table.text("listen"), "listen");
        let admin = match table.text("admin") {
            Some(text) if text.value == "off" => Some(None),
            text => self.address(text, "admin").map(Some),
        };
        if let (Some(listen), Some(Some(admin))) = (listen, admin) {
            self.check_admin(&table, listen, admin);
        }
        let tls = match table.table("tls", &keys::TLS) {
            Some(tls) => self.tls(&tls).map(Some),
            None => Some(None),
        };
        let header_timeout = table.duration("header_timeout");
        let body_timeout = table.duration("body_timeout");
        let header_bytes_max = table.memory("max_header");
        let connections_max = table.count("max_connections");
        let trusted_proxies = self.trusted_proxies(&table);
        let reject_rate = self.reject_rate(&table);
        let rejected_bytes_max = table.memory("rejected_log");
        let rejected_body_bytes_max = table.memory("rejected_body");
        let drain = table.duration("drain");
        Some(Server {
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            header_bytes_max: header_bytes_max?,
            connections_max: connections_max?,
            trusted_proxies: trusted_proxies?,
            reject_rate: reject_rate?,
            rejected_bytes_max: rejected_bytes_max?,
            rejected_body_bytes_max: rejected_body_bytes_max?,
            drain: drain?,
            listen: listen?,
            admin: admin?,
            tls: tls?,
        })
    }

    fn address(&self, text: Option<Text>, key: &str) -> Option<SocketAddr> {
        let text = text?;
        let address = text.value.parse().ok();
        if address.is_none() {
            let message = format!("`{key}` is not an address with a port: `{}`", text.value);
            self.push(
                Diagnostic::error("bad_address", message)
                    .at(text.span)
                    .hint("such as `\"127.0.0.1:8080\"`, or `\"0.0.0.0:8080\"` for all interfaces"),
            );
        }
        address
    }

    fn check_admin(&self, table: &Table<'_>, listen: SocketAddr, admin: SocketAddr) {
        let any = listen.ip().is_unspecified() || admin.ip().is_unspecified();
        if listen.port() == admin.port() && listen.port() != 0 && (any || listen.ip() == admin.ip())
        {
            self.push(
                Diagnostic::error(
                    "admin_on_listen",
                    "`admin` and `listen` are the same address",
                )
                .at(table.span_of("admin"))
                .related(table.span_of("listen"), "also used here")
                .hint("the admin API must not be reachable by senders of webhooks"),
            );
        } else if !admin.ip().is_loopback() {
            self.push(
                Diagnostic::warning(
                    "admin_exposed",
                    format!("the admin API is reachable at {admin}"),
                )
                .at(table.span_of("admin"))
                .hint("it asks for no credential; let only trusted hosts reach it"),
            );
        }
    }

    fn tls(&self, table: &Table<'_>) -> Option<Tls> {
        let cert = self.existing_file(table, "cert");
        let key = self.existing_file(table, "key");
        let client_ca = match table.has("client_ca") {
            true => self.existing_file(table, "client_ca").map(Some),
            false => Some(None),
        };
        let client_auth = table.choice("client_auth");
        if table.has("client_auth") && !table.has("client_ca") {
            self.push(
                Diagnostic::error(
                    "no_client_ca",
                    "`client_auth` says nothing without `client_ca`",
                )
                .at(table.span_of("client_auth"))
                .hint(
                    "name the certificates' authority as `client_ca`, or leave `client_auth` out",
                ),
            );
        }
        Some(Tls {
            cert: cert?,
            key: key?,
            client_ca: client_ca?,
            client_auth: match client_auth? {
                "optional" => ClientAuth::Optional,
                _ => ClientAuth::Required,
            },
        })
    }

    /// The path of a file that has to be there.
    pub(super) fn existing_file(&self, table: &Table<'_>, key: &str) -> Option<std::path::PathBuf> {
        let path = self.path(table, key)?;
        let problem = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => return Some(path),
            Ok(_) => "is not a file".to_owned(),
            Err(error) => super::io_reason(&error),
        };
        let named = table.text(key).map(|text| text.value).unwrap_or_default();
        self.push(
            Diagnostic::error("file_missing", format!("the file `{named}` {problem}"))
                .at(table.span_of(key))
                .hint(format!("it is looked for at {}", path.display())),
        );
        None
    }

    pub(super) fn storage(&self, top: &Table<'r>) -> Option<Storage> {
        let empty = DeTable::new();
        let table = match top.table("storage", &keys::STORAGE) {
            Some(table) => table,
            None => Table::open(self.problems, &keys::STORAGE, &empty, 0..0),
        };
        let path = self.path(&table, "path");
        let retain = table.duration("retain");
        let retain_dead_letters = table.duration("retain_dead_letters");
        let size_bytes_max = table.size("max_size");
        let free_bytes_min = table.size("min_free");
        let dedupe_window = table.duration("dedupe_window");
        let dedupe_ids_max = table.count("dedupe_max_ids");
        Some(Storage {
            path: path?,
            retain: retain?,
            retain_dead_letters: retain_dead_letters?,
            size_bytes_max: size_bytes_max?,
            free_bytes_min: free_bytes_min?,
            dedupe_window: dedupe_window?,
            dedupe_ids_max: dedupe_ids_max?,
        })
    }
}
