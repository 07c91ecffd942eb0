//! What a rotation would do at a vendor, as lines to read: from one listing, and by the same
//! decisions as the rotation itself. It asks whether keys work, and changes nothing.

use super::capacity::Snapshot;
use super::issued::Key;
use super::listing::{Listing, Wanted, not_listed};
use super::retention::{Promotion, Retention};
use super::{Caller, IssuedKeys, Issuer, Ownership, Updater, admin};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::invocation::Invocation;
use crate::rotator::{CreateContext, InspectContext, Verdict};
use crate::secret::{Previous, Secret};
use crate::store::{AWSPENDING, SecretDescription};

/// Stands for the id of a version that is still to be made.
const NEXT: &str = "of the next rotation";

/// What the vendor lists, and by which secret it was asked.
struct Asked {
    own: Secret,
    admin: Option<Secret>,
    keys: Vec<Key>,
    left_out: usize,
}

impl Asked {
    fn caller(&self) -> Caller<'_> {
        Caller { own: &self.own, admin: self.admin.as_ref() }
    }
}

pub(super) fn fails(step: &str, error: &Error) -> String {
    format!("{step} would fail with {}: {error}", error.kind().name())
}

impl<V: Issuer> IssuedKeys<V> {
    /// What the next rotation would do. A step that would fail is the last line.
    ///
    /// # Errors
    /// Those of looking, among them that no key of the secret's works.
    pub(super) async fn planned(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        let (current, description) = (subject.current, subject.description);
        self.vendor.id(current.secret()).map_err(|error| error.while_doing("AWSCURRENT"))?;
        let next = VersionId::from_store(NEXT);
        let pending = description.holder(AWSPENDING).filter(|one| *one != current.version());
        let token = pending.unwrap_or(&next);
        let known = CreateContext { calls: subject.calls, current, token, description };
        let stored = known.stored().await?;
        let listing = self.listing(&known, &stored, cx).await?;
        let waiting = stored.iter().find(|one| Some(one.version()) == pending);
        let mut lines = Vec::new();
        let mut keys = listing.keys.clone();
        if let Some(version) = waiting {
            let id = self.vendor.id(version.secret())?;
            let Some(issued) = keys.iter().find(|key| key.id == id).map(|key| key.issued) else {
                return Ok(vec![fails("finishSecret", &not_listed(&id, self.vendor.id_field()))]);
            };
            lines.push(format!(
                "createSecret issues nothing: version {} is AWSPENDING and holds key {id:?}",
                version.version()
            ));
            lines.extend(self.retired(&known, &listing, &keys, &stored, Some(issued), cx).await?);
            return Ok(lines);
        }
        let revoked = match self.capacity(&known, &listing, &stored, cx).await? {
            Ok((line, revoked)) => {
                lines.extend(line);
                revoked
            }
            Err(error) => return Ok(vec![fails("createSecret", &error)]),
        };
        keys.retain(|key| Some(&key.id) != revoked.as_ref());
        lines.push(self.issues(&known));
        lines.extend(self.retired(&known, &listing, &keys, &stored, None, cx).await?);
        Ok(lines)
    }

    fn issues(&self, known: &CreateContext<'_>) -> String {
        let label = self.label(&known.description.arn, known.token);
        match self.vendor.terms().ownership {
            Ownership::Labels => {
                format!("createSecret issues a key with a label {:?}...", label.beginning())
            }
            _ => "createSecret issues a key".to_owned(),
        }
    }

