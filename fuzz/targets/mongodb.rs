//! Whatever a MongoDB server says, it is read or refused; and one that does not know the password proves
//! nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotate_mongodb::fuzzing::{answer, challenge};

fuzz_target!(|data: &[u8]| {
    answer(data);
    let (first, last) = data.split_at(data.len() / 2);
    challenge(first, last);
});
