//! How long a vendor, or a proxy, is waited for that learns late.

use std::time::Duration;

use crate::invocation::Invocation;

/// The pauses in which a vendor is asked again, for no longer than it may take to learn.
pub(crate) fn pauses(propagation: Duration) -> impl Iterator<Item = Duration> {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    let mut waited = Duration::ZERO;
    let mut next = FIRST;
    std::iter::from_fn(move || {
        let pause = next.min(propagation.saturating_sub(waited));
        (waited, next) = (waited + pause, (next * 2).min(LONGEST));
        (!pause.is_zero()).then_some(pause)
    })
}

/// The pauses between so many questions at most, which last as long as a vendor may take to learn:
/// each is twice the one before.
pub(super) fn spread(propagation: Duration, questions: usize) -> impl Iterator<Item = Duration> {
    let pauses = u32::try_from(questions.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    let parts = (1_u32 << pauses) - 1;
    let pause = move |number: u32| propagation * (1 << number) / parts.max(1);
    (0..pauses).map(pause).filter(|pause| !pause.is_zero())
}

/// Waits the next of these pauses; false if there is none, or no time for it, or if nobody is to wait.
pub(crate) async fn wait(pauses: &mut impl Iterator<Item = Duration>, cx: &Invocation) -> bool {
    let Some(pause) = pauses.next() else { return false };
    let worth = cx.waits() && cx.deadline().remaining() > pause + crate::CHANGE_TIME;
    if worth {
        tokio::time::sleep(pause).await;
    }
    worth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_asked_again_for_as_long_as_it_may_take_and_no_longer() {
        let all = |seconds| pauses(Duration::from_secs(seconds)).collect::<Vec<_>>();
        assert!(all(0).is_empty());
        for seconds in [1, 7, 60] {
            let pauses = all(seconds);
            assert_eq!(pauses.iter().sum::<Duration>(), Duration::from_secs(seconds));
            assert!(pauses.len() < 25, "{pauses:?}");
        }
    }

    #[test]
    fn few_questions_are_spread_over_the_whole_time() {
        let all = |seconds, questions| {
            spread(Duration::from_secs(seconds), questions).collect::<Vec<_>>()
        };
        assert!(all(0, 6).is_empty() && all(9, 1).is_empty() && all(9, 0).is_empty());
        let pauses = all(31, 6);
        assert_eq!(pauses, [1, 2, 4, 8, 16].map(Duration::from_secs));
        assert_eq!(all(9, 2), [Duration::from_secs(9)]);
        assert!(all(60, usize::MAX).len() == 8);
    }
}
