//! Every failure and the answer that it becomes, as data in and text out.

use http_body_util::BodyExt;
use tenfold_context::RequestId;

use super::*;

/// Status, type and, where there is one, whether it says when to come back.
fn check(error: impl Into<Error>) -> String {
    let response = error.into().into_response();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let status = response.status().as_u16();
    let again = if response.headers().contains_key(RETRY_AFTER) { ", again" } else { "" };
    format!("{status} {}{again}", json(response)["type"].as_str().unwrap())
}

fn json(response: Response) -> serde_json::Value {
    let body = futures_util::FutureExt::now_or_never(response.into_body().collect());
    serde_json::from_slice(&body.unwrap().unwrap().to_bytes()).unwrap()
}

#[test]
fn each_failure_has_its_answer() {
    let full = Refusal::Full { waiting: 3, waiting_max: 3 };
    let wait = Duration::from_millis(5);
    let field = || ("quantity".to_owned(), "is not a number".to_owned());
    let cases = [
        (Failure::NothingHere, "404 /problems/not_found"),
        (Failure::MethodNotAllowed, "405 /problems/method_not_allowed"),
        (Failure::MediaType, "415 /problems/unsupported_media_type"),
        (Failure::BodyTooLarge { bytes_max: 1 }, "413 /problems/body_too_large"),
        (Failure::MethodUnknown, "501 /problems/method_unknown"),
        (Failure::Misdirected, "421 /problems/misdirected"),
        (Failure::BodyTooSlow, "408 /problems/body_too_slow"),
        (Failure::NoRoom, "503 /problems/overloaded, again"),
        (Failure::Fault(Fault::BareLineFeed), "400 /problems/malformed"),
        (Failure::Fault(Fault::Version), "505 /problems/version_not_supported"),
        (Failure::Fault(Fault::UriTooLong { bytes_max: 1 }), "414 /problems/uri_too_long"),
        (Failure::Fault(Fault::HeadTooLarge { bytes_max: 1 }), "431 /problems/head_too_large"),
        (Failure::Fault(Fault::TooManyFields { fields_max: 1 }), "431 /problems/too_many_fields"),
        (Failure::Fault(Fault::UnknownCoding), "501 /problems/transfer_coding_unknown"),
        (Failure::Fault(Fault::NoLength), "411 /problems/length_required"),
        (Failure::Fault(Fault::Expectation), "417 /problems/expectation_failed"),
        (Failure::Fault(Fault::HeadTooSlow), "408 /problems/head_too_slow"),
        (Failure::BodyBroken("reset".into()), "400 /problems/body_broken"),
        (Failure::Malformed("no JSON".to_owned()), "400 /problems/malformed"),
        (Failure::Invalid { field: field().0, why: field().1 }, "422 /problems/invalid"),
        (Failure::Refused(full), "503 /problems/overloaded, again"),
        (Failure::Refused(Refusal::Late { waited: wait }), "503 /problems/overloaded, again"),
        (Failure::Refused(Refusal::Displaced { waited: wait }), "503 /problems/overloaded, again"),
        (Failure::Refused(Refusal::Closed), "503 /problems/stopping, again"),
        (Failure::DeadlinePassed { after: wait }, "504 /problems/deadline_passed"),
        (Failure::Panicked(Box::new("secret")), "500 /problems/internal"),
        (Failure::Misbuilt("secret"), "500 /problems/internal"),
        (Failure::Unserializable("secret".into()), "500 /problems/internal"),
    ];
    for (failure, expected) in cases {
        assert_eq!(check(failure), expected);
    }
}

#[test]
fn each_class_of_database_error_has_its_answer() {
    use tenfold_db::{Error as DbError, Lane};
    let refused = |refusal| DbError::Refused { lane: Lane::Exclusive, refusal };
    let over_budget = DbError::OverBudget {
        transaction: "buy",
        budget: Duration::from_millis(250),
        spent: Box::default(),
    };
    let waited = Duration::from_millis(10);
    let cases = [
        (DbError::NotFound, "404 /problems/not_found"),
        (
            refused(Refusal::Full { waiting: 1, waiting_max: 1 }),
            "503 /problems/database_busy, again",
        ),
        (refused(Refusal::Late { waited }), "503 /problems/database_busy, again"),
        (DbError::DeadlinePassed { after: waited }, "504 /problems/database_too_slow"),
        (over_budget, "504 /problems/database_too_slow"),
        (DbError::Closed, "503 /problems/stopping, again"),
    ];
    for (error, expected) in cases {
        assert_eq!(check(error), expected);
    }
}

#[test]
fn offload_errors_have_their_answers() {
    let waited = Duration::from_millis(5);
    let cases = [
        (OffloadError::Full { waiting: 1, limit: 1 }, "503 /problems/overloaded, again"),
        (OffloadError::Displaced { waited }, "503 /problems/overloaded, again"),
        (OffloadError::Deadline, "504 /problems/deadline_passed"),
        (OffloadError::Stopped, "503 /problems/stopping, again"),
        (OffloadError::Panicked("secret".to_owned()), "500 /problems/internal"),
    ];
    for (error, expected) in cases {
        assert_eq!(check(error), expected);
    }
}

#[test]
fn a_mistake_of_ours_leaks_nothing() {
    let response = Error::internal("password is hunter2").into_response();
    let text = json(response).to_string();
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_problem_says_all_that_its_reader_needs() {
    let error = Error::invalid("quantity", "must be at least 1").field("sku", "is not known");
    let context = Context::new().with_request_id(RequestId::given("abc").unwrap());
    let response = context.scope(async { error.into_response() }).await;
    let expected = serde_json::json!({
        "type": "/problems/invalid",
        "title": "Invalid",
        "status": 422,
        "detail": "the input is not valid",
        "errors": [
            {"field": "quantity", "detail": "must be at least 1"},
            {"field": "sku", "detail": "is not known"},
        ],
        "request_id": "abc",
    });
    assert_eq!(json(response), expected);
}

#[test]
fn those_who_are_turned_away_together_come_back_apart() {
    let seconds = |about| {
        let error = Error::problem(StatusCode::SERVICE_UNAVAILABLE, "busy", "busy");
        error.retry_after(about).0.retry_after_seconds.unwrap()
    };
    let said: Vec<_> = (0..200).map(|_| seconds(Duration::from_secs(10))).collect();
    assert!(said.iter().all(|seconds| (10..=21).contains(seconds)), "{said:?}");
    assert!(said.iter().any(|seconds| *seconds != said[0]), "{said:?}");
    assert!((1..=3).contains(&seconds(Duration::ZERO)));
    assert!(seconds(Duration::MAX) <= 121);
}
