//! Connecting to a server: name, address, TLS; each failure in its own class.
