//! Signs our own manifest, whenever something changes and from time to time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::s2s::Manifest;
use crate::facts::Interconnects;
use crate::federation::copies::Archive;
use crate::federation::import_error::ImportError;
use crate::federation::settings::Settings;
use crate::ident::{Digest, PidName};
use crate::publish::View;
use crate::runtime::{Clock, Moment, Pool};
use crate::store::StoreError;

use super::key::Keyring;
use super::statement::{Signed, Statement, next_serial, resources};

/// How long a manifest is passed on before it is signed again, even without a change.
const RESIGNED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The least time between two manifests, so that rapid changes are not each rendered and signed.
const PACE: Duration = Duration::from_secs(1);

/// How many manifests are kept in memory, so that the documents that a reader's manifest names
/// can still be found.
const KEPT: usize = 4;

/// What our domain states.
#[derive(Debug, Clone)]
pub struct OwnDomain {
    /// Its view.
    pub view: Arc<View>,
    /// Its off-net PIDs.
    pub off_net: Arc<BTreeSet<PidName>>,
    /// Its links to others.
    pub interconnects: Arc<Interconnects>,
}

impl OwnDomain {
    fn same(&self, other: &OwnDomain) -> bool {
        Arc::ptr_eq(&self.view, &other.view)
            && self.off_net == other.off_net
            && self.interconnects == other.interconnects
    }
}

/// A manifest of ours.
#[derive(Debug)]
pub struct Issued {
    /// Its content.
    pub manifest: Manifest,
    /// The signed text, a compact JWS.
    pub text: String,
    /// The digest of its payload.
    pub fingerprint: Digest,
    /// The view that it describes.
    pub view: Arc<View>,
}

/// Our last manifests, the newest first.
pub type IssuedManifests = Arc<[Arc<Issued>]>;

/// Signs our manifests: on every change of what our domain states, and every hour.
pub(in crate::federation) struct Publisher {
    pub(in crate::federation) archive: Arc<Archive>,
    pub(in crate::federation) keys: Keyring,
    /// The settings that the keys were loaded from.
    pub(in crate::federation) keys_under: Arc<Settings>,
    pub(in crate::federation) pool: Pool,
    pub(in crate::federation) clock: Clock,
    pub(in crate::federation) settings: watch::Receiver<Arc<Settings>>,
    pub(in crate::federation) own: watch::Receiver<OwnDomain>,
    pub(in crate::federation) issued: watch::Sender<IssuedManifests>,
    /// The last serial that was used.
    pub(in crate::federation) serial: u64,
}

