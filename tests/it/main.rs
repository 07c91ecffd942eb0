//! Whole-system tests, in reading order: what an event may be, then the four steps, then what
//! surrounds them.
//!
//! Names begin with the case they prove: `parity_NN` for behaviour a drop-in replacement of AWS's
//! rotation templates must keep, `beyond_NN` for what it must do better.

mod support;

mod accounts;
mod alternating;
mod api;
mod asleep;
mod blue_green;
mod command;
mod conformance;
mod doctor;
mod documents;
mod engine;
mod event_bus;
mod every_server;
mod faults;
mod function;
mod iam;
mod interrupted;
mod kills;
mod leaks;
mod local;
mod middle_men;
mod migrate;
mod mongodb;
mod mysql;
mod networks;
mod new;
mod other_logins;
mod pairs;
mod password_file;
mod planted;
mod proxy;
mod questions;
mod races;
mod rds;
mod rds_roots;
mod redis;
mod redshift;
mod replay;
mod scripts;
mod single_user;
mod slips;
mod sqlserver;
mod store;
mod strangers;
mod template;
mod transport;
mod unnamed;
