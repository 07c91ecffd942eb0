//! Bytes, and numbers without bias, from the operating system's random generator.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::error::{Error, ErrorKind, Result};

/// Bytes that nobody can guess, from the operating system's random generator.
///
/// # Errors
/// [`ErrorKind::Internal`] where it gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "the operating system gave no random bytes")
            .caused_by(error)
    })?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits, in small letters.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Uniformly distributed numbers from the operating system's random generator.
#[derive(Default)]
pub(crate) struct Uniform {
    bytes: Vec<u8>,
}

impl Uniform {
    /// A number below `bound`, which must be 1 to 256. Bytes that would make small numbers
    /// likelier are thrown away.
    pub(crate) fn below(&mut self, bound: usize) -> Result<usize> {
        let fair = 256 - 256 % bound.clamp(1, 256);
        loop {
            let byte = usize::from(self.next()?);
            if byte < fair {
                return Ok(byte % bound);
            }
        }
    }

    fn next(&mut self) -> Result<u8> {
        if self.bytes.is_empty() {
            self.bytes = random_bytes::<64>()?.to_vec();
        }
        // The bytes were filled just now, so there is one to take.
        Ok(self.bytes.pop().unwrap_or_default())
    }
}

impl fmt::Debug for Uniform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Uniform(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 94,000 draws of 94 characters: each count is binomial with mean 1,000 and standard
    /// deviation 31.5, so six deviations on one of 94 counts happen once in five million runs.
    #[test]
    fn every_character_is_equally_likely() {
        let mut source = Uniform::default();
        let mut counts = [0_i32; 94];
        for _ in 0..94_000 {
            counts[source.below(94).unwrap()] += 1;
        }
        for (index, count) in counts.iter().enumerate() {
            assert!((count - 1000).abs() < 190, "character {index} came {count} times");
        }
    }
}