impl Publisher {
    /// Runs until the sender of what our domain states, or of the settings, is dropped.
    pub(in crate::federation) async fn run(mut self) {
        let mut last: Option<(OwnDomain, Arc<Settings>, Moment)> = None;
        loop {
            let own = self.own.borrow_and_update().clone();
            let settings = self.settings.borrow_and_update().clone();
            let has_other_keys = self.load_keys(&settings).await;
            let is_due = last.as_ref().is_none_or(|(said, under, at)| {
                has_other_keys
                    || !own.same(said)
                    || under.own != settings.own
                    || self.clock.now().since(*at) >= RESIGNED_AFTER
            });
            if is_due {
                let at = self.clock.now();
                match self.issue(&own, &settings).await {
                    Ok(()) => last = Some((own, settings, at)),
                    Err(refusal) => {
                        tracing::error!(reason = %refusal, "our manifest is not signed");
                    }
                }
                self.clock.sleep_until(at + PACE).await;
            }
            let due = match &last {
                Some((_, _, at)) => *at + RESIGNED_AFTER,
                None => self.clock.now() + RESIGNED_AFTER,
            };
            tokio::select! {
                changed = self.own.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    /// Loads the keys that are configured now; returns whether they differ from the present
    /// ones, which are kept if the new ones cannot be read.
    async fn load_keys(&mut self, settings: &Arc<Settings>) -> bool {
        if Arc::ptr_eq(&self.keys_under, settings) {
            return false;
        }
        self.keys_under = settings.clone();
        let files = settings.own.keys.clone();
        let reason = match self.pool.run(move || Keyring::load(&files)).await {
            Ok(Ok(keys)) => {
                let is_other = !keys.is_same(&self.keys);
                self.keys = keys;
                return is_other;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            reason,
            "the new signing keys cannot be loaded; the former ones are kept"
        );
        false
    }

    async fn issue(&mut self, own: &OwnDomain, settings: &Settings) -> Result<(), ImportError> {
        let view = own.view.clone();
        let resources = self.pool.run(move || resources(&view)).await?;
        let now = self.clock.wall();
        let serial = next_serial(self.serial, now);
        // The serial is durable before anybody sees it, so that it is not used again after a
        // crash. If the disk has no room, the date alone makes serials rise, so that our domain
        // does not expire at others.
        match self.archive.keep_serial(serial).await {
            Err(StoreError::NoRoom { .. }) => {
                tracing::warn!(serial, "the serial of our manifest is not kept: no room");
            }
            kept => kept?,
        }
        self.serial = serial;
        let statement = Statement {
            domain: &settings.own.domain,
            resources,
            off_net: &own.off_net,
            interconnects: &own.interconnects,
            scope: &settings.own.scope,
            keys: self.keys.documents(now),
        };
        let Signed {
            manifest,
            text,
            fingerprint,
        } = statement.sign(serial, now, self.keys.signer(now));
        let issued = Arc::new(Issued {
            manifest,
            text,
            fingerprint,
            view: own.view.clone(),
        });
        let former = self.issued.borrow().clone();
        let kept = [issued].into_iter().chain(former.iter().cloned());
        self.issued.send_replace(kept.take(KEPT).collect());
        tracing::info!(serial, "our manifest is signed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::s2s::Scope;
    use crate::federation::SigningKey;
    use crate::federation::testing::{at, domain_view_with, label, links, settings, small_store};
    use crate::runtime::testing::soon;
    use crate::runtime::{ManualClock, Task};

    struct Setting {
        hand: ManualClock,
        own: watch::Sender<OwnDomain>,
        settings: watch::Sender<Arc<Settings>>,
        issued: watch::Receiver<IssuedManifests>,
        _publisher: Task<()>,
        _directory: tempfile::TempDir,
    }

    fn said(cost: f64) -> OwnDomain {
        OwnDomain {
            view: domain_view_with("isp-a", cost),
            off_net: Arc::default(),
            interconnects: Arc::new(links("isp-b")),
        }
    }

    impl Setting {
        async fn new(serial: u64) -> Self {
            let (directory, store) = small_store();
            let (archive, _) = Archive::open(&store).await.expect("opened");
            let (clock, hand) = Clock::manual(at(0));
            let (own, own_read) = watch::channel(said(5.0));
            let start = Arc::new(settings());
            let (settings, settings_read) = watch::channel(start.clone());
            let (issuing, issued) = watch::channel(IssuedManifests::default());
            let publisher = Publisher {
                archive: Arc::new(archive),
                keys: Keyring::new(SigningKey::generate().expect("a key"), Vec::new()),
                keys_under: start,
                pool: Pool::new(1).expect("a pool"),
                clock,
                settings: settings_read,
                own: own_read,
                issued: issuing,
                serial,
            };
            Self {
                hand,
                own,
                settings,
                issued,
                _publisher: Task::spawn("publisher", publisher.run()),
                _directory: directory,
            }
        }

        /// Waits for the next manifest.
        async fn next(&mut self) -> Arc<Issued> {
            soon(self.issued.changed()).await.expect("it runs");
            self.issued.borrow_and_update()[0].clone()
        }

        /// Advances the clock by the pace after a manifest.
        async fn pass(&self) {
            soon(self.hand.sleeper(PACE)).await;
            self.hand.advance(PACE);
        }
    }

    #[tokio::test]
    async fn a_change_is_signed_and_so_is_an_hour_without_one() {
        let mut setting = Setting::new(0).await;
        let first = setting.next().await;
        assert_eq!(first.manifest.domain, label("isp-a"));
        assert_eq!(first.manifest.issued, at(0));
        setting.pass().await;
        setting.own.send_replace(said(6.0));
        let second = setting.next().await;
        assert!(second.manifest.serial > first.manifest.serial);
        assert_ne!(second.manifest.resources, first.manifest.resources);
        setting.pass().await;
        soon(setting.hand.sleeper(RESIGNED_AFTER - PACE)).await;
        setting.hand.advance(RESIGNED_AFTER - PACE);
        let third = setting.next().await;
        assert!(third.manifest.serial > second.manifest.serial);
        assert_eq!(third.manifest.resources, second.manifest.resources);
        assert_eq!(setting.issued.borrow().len(), 3);
    }

    #[tokio::test]
    async fn the_serial_goes_on_from_the_last_one() {
        let ahead = u64::try_from(at(9).as_millisecond()).expect("positive");
        let mut setting = Setting::new(ahead).await;
        assert_eq!(setting.next().await.manifest.serial, ahead + 1);
    }

    #[tokio::test]
    async fn what_is_said_again_unchanged_is_not_signed_again() {
        let mut setting = Setting::new(0).await;
        let first = setting.next().await;
        setting.pass().await;
        let own = setting.own.borrow().clone();
        setting.own.send_replace(own);
        let mut settings = settings();
        settings.own.scope = Scope::None;
        setting.settings.send_replace(Arc::new(settings));
        let second = setting.next().await;
        assert_eq!(second.manifest.scope, Scope::None);
        assert_eq!(setting.issued.borrow().len(), 2);
        assert!(second.manifest.serial > first.manifest.serial);
    }
}
