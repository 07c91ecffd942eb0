#![doc = include_str!("../../../docs/write-a-rotator.md")]
