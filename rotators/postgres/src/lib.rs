//! PostgreSQL rotation.
