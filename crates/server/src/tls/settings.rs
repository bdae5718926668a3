//! What can be asked of clients in a handshake.

tenfold_config::words! {
    /// Whether clients show a certificate of their own.
    pub enum ClientCertificates {
        /// They are not asked for one.
        None = "none",
        /// Who shows one must show a good one; a handler sees whether there was one.
        Optional = "optional",
        /// Who shows no good one is not let in.
        Required = "required",
    }
}