    /// Every key, asked for as a rotation would.
    async fn listing(
        &self,
        known: &CreateContext<'_>,
        stored: &[Previous],
        cx: &Invocation,
    ) -> Result<Asked> {
        let current = known.current.secret();
        let recorded = self.recorded(stored, current);
        let label = self.label(&known.description.arn, known.token);
        let wanted = Wanted::ours(&label, &recorded);
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let caller = Caller { own: current, admin: admin.as_ref() };
        if self.speaks_for_itself(&caller, cx).await {
            match self.keys(wanted, &caller, cx).await {
                Err(refused) if refused.kind() == ErrorKind::Rejected => {}
                listed => {
                    let Listing { keys, left_out } = listed?;
                    return Ok(Asked { own: current.clone(), admin, keys, left_out });
                }
            }
        }
        let own = self.working_version(known, admin.as_ref(), cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        let Listing { keys, left_out } = self.keys(wanted, &caller, cx).await?;
        Ok(Asked { own, admin, keys, left_out })
    }

    /// What makes room for another key, and the key that goes for it; or why there is none.
    async fn capacity(
        &self,
        known: &CreateContext<'_>,
        listing: &Asked,
        stored: &[Previous],
        cx: &Invocation,
    ) -> Result<Result<(Option<String>, Option<String>)>> {
        let (caller, keys) = (listing.caller(), &listing.keys);
        let cap = self.vendor.terms().cap;
        let full = cap.filter(|cap| keys.len() >= *cap);
        let id = self.vendor.id(caller.own)?;
        let Some(issued) = keys.iter().find(|key| key.id == id).map(|key| key.issued) else {
            return Ok(match full.is_some() || self.above(&caller) {
                true => Err(not_listed(&id, self.vendor.id_field())),
                false => Ok((None, None)),
            });
        };
        if cap.is_some() && full.is_none() {
            return Ok(Ok((None, None)));
        }
        let snapshot = Snapshot { caller: &caller, keys, issued, stored };
        let first = match self.candidates(known, &snapshot) {
            Ok(candidates) => {
                match self.eviction_candidate(known, &snapshot, candidates, cx).await? {
                    Some(eviction_candidate) => match self.unclear(known, &snapshot, cx).await? {
                        None => Ok(eviction_candidate),
                        Some(error) => Err(error),
                    },
                    None => Err(self.none(known, &snapshot)),
                }
            }
            Err(error) => Err(error),
        };
        Ok(match (full, first) {
            (Some(cap), Ok(Key { id, .. })) => {
                let count = keys.len();
                let line = format!(
                    "createSecret revokes key {id:?} first: the vendor lists {count} keys, and its \
                     limit is {cap}"
                );
                Ok((Some(line), Some(id)))
            }
            (Some(_), Err(error)) => Err(error),
            (None, Ok(Key { id, .. })) => Ok((
                Some(format!(
                    "createSecret revokes key {id:?} first if the vendor says that its limit is \
                     reached"
                )),
                None,
            )),
            (None, Err(_)) => Ok((None, None)),
        })
    }

    /// What finishSecret does to each of these keys. `issued` is when the key to be promoted was, if it
    /// has been issued.
    async fn retired(
        &self,
        known: &CreateContext<'_>,
        listing: &Asked,
        keys: &[Key],
        stored: &[Previous],
        issued: Option<std::time::SystemTime>,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        let after = known.description.clone().promoted(known.token);
        let labelled = |one: &&Previous| after.labels.contains_key(one.version());
        let versions: Vec<Previous> = stored.iter().filter(labelled).cloned().collect();
        let kept = self.kept(versions.iter())?;
        let label = self.label(&after.arn, known.token);
        let promotion = Promotion { label: &label, promoted: None, issued, kept: &kept, keys };
        let recorded = self.recorded(stored, &listing.own);
        let caller = listing.caller();
        let others = (keys, &caller);
        let unclear = self.disagreement(versions.iter(), &listing.own, others, cx).await?;
        let (mut lines, mut strangers) = (Vec::new(), listing.left_out);
        for key in keys {
            let id = &key.id;
            let revokes = match &unclear {
                None => format!("finishSecret revokes key {id:?}"),
                Some(error) => format!("finishSecret keeps key {id:?}: {error}"),
            };
            lines.push(match self.retention(key, &promotion, &recorded) {
                Retention::Stranger => {
                    strangers += 1;
                    continue;
                }
                Retention::Goes => revokes,
                Retention::Unproven => {
                    match self.held(id, stored, &listing.caller(), cx).await? {
                        true => revokes,
                        false => format!(
                            "finishSecret keeps key {id:?}: it has no label of ours, and the vendor \
                             does not say that it is the key stored beside its id; if nothing uses it, revoke it \
                             by hand"
                        ),
                    }
                }
                Retention::Last => format!(
                    "finishSecret keeps key {id:?}: AWSPREVIOUS's is gone then, and applications may use this one"
                ),
                Retention::Another => format!(
                    "finishSecret keeps key {id:?}: it carries another secret's label, and that secret may have \
                     it in use"
                ),
                Retention::Held => {
                    let labels = self.labels_of(id, &after, &versions);
                    format!("finishSecret keeps key {id:?}: it is {labels}'s then")
                }
                Retention::Newer => format!(
                    "finishSecret keeps key {id:?}: it is newer than the promoted one, and a run \
                     may be about to record it"
                ),
                Retention::Graced => format!(
                    "finishSecret keeps key {id:?}: it may be in use until the grace period of {} s \
                     is over",
                    self.vendor.terms().grace.as_secs()
                ),
            });
        }
        if strangers > 0 {
            lines.push(format!(
                "finishSecret leaves {strangers} more alone: nothing says that they are this \
                 secret's"
            ));
        }
        Ok(lines)
    }

    /// The labels of the versions that hold a key.
    fn labels_of(&self, id: &str, after: &SecretDescription, versions: &[Previous]) -> String {
        let holds = |one: &&Previous| self.vendor.id(one.secret()).is_ok_and(|own| own == id);
        let labels =
            versions.iter().filter(holds).filter_map(|one| after.labels.get(one.version()));
        let labels: std::collections::BTreeSet<_> = labels.flatten().map(String::as_str).collect();
        labels.into_iter().collect::<Vec<_>>().join(" and ")
    }
}

/// What the next rotation of a value that is set in place would do.
pub(super) async fn of_update<V: Updater>(
    vendor: &V,
    subject: &InspectContext<'_>,
    cx: &Invocation,
) -> Result<Vec<String>> {
    let current = subject.current.secret();
    vendor.propose(current)?;
    let asking = vendor.admin(current)?;
    admin(Ok(asking.clone()), &subject.other_secrets()).await?;
    let what = match vendor.fields() {
        [] => "value".to_owned(),
        fields => fields.iter().map(|field| format!("{field:?}")).collect::<Vec<_>>().join(" and "),
    };
    let who = asking.map(|secret| format!(", asked by the admin of secret {secret}"));
    let first = format!("createSecret makes a new {what} and asks nobody");
    let sets = format!("setSecret sets it{}", who.unwrap_or_default());
    Ok(match vendor.verify(current, cx).await? {
        Verdict::Accepted => vec![first, format!("{sets}: AWSCURRENT's stops working then")],
        Verdict::Rejected(why) => vec![
            first,
            format!(
                "{sets}, with the first of AWSPENDING's, AWSPREVIOUS's and older values that works, \
                 of {} in all: AWSCURRENT's is refused, {why}",
                vendor.attempts()
            ),
        ],
    })
}
