//! A faithful double of Secrets Manager, in memory.
