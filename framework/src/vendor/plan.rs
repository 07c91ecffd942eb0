//! What a rotation would do at a vendor, as lines to read: from one listing, and by the same
//! decisions as the rotation itself. It asks whether keys work, and changes nothing.

use super::fate::{Fate, Promotion};
use super::issued::{Key, not_listed};
use super::room::{self, Look};
use super::{Caller, IssuedKeys, Issuer, Ownership, Updater, admin};
use crate::error::{Error, ErrorKind};
use crate::ids::VersionId;
use crate::rotator::{Known, Subject, Verdict};
use crate::secret::{Previous, Secret};
use crate::store::{AWSPENDING, SecretDescription};
use crate::turn::Turn;

/// Stands for the id of a version that is still to be made.
const NEXT: &str = "of the next rotation";

/// What the vendor lists, and by which secret it was asked.
struct Listing {
    own: Secret,
    admin: Option<Secret>,
    keys: Vec<Key>,
}

impl Listing {
    fn caller(&self) -> Caller<'_> {
        Caller { own: &self.own, admin: self.admin.as_ref() }
    }
}

fn fails(step: &str, error: &Error) -> String {
    format!("{step} would fail with {}: {error}", error.kind().name())
}

impl<V: Issuer> IssuedKeys<V> {
    /// What the next rotation would do. A step that would fail is the last line.
    ///
    /// # Errors
    /// Those of looking, among them that no key of the secret's works.
    pub(super) async fn planned(
        &self,
        subject: &Subject<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let (current, description) = (subject.current, subject.description);
        self.vendor.id(current.secret()).map_err(|error| error.while_doing("AWSCURRENT"))?;
        let next = VersionId::from_store(NEXT);
        let pending = description.holder(AWSPENDING).filter(|one| *one != current.version());
        let token = pending.unwrap_or(&next);
        let known = Known { calls: subject.calls, current, token, description };
        let listing = self.listing(&known, turn).await?;
        let stored = known.stored().await?;
        let waiting = stored.iter().find(|one| Some(one.version()) == pending);
        let mut lines = Vec::new();
        let mut keys = listing.keys.clone();
        if let Some(version) = waiting {
            let id = self.vendor.id(version.secret())?;
            let Some(age) = keys.iter().find(|key| key.id == id).map(|key| key.age) else {
                return Ok(vec![fails("finishSecret", &not_listed(&id))]);
            };
            lines.push(format!(
                "createSecret issues nothing: version {} is AWSPENDING and holds key {id:?}",
                version.version()
            ));
            lines.extend(self.retired(&known, &listing, &keys, &stored, Some(age), turn).await?);
            return Ok(lines);
        }
        let revoked = match self.room(&known, &listing, &stored, turn).await? {
            Ok((line, revoked)) => {
                lines.extend(line);
                revoked
            }
            Err(error) => return Ok(vec![fails("createSecret", &error)]),
        };
        keys.retain(|key| Some(&key.id) != revoked.as_ref());
        lines.push(self.issues(&known));
        lines.extend(self.retired(&known, &listing, &keys, &stored, None, turn).await?);
        Ok(lines)
    }

    fn issues(&self, known: &Known<'_>) -> String {
        let label = self.label(&known.description.arn, known.token);
        match self.vendor.terms().ownership {
            Ownership::Labels => {
                format!("createSecret issues a key with a label {:?}...", label.beginning())
            }
            _ => "createSecret issues a key".to_owned(),
        }
    }

    /// Every key, asked for as a rotation would.
    async fn listing(&self, known: &Known<'_>, turn: &Turn) -> Result<Listing, Error> {
        let current = known.current.secret();
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let caller = Caller { own: current, admin: admin.as_ref() };
        if self.speaks_for_itself(&caller, turn).await {
            match self.keys(&caller, turn).await {
                Err(refused) if refused.kind() == ErrorKind::Rejected => {}
                listed => return Ok(Listing { own: current.clone(), admin, keys: listed? }),
            }
        }
        let own = self.standing(known, admin.as_ref(), turn).await?;
        let keys = self.keys(&Caller { own: &own, admin: admin.as_ref() }, turn).await?;
        Ok(Listing { own, admin, keys })
    }

    /// What makes room for another key, and the key that goes for it; or why there is none.
    async fn room(
        &self,
        known: &Known<'_>,
        listing: &Listing,
        stored: &[Previous],
        turn: &Turn,
    ) -> Result<Result<(Option<String>, Option<String>), Error>, Error> {
        let (caller, keys) = (listing.caller(), &listing.keys);
        let cap = self.vendor.terms().cap;
        let full = cap.filter(|cap| keys.len() >= *cap);
        let id = self.vendor.id(caller.own)?;
        let Some(age) = keys.iter().find(|key| key.id == id).map(|key| key.age) else {
            return Ok(match full.is_some() || caller.admin.is_some() {
                true => Err(not_listed(&id)),
                false => Ok((None, None)),
            });
        };
        if cap.is_some() && full.is_none() {
            return Ok(Ok((None, None)));
        }
        let look = Look { caller: &caller, keys, age, stored };
        let first = match self.candidates(known, &look) {
            Ok(candidates) => match self.victim(known, &look, candidates, turn).await? {
                Some(victim) => match self.unclear(known, &look, turn).await? {
                    None => Ok(victim),
                    Some(error) => Err(error),
                },
                None => Err(room::none()),
            },
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

    /// What finishSecret does to each of these keys. `age` is that of the key to be promoted, if it
    /// has been issued.
    async fn retired(
        &self,
        known: &Known<'_>,
        listing: &Listing,
        keys: &[Key],
        stored: &[Previous],
        age: Option<std::time::Duration>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let after = known.description.clone().promoted(known.token);
        let labelled = |one: &&Previous| after.labels.contains_key(one.version());
        let versions: Vec<Previous> = stored.iter().filter(labelled).cloned().collect();
        let kept = self.kept(versions.iter())?;
        let label = self.label(&after.arn, known.token);
        let promotion = Promotion { label: &label, age, kept: &kept, keys };
        let recorded = self.ids(stored.iter());
        let caller = listing.caller();
        let others = (keys, &caller);
        let unclear = self.disagreement(versions.iter(), &listing.own, others, turn).await?;
        let (mut lines, mut strangers) = (Vec::new(), 0);
        for key in keys {
            let id = &key.id;
            let revokes = match &unclear {
                None => format!("finishSecret revokes key {id:?}"),
                Some(error) => format!("finishSecret keeps key {id:?}: {error}"),
            };
            lines.push(match self.fate(key, &promotion, &recorded) {
                Fate::Stranger => {
                    strangers += 1;
                    continue;
                }
                Fate::Goes => revokes,
                Fate::Unproven => {
                    match self.held(id, stored, &listing.caller(), turn).await? {
                        true => revokes,
                        false => format!(
                            "finishSecret keeps key {id:?}: it has no label of ours, and the vendor \
                             does not say that it is the key stored beside its id; revoke it by hand"
                        ),
                    }
                }
                Fate::Held => {
                    let labels = self.labels_of(id, &after, &versions);
                    format!("finishSecret keeps key {id:?}: it is {labels}'s then")
                }
                Fate::Newer => format!(
                    "finishSecret keeps key {id:?}: it is newer than the promoted one, and a run \
                     may be about to record it"
                ),
                Fate::Graced => format!(
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
    subject: &Subject<'_>,
    turn: &Turn,
) -> Result<Vec<String>, Error> {
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
    Ok(match vendor.verify(current, turn).await? {
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
