//! Which header tells who the client is.

tenfold_config::words! {
    /// The header in which trusted proxies tell who the client is.
    pub enum ForwardedBy {
        /// None: the client is who connects, or whom a PROXY header names.
        None = "none",
        /// `Forwarded`, as RFC 7239 has it.
        Forwarded = "forwarded",
        /// `X-Forwarded-For`, as most proxies have it.
        XForwardedFor = "x-forwarded-for",
    }
}
