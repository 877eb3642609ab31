//! Who may come through a source's door: networks, client certificates, rates; and the listener's own part
//! of it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;

use super::Reading;
use crate::config::admission::{Admission, ClientName, Rate};
use crate::config::diagnostic::Diagnostic;
use crate::config::read::{Table, Text};
use crate::provider::Preset;

impl Reading<'_> {
    pub(super) fn admission(
        &self,
        table: &Table<'_>,
        preset: Option<&Preset>,
        has_client_ca: bool,
    ) -> Option<Admission> {
        let enforce = table.boolean("enforce");
        if enforce == Some(false) {
            self.push(
                Diagnostic::warning(
                    "not_enforced",
                    "this source lets requests through that are not authentic",
                )
                .at(table.span_of("enforce"))
                .hint("remove `enforce` once `hookswitch rejected list` stays empty"),
            );
        }
        let allow_ips = self.allow_ips(table, preset);
        let client_names = self.client_names(table, has_client_ca);
        let rate = self.rate(table);
        Some(Admission {
            enforce: enforce?,
            allow_ips: allow_ips?,
            client_names: client_names?,
            rate: rate?,
        })
    }

    fn allow_ips(&self, table: &Table<'_>, preset: Option<&Preset>) -> Option<Vec<IpNet>> {
        if !table.has("allow_ips") {
            return Some(Vec::new());
        }
        let place = table.span_of("allow_ips");
        if let Some(word) = table.value("allow_ips")?.get_ref().as_str() {
            return self.published(word, preset, place);
        }
        let texts = table.texts("allow_ips");
        if texts.is_empty() && table.is_array("allow_ips") {
            self.push(
                Diagnostic::error("empty_list", "`allow_ips` lets nobody in")
                    .at(place)
                    .hint("list at least one address or network, or leave `allow_ips` out"),
            );
        }
        self.networks(texts)
    }

    /// The addresses that the preset's provider publishes, where `word` asks for them.
    fn published(
        &self,
        word: &str,
        preset: Option<&Preset>,
        place: Range<usize>,
    ) -> Option<Vec<IpNet>> {
        if word != "preset" {
            self.push(
                Diagnostic::error("unknown_value", format!("`allow_ips` cannot be `{word}`"))
                    .at(place)
                    .hint("either `\"preset\"`, or a list such as `[\"192.0.2.7\", \"198.51.100.0/24\"]`"),
            );
            return None;
        }
        let published: Vec<IpNet> = preset
            .into_iter()
            .flat_map(|preset| preset.ips.clone())
            .collect();
        if published.is_empty() {
            let message = preset.map_or_else(
                || "a source with a `scheme` of its own has no preset".to_owned(),
                |preset| format!("the preset `{}` knows no addresses", preset.name),
            );
            self.push(
                Diagnostic::error("no_preset_ips", message).at(place).hint(
                    "list the addresses that the provider gave you, or leave `allow_ips` out",
                ),
            );
            return None;
        }
        Some(published)
    }

    /// Addresses and networks.
    pub(super) fn networks(&self, texts: Vec<Text>) -> Option<Vec<IpNet>> {
        let mut networks = Vec::new();
        let mut whole = true;
        for text in texts {
            let network = text.value.parse::<IpNet>().ok();
            match network.or_else(|| text.value.parse::<IpAddr>().ok().map(IpNet::from)) {
                Some(network) => networks.push(network),
                None => {
                    whole = false;
                    let message = format!("`{}` is neither an address nor a network", text.value);
                    self.push(
                        Diagnostic::error("bad_network", message)
                            .at(text.span)
                            .hint("such as `\"127.0.0.1\"` or `\"10.0.0.0/8\"`"),
                    );
                }
            }
        }
        whole.then_some(networks)
    }

    fn client_names(&self, table: &Table<'_>, has_client_ca: bool) -> Option<Vec<ClientName>> {
        if !table.has("client_names") {
            return Some(Vec::new());
        }
        let mut names = Vec::new();
        let mut whole = true;
        let texts = table.texts("client_names");
        let is_empty = texts.is_empty();
        for text in texts {
            match text.value.parse() {
                Ok(name) => names.push(name),
                Err(error) => {
                    whole = false;
                    let message = format!("the name `{}` {error}", text.value.escape_debug());
                    self.push(
                        Diagnostic::error("bad_client_name", message).at(text.span).hint(
                            "such as `\"client.example.com\"`, `\"*.example.com\"` or `\"spiffe://example.com/billing\"`",
                        ),
                    );
                }
            }
        }
        if is_empty {
            whole = false;
            self.push(
                Diagnostic::error("empty_list", "`client_names` lets nobody in")
                    .at(table.span_of("client_names"))
                    .hint("list at least one name, or leave `client_names` out"),
            );
        } else if !has_client_ca {
            whole = false;
            self.push(
                Diagnostic::error(
                    "no_client_ca",
                    "no client shows a certificate to this listener",
                )
                .at(table.span_of("client_names"))
                .hint("name the certificates' authority as `client_ca` in `[server.tls]`"),
            );
        }
        whole.then_some(names)
    }

    fn rate(&self, table: &Table<'_>) -> Option<Option<Rate>> {
        let burst = table.has("burst").then(|| table.integer("burst"));
        if !table.has("rate") {
            if burst.is_some() {
                self.push(
                    Diagnostic::error("burst_without_rate", "`burst` says nothing without `rate`")
                        .at(table.span_of("burst"))
                        .hint("such as `rate = \"200/s\"`"),
                );
                return None;
            }
            return Some(None);
        }
        let period = table.rate("rate");
        let burst = match burst {
            Some(burst) => NonZeroU32::new(u32::try_from(burst?).ok()?)?,
            None => one_second(period?),
        };
        let period = period?;
        Some(Some(Rate { period, burst }))
    }

    /// Refusals that one address may cause.
    pub(super) fn reject_rate(&self, table: &Table<'_>) -> Option<Option<Rate>> {
        if !table.has("reject_rate") {
            return Some(None);
        }
        let period = table.rate("reject_rate")?;
        Some(Some(Rate {
            period,
            burst: one_second(period).max(REFUSALS_AT_ONCE),
        }))
    }

    /// Proxies whose word is taken.
    pub(super) fn trusted_proxies(&self, table: &Table<'_>) -> Option<Vec<IpNet>> {
        if !table.has("trusted_proxies") {
            return Some(Vec::new());
        }
        let networks = self.networks(table.texts("trusted_proxies"))?;
        if let Some(all) = networks.iter().find(|network| network.prefix_len() == 0) {
            let message = format!(
                "`{all}` trusts whoever connects, so that every client can name itself an address"
            );
            self.push(
                Diagnostic::warning("everybody_trusted", message)
                    .at(table.span_of("trusted_proxies"))
                    .hint("list the addresses of your proxies only"),
            );
        }
        Some(networks)
    }
}

/// A provider whose secret was changed is refused a few times in a row before anybody notices.
const REFUSALS_AT_ONCE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How many a rate lets through in a second, at least one.
fn one_second(period: Duration) -> NonZeroU32 {
    let usual = Duration::from_secs(1).as_nanos() / period.as_nanos().max(1);
    let usual = u32::try_from(usual).ok().and_then(NonZeroU32::new);
    usual.unwrap_or(NonZeroU32::MIN)
}
