//! When a connection may stay, must end, or is cut.

use super::*;

const PATIENCE: Patience = Patience {
    first_request: Duration::from_secs(1),
    header: Duration::from_secs(20),
    idle: Duration::from_secs(10),
    stall: Duration::from_secs(5),
    rest: Duration::from_secs(5),
};

const FOR_EVER: Lifetime = Lifetime { age_max: Duration::MAX, requests_max: u32::MAX };

fn opened() -> Activity {
    Activity::opened(at(0), FOR_EVER)
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

#[test]
fn one_that_asks_nothing_is_cut() {
    let activity = opened();
    assert_eq!(activity.verdict(at(0), Stage::Serving, PATIENCE), Verdict::Keep(at(1)));
    assert_eq!(activity.verdict(at(1), Stage::Serving, PATIENCE), Verdict::Cut(Cut::Silent));
}

#[test]
fn one_that_has_nothing_more_to_ask_is_retired() {
    let activity = opened();
    let place = activity.request_begins(Version::HTTP_11);
    activity.reader_turn(place, at(2));
    activity.request_ends(place, at(3));
    assert_eq!(activity.verdict(at(4), Stage::Serving, PATIENCE), Verdict::Keep(at(9)));
    assert_eq!(activity.verdict(at(9), Stage::Serving, PATIENCE), Verdict::Keep(at(13)));
    assert_eq!(activity.verdict(at(13), Stage::Serving, PATIENCE), Verdict::End(Some(Cut::Idle)));
}

#[test]
fn one_that_takes_nothing_is_cut_and_one_that_waits_for_us_is_not() {
    let activity = opened();
    let place = activity.request_begins(Version::HTTP_11);
    assert_eq!(activity.verdict(at(100), Stage::Serving, PATIENCE), Verdict::Keep(at(105)));
    activity.reader_turn(place, at(101));
    assert_eq!(activity.verdict(at(105), Stage::Serving, PATIENCE), Verdict::Keep(at(106)));
    assert_eq!(activity.verdict(at(106), Stage::Serving, PATIENCE), Verdict::Cut(Cut::Stalled));
    activity.our_turn(place);
    assert_eq!(activity.verdict(at(200), Stage::Serving, PATIENCE), Verdict::Keep(at(205)));
}

#[tokio::test]
async fn an_answer_whose_reader_stops_is_ended_alone_on_http2() {
    let activity = opened();
    let stalled = activity.request_begins(Version::HTTP_2);
    let busy = activity.request_begins(Version::HTTP_2);
    let tasks = [(); 2].map(|()| tokio::spawn(std::future::pending::<()>()));
    activity.can_be_ended_by(stalled, tasks[0].abort_handle());
    activity.can_be_ended_by(busy, tasks[1].abort_handle());
    activity.reader_turn(stalled, at(0));
    activity.reader_turn(busy, at(3));
    assert_eq!(activity.end_stalled(at(4), PATIENCE), 0);
    assert_eq!(activity.verdict(at(4), Stage::Serving, PATIENCE), Verdict::Keep(at(5)));
    assert_eq!(activity.end_stalled(at(5), PATIENCE), 1);
    assert_eq!(activity.end_stalled(at(5), PATIENCE), 0, "once is enough");
    assert_eq!(activity.verdict(at(5), Stage::Serving, PATIENCE), Verdict::Keep(at(8)));
    let [ended, _goes_on] = tasks;
    assert!(ended.await.unwrap_err().is_cancelled());
    activity.request_ends(stalled, at(5));
    assert_eq!(activity.request_begins(Version::HTTP_2).index, stalled.index, "its place is free");
}

#[test]
fn a_head_that_does_not_end_is_refused() {
    let activity = opened();
    activity.head_begins(at(1));
    assert_eq!(activity.verdict(at(0), Stage::Serving, PATIENCE), Verdict::Keep(at(1)));
    assert_eq!(activity.verdict(at(1), Stage::Serving, PATIENCE), Verdict::Refuse);
    let patient = Patience { first_request: Duration::from_secs(100), ..PATIENCE };
    assert_eq!(activity.verdict(at(20), Stage::Serving, patient), Verdict::Keep(at(21)));
    assert_eq!(activity.verdict(at(21), Stage::Serving, patient), Verdict::Refuse);
    let refused = Stage::Refused { since: at(21) };
    assert_eq!(activity.verdict(at(21), refused, patient), Verdict::Keep(at(26)));
    assert_eq!(activity.verdict(at(26), refused, patient), Verdict::Cut(Cut::Stalled));
}

#[test]
fn a_head_has_its_time_apart_from_the_idle_time_and_from_the_answer_before_it() {
    let activity = opened();
    let place = activity.request_begins(Version::HTTP_11);
    activity.head_ends();
    activity.head_begins(at(1));
    assert_eq!(activity.verdict(at(90), Stage::Serving, PATIENCE), Verdict::Keep(at(95)));
    activity.request_ends(place, at(92));
    assert_eq!(activity.verdict(at(111), Stage::Serving, PATIENCE), Verdict::Keep(at(112)));
    assert_eq!(activity.verdict(at(112), Stage::Serving, PATIENCE), Verdict::Refuse);
    activity.head_ends();
    assert_eq!(activity.verdict(at(101), Stage::Serving, PATIENCE), Verdict::Keep(at(102)));
}

#[test]
fn an_old_connection_is_asked_to_end() {
    let lifetime = Lifetime { age_max: Duration::from_secs(7), ..FOR_EVER };
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let activity = Activity::opened(at(0), lifetime);
        let place = activity.request_begins(version);
        assert_eq!(activity.verdict(at(6), Stage::Serving, PATIENCE), Verdict::Keep(at(11)));
        let asked = activity.verdict(at(7), Stage::Serving, PATIENCE);
        if version == Version::HTTP_2 {
            assert_eq!(asked, Verdict::End(Some(Cut::Age)));
            continue;
        }
        assert_eq!(asked, Verdict::LastAnswer(Cut::Age));
        activity.next_answer_is_the_last();
        assert!(activity.answers_for_the_last_time());
        assert_eq!(activity.verdict(at(7), Stage::Serving, PATIENCE), Verdict::Keep(at(12)));
        activity.request_ends(place, at(8));
        assert_eq!(
            activity.verdict(at(18), Stage::Serving, PATIENCE),
            Verdict::End(Some(Cut::Idle))
        );
    }
}

