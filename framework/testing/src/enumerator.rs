//! Every sequence of choices, one after the other: a scenario asks, and is run again until all
//! answers were given. Source of the idea: TigerBeetle's exhaustigen.

/// An odometer over choices. A run takes the same path as the one before it, but for the last
/// choice that has an answer left.
#[derive(Debug, Default)]
pub(super) struct Choices {
    path: Vec<Choice>,
    at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

impl Choices {
    /// One of `of` answers, 0 first.
    pub(super) fn pick(&mut self, of: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push(Choice { taken: 0, of });
        }
        let taken = self.path.get(self.at).map_or(0, |choice| choice.taken);
        self.at += 1;
        taken
    }

    /// Whether to do something that may be done once: no first, then yes.
    pub(super) fn yes(&mut self) -> bool {
        self.pick(2) == 1
    }

    /// Goes on to the next path. False when there is none.
    pub(super) fn next(&mut self) -> bool {
        // A run that ended early asked for less than the path holds.
        self.path.truncate(self.at);
        self.at = 0;
        while let Some(last) = self.path.last_mut() {
            if last.taken + 1 < last.of {
                last.taken += 1;
                return true;
            }
            self.path.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_taken_once() {
        let mut enumerator = Choices::default();
        let mut paths = Vec::new();
        loop {
            let first = enumerator.pick(2);
            let second = if first == 0 { enumerator.pick(3) } else { 9 };
            paths.push((first, second));
            if !enumerator.next() {
                break;
            }
        }
        assert_eq!(paths, [(0, 0), (0, 1), (0, 2), (1, 9)]);
    }
}
