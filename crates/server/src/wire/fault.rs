//! What can be wrong with the bytes of a request.

/// Why a request is refused before anybody has understood it. The connection ends with the
/// answer: where one such request ends, and the next begins, nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// hyper could not read it, and did not say why.
    Unreadable,
    /// A line ends in LF without CR.
    BareLineFeed,
    /// It is not a method, a target and a version.
    RequestLine,
    /// A version that is not HTTP/1.x.
    Version,
    /// The target is too long.
    UriTooLong { bytes_max: usize },
    /// The head is too large.
    HeadTooLarge { bytes_max: usize },
    /// The head has too many fields.
    TooManyFields { fields_max: usize },
    /// A field goes on in a second line.
    FoldedLine,
    /// HTTP/1.1 without `host`.
    NoHost,
    /// `host` more than once.
    TwoHosts,
    /// A `host` that is none.
    BadHost,
    /// A `content-length` that is no number.
    BadLength,
    /// `content-length` more than once.
    TwoLengths,
    /// Both `content-length` and `transfer-encoding`.
    LengthAndCoding,
    /// `transfer-encoding` more than once.
    TwoCodings,
    /// A `transfer-encoding` other than `chunked`.
    UnknownCoding,
    /// `transfer-encoding` in HTTP/1.0.
    CodingInHttp10,
    /// HTTP/1.0 with a body of no known length.
    NoLength,
    /// A chunk whose size or end is not sound.
    BadChunk,
    /// An `expect` other than `100-continue`.
    Expectation,
    /// The head did not come in time.
    HeadTooSlow,
}

impl Fault {
    /// The words that faults are counted under.
    pub(crate) const REASONS: [&str; 11] = [
        "malformed",
        "version",
        "uri_max",
        "header_max",
        "header_count_max",
        "host",
        "ambiguous",
        "transfer_coding",
        "length_required",
        "expectation",
        "header_timeout",
    ];

    /// The word it is counted under.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Fault::Unreadable | Fault::RequestLine => "malformed",
            Fault::Version => "version",
            Fault::UriTooLong { .. } => "uri_max",
            Fault::HeadTooLarge { .. } => "header_max",
            Fault::TooManyFields { .. } => "header_count_max",
            Fault::NoHost | Fault::TwoHosts | Fault::BadHost => "host",
            Fault::BareLineFeed
            | Fault::FoldedLine
            | Fault::BadLength
            | Fault::TwoLengths
            | Fault::LengthAndCoding
            | Fault::TwoCodings
            | Fault::CodingInHttp10
            | Fault::BadChunk => "ambiguous",
            Fault::UnknownCoding => "transfer_coding",
            Fault::NoLength => "length_required",
            Fault::Expectation => "expectation",
            Fault::HeadTooSlow => "header_timeout",
        }
    }
}