#[test]
fn a_connection_is_used_up_by_its_last_request() {
    let activity = Activity::opened(at(0), Lifetime { requests_max: 2, ..FOR_EVER });
    activity.request_begins(Version::HTTP_11);
    assert!(!activity.is_used_up() && !activity.answers_for_the_last_time());
    activity.request_begins(Version::HTTP_11);
    assert!(activity.is_used_up() && activity.answers_for_the_last_time());
}

#[test]
fn a_place_is_taken_again_when_its_answer_has_ended() {
    let activity = opened();
    let first = activity.request_begins(Version::HTTP_2);
    let second = activity.request_begins(Version::HTTP_2);
    assert_ne!(first, second);
    activity.request_ends(first, at(0));
    let third = activity.request_begins(Version::HTTP_2);
    assert_eq!(third.index, first.index);
    assert_ne!(third, first, "it is another request's");
}

#[test]
fn one_that_was_asked_to_end_has_a_while_to_do_so() {
    let activity = opened();
    let ending = Stage::Ending { since: at(20) };
    let place = activity.request_begins(Version::HTTP_11);
    assert_eq!(activity.verdict(at(20), ending, PATIENCE), Verdict::Keep(at(25)));
    activity.reader_turn(place, at(21));
    activity.request_ends(place, at(22));
    assert_eq!(activity.verdict(at(23), ending, PATIENCE), Verdict::Keep(at(27)));
    assert_eq!(activity.verdict(at(27), ending, PATIENCE), Verdict::Cut(Cut::Idle));
}

#[test]
fn a_drain_waits_a_moment_for_a_last_request() {
    let activity = opened();
    let drained = Stage::Serving.drain(at(0));
    let look = Moment::ZERO + LAST_REQUEST_LOOK;
    assert_eq!(activity.verdict(at(0), drained, PATIENCE), Verdict::Keep(look));
    let over = Moment::ZERO + LAST_REQUEST;
    assert_eq!(activity.verdict(over, drained, PATIENCE), Verdict::End(None));
    activity.request_begins(Version::HTTP_11);
    assert_eq!(activity.verdict(at(0), drained, PATIENCE), Verdict::Keep(look));
    assert_eq!(activity.verdict(over, drained, PATIENCE), Verdict::End(None));
    let ending = Stage::Ending { since: at(0) };
    assert_eq!(ending.drain(at(9)), ending);
}

#[test]
fn a_drain_tells_http2_at_once_and_http1_with_its_answer() {
    let (http1, http2) = (opened(), opened());
    http1.request_begins(Version::HTTP_11);
    http2.request_begins(Version::HTTP_2);
    assert!(!http1.answers_for_the_last_time());
    http1.next_answer_is_the_last();
    http2.next_answer_is_the_last();
    let drained = Stage::Serving.drain(at(0));
    assert_eq!(http2.verdict(at(0), drained, PATIENCE), Verdict::End(None));
    assert!(http1.answers_for_the_last_time());
    assert!(!http2.answers_for_the_last_time());
}

#[test]
fn a_place_behind_the_door_is_given_to_others_and_never_anothers() {
    use tenfold_overload::{Arrived, Entrance, Limits};
    let door = Entrance::new(Limits { places: 2, waiting_max: 0 });
    let enter = || match door.arrive(&tenfold_context::Context::new()).unwrap() {
        Arrived::Inside(permit) => permit,
        Arrived::InLine(_) => unreachable!("nobody may wait"),
    };
    let inside = || door.occupancy().inside;
    let activity = opened();
    let slow = activity.request_begins(Version::HTTP_2);
    let busy = activity.request_begins(Version::HTTP_2);
    activity.hold(slow, enter());
    activity.hold(busy, enter());
    activity.reader_turn(slow, at(0));
    activity.rest(at(4), PATIENCE);
    assert_eq!(inside(), 2);
    activity.rest(at(5), PATIENCE);
    assert_eq!(inside(), 1);
    assert!(activity.has_readers());
    activity.request_ends(slow, at(6));
    assert!(!activity.has_readers());

    // The body of a request whose answer has ended may still ask.
    let next = activity.request_begins(Version::HTTP_2);
    activity.hold(next, enter());
    activity.give_back(slow);
    assert_eq!(inside(), 2);
    activity.give_back(next);
    activity.hold(slow, enter());
    assert_eq!(inside(), 1, "nobody holds it");
    activity.request_ends(busy, at(7));
    assert_eq!(inside(), 0);
}
