//! The four steps over the memory store and a target made of a list, with every effect recorded.

mod faults;
mod replicas;
mod scene;
mod steps;
