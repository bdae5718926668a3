//! What the gate decides, case by case and at random.

use proptest::prelude::*;

use super::*;

const FAR: Deadline = Deadline::at(Moment::FAR_FUTURE);

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn arrival(priority: Priority) -> Arrival {
    Arrival { priority, deadline: FAR }
}

fn gate(places: usize, waiting_max: usize) -> Gate<&'static str> {
    Gate::new(Limits { places, waiting_max })
}

/// Lets everybody in whose turn it is and says who, in order; the late ones in brackets.
fn turns(gate: &mut Gate<&'static str>, now: Moment) -> String {
    let mut names = Vec::new();
    while let Some(turn) = gate.next(now) {
        names.push(match turn {
            Turn::Enter(name) => name.to_owned(),
            Turn::Late(name, waited) => format!("({name} late after {} ms)", waited.as_millis()),
        });
    }
    names.join(" ")
}

#[test]
fn the_important_come_first_and_the_rest_in_order_of_arrival() {
    let mut gate = gate(0, 10);
    for (name, priority) in [
        ("background", Priority::Background),
        ("normal-1", Priority::Normal),
        ("critical", Priority::Critical),
        ("normal-2", Priority::Normal),
    ] {
        assert!(matches!(
            gate.arrive(at(0), arrival(priority), || name),
            Decision::Wait { displaced: None, .. }
        ));
    }
    gate.set_places(10);
    assert_eq!(turns(&mut gate, at(0)), "critical normal-1 normal-2 background");
}

#[test]
fn nobody_overtakes_the_line_through_a_place_that_just_became_free() {
    let mut gate = gate(1, 10);
    assert_eq!(gate.arrive(at(0), arrival(Priority::Normal), || "first"), Decision::Enter);
    gate.arrive(at(0), arrival(Priority::Normal), || "second");
    gate.leave();
    assert!(matches!(
        gate.arrive(at(0), arrival(Priority::Normal), || "third"),
        Decision::Wait { .. }
    ));
    assert_eq!(turns(&mut gate, at(0)), "second");
}

#[test]
fn a_full_line_refuses_with_its_figures() {
    let mut gate = gate(0, 1);
    gate.arrive(at(0), arrival(Priority::Normal), || "first");
    assert_eq!(
        gate.arrive(at(0), arrival(Priority::Normal), || "second"),
        Decision::Refuse(Refusal::Full { waiting: 1, waiting_max: 1 })
    );
}

#[test]
fn a_full_line_gives_up_the_newest_of_the_least_important() {
    let mut gate = gate(0, 3);
    gate.arrive(at(0), arrival(Priority::Background), || "background-1");
    gate.arrive(at(1), arrival(Priority::Background), || "background-2");
    gate.arrive(at(2), arrival(Priority::Normal), || "normal");
    let decision = gate.arrive(at(5), arrival(Priority::Critical), || "critical");
    let Decision::Wait { displaced, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(displaced, Some(("background-2", Duration::from_millis(4))));
    gate.set_places(9);
    assert_eq!(turns(&mut gate, at(5)), "critical normal background-1");
}

#[test]
fn the_late_are_passed_over_and_told() {
    let mut gate = gate(0, 10);
    let soon = Arrival { priority: Priority::Normal, deadline: Deadline::at(at(10)) };
    assert_eq!(
        gate.arrive(at(10), soon, || "already late"),
        Decision::Refuse(Refusal::Late { waited: Duration::ZERO })
    );
    gate.arrive(at(2), soon, || "impatient");
    gate.arrive(at(2), arrival(Priority::Normal), || "patient");
    gate.set_places(1);
    assert_eq!(turns(&mut gate, at(12)), "(impatient late after 10 ms) patient");
}

#[test]
fn who_gives_up_leaves_no_hole() {
    let mut gate = gate(0, 2);
    let decision = gate.arrive(at(0), arrival(Priority::Normal), || "first");
    let Decision::Wait { ticket, .. } = decision else { panic!("{decision:?}") };
    gate.arrive(at(0), arrival(Priority::Normal), || "second");
    assert_eq!(gate.abandon(ticket), Some("first"));
    assert_eq!(gate.abandon(ticket), None);
    gate.set_places(2);
    assert_eq!(turns(&mut gate, at(0)), "second");
    assert_eq!(gate.occupancy(), Occupancy { inside: 1, waiting: 0 });
}

#[test]
fn fewer_places_than_people_inside_lets_nobody_in_until_enough_have_left() {
    let mut gate = gate(2, 5);
    gate.arrive(at(0), arrival(Priority::Normal), || "a");
    gate.arrive(at(0), arrival(Priority::Normal), || "b");
    gate.arrive(at(0), arrival(Priority::Normal), || "c");
    gate.set_places(1);
    gate.leave();
    assert_eq!(turns(&mut gate, at(0)), "");
    gate.leave();
    assert_eq!(turns(&mut gate, at(0)), "c");
}

#[test]
fn a_closed_gate_gives_everybody_back() {
    let mut gate = gate(0, 5);
    gate.arrive(at(0), arrival(Priority::Normal), || "waiting");
    assert_eq!(gate.close(), ["waiting"]);
    assert_eq!(
        gate.arrive(at(0), arrival(Priority::Critical), || "late"),
        Decision::Refuse(Refusal::Closed)
    );
}

proptest! {
    /// Whatever happens in whatever order: never more inside than places, never more waiting
    /// than may, and everybody who ever waited is accounted for once.
    #[test]
    fn the_bounds_hold_and_nobody_is_lost(
        places in 0usize..4,
        waiting_max in 0usize..5,
        steps in prop::collection::vec((0u8..5, 0usize..4, 0u64..30), 1..200),
    ) {
        let mut gate = Gate::<u64>::new(Limits { places, waiting_max });
        let (mut queued, mut gone, mut inside) = (Vec::new(), Vec::new(), 0usize);
        let mut tickets = Vec::new();
        for (now, (action, rank, patience)) in steps.into_iter().enumerate() {
            let (name, now) = (now as u64, at(now as u64));
            match action {
                0..=1 => {
                    let deadline = Deadline::at(now + Duration::from_millis(patience));
                    let arrival = Arrival { priority: Priority::ALL[rank], deadline };
                    let foretold = gate.room_for(arrival.priority);
                    let decision = gate.arrive(now, arrival, || name);
                    // Whose deadline is past already is refused for that.
                    if !arrival.deadline.is_past(now) {
                        let told = match decision {
                            Decision::Refuse(refusal) => Err(refusal),
                            _ => Ok(()),
                        };
                        prop_assert_eq!(foretold, told);
                    }
                    match decision {
                        Decision::Enter => inside += 1,
                        Decision::Wait { ticket, displaced } => {
                            queued.push(name);
                            tickets.push(ticket);
                            gone.extend(displaced.map(|(name, _)| name));
                        }
                        Decision::Refuse(_) => {}
                    }
                }
                2 if inside > 0 => {
                    gate.leave();
                    inside -= 1;
                }
                3 => gone.extend(tickets.pop().and_then(|ticket| gate.abandon(ticket))),
                _ => while let Some(turn) = gate.next(now) {
                    match turn {
                        Turn::Enter(name) => {
                            inside += 1;
                            gone.push(name);
                        }
                        Turn::Late(name, _) => gone.push(name),
                    }
                },
            }
            let occupancy = gate.occupancy();
            prop_assert_eq!(occupancy.inside, inside);
            prop_assert!(inside <= places);
            prop_assert!(occupancy.waiting <= waiting_max);
        }
        gone.extend(gate.close());
        gone.sort_unstable();
        prop_assert_eq!(gone, queued);
    }
}
