//! Whatever is asked of the local Secrets Manager, each line one request (its first byte the
//! operation, the rest the body): an answer or an error of AWS's, and a state that makes sense.
#![no_main]

use fourstep_local::serve::hostile::{Reply, Service};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut service = Service::default();
    for line in data.split(|&byte| byte == b'\n').take(32) {
        let Some((&operation, body)) = line.split_first() else { continue };
        match service.request(Service::operation(operation), body) {
            Ok(Reply::Refused(name, _)) => assert!(name.ends_with("Exception"), "{name}"),
            Ok(Reply::Answered(_)) => {}
            Err(contradiction) => panic!("{contradiction}"),
        }
    }
});
