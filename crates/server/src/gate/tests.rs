//! Who is let in, and how much is remembered.

use super::{Bucket, Buckets, CALLERS_MAX, Gate, Rates, SEARCH_PAUSE_US, WhenFull, network_of};
use campanile_contract::bench::person;
use campanile_wire::Caller;

fn gate() -> Gate {
    Gate::new(Rates { anonymous_per_hour: 2, signed_in_per_hour: 3, tickets_per_minute: 4 })
}

#[test]
fn a_caller_over_the_hourly_limit_is_told_when_to_come_back_and_others_are_not_touched() {
    let gate = gate();
    let school = [127, 0, 0, 9].into();
    assert!((0..2).all(|_| gate.admit_anonymous(school).is_ok()));
    let refused = gate.admit_anonymous(school).err().unwrap();
    assert!((1_790_000..=1_800_000).contains(&refused.retry_after_ms), "{}", refused.retry_after_ms);
    assert!((0..3).all(|_| gate.admit(&person(1, "student"), None).is_ok()), "signed in behind the same address");
    assert!(gate.admit(&person(1, "student"), None).is_err());
    assert!(gate.admit(&person(2, "student"), None).is_ok());
}

#[test]
fn a_thousand_people_behind_one_address_do_not_touch_its_anonymous_limit() {
    let gate = gate();
    assert!((0..1_000).all(|id| gate.admit(&person(id, "student"), None).is_ok()));
    assert!((0..2).all(|_| gate.admit_anonymous([127, 0, 0, 9].into()).is_ok()));
    assert!(gate.admit_anonymous([127, 0, 0, 9].into()).is_err());
    assert!((0..1_000).all(|id| gate.admit(&person(id, "student"), None).is_ok()), "and the other way round");
}

#[test]
fn tickets_are_counted_by_person_and_apart_from_other_requests() {
    let gate = gate();
    let [Caller::Person(ada), Caller::Person(ben)] = [person(1, "student"), person(2, "student")] else { unreachable!() };
    assert!((0..4).all(|_| gate.admit_ticket(&ada).is_ok()));
    let refused = gate.admit_ticket(&ada).err().unwrap();
    assert!((14_000..=15_000).contains(&refused.retry_after_ms), "{}", refused.retry_after_ms);
    assert!(gate.admit_ticket(&ben).is_ok() && gate.admit(&Caller::Person(ada), None).is_ok());
}

#[test]
fn the_standing_says_what_is_left_and_when_it_is_full_again() {
    let (buckets, hourly) = (Buckets::new(WhenFull::Refuse), Bucket::new(3_600_000_000, 100));
    let first = buckets.take(1, hourly, 0).ok().unwrap();
    assert_eq!((first.limit, first.remaining, first.full_in_ms), (100, 99, 36_000));
    assert!((0..99).all(|_| buckets.take(1, hourly, 0).is_ok()));
    let refused = buckets.take(1, hourly, 0).err().unwrap();
    assert_eq!((refused.retry_after_ms, refused.standing.remaining, refused.standing.full_in_ms), (36_000, 0, 3_600_000));
    let later = buckets.take(1, hourly, 1_800_000_000).ok().unwrap();
    assert_eq!((later.remaining, later.full_in_ms), (49, 1_836_000));
}

#[test]
fn a_flood_of_callers_fills_a_bounded_memory_and_locks_nobody_out_who_is_known() {
    for (when_full, beyond_is_let_in) in [(WhenFull::Refuse, false), (WhenFull::LetIn, true)] {
        let (buckets, hourly) = (Buckets::new(when_full), Bucket::new(3_600_000_000, 100));
        let flood = 3 * CALLERS_MAX as u64;
        let let_in = (0..flood).filter(|key| buckets.take(*key, hourly, 0).is_ok()).count();
        assert_eq!(let_in, if beyond_is_let_in { flood as usize } else { CALLERS_MAX });
        let held = buckets.callers.lock().unwrap().full_at_us.capacity();
        println!("{held} places of 16 bytes are held");
        assert!(held <= 2 * CALLERS_MAX + CALLERS_MAX / 2, "{held}");
        assert!(buckets.take(7, hourly, 0).is_ok(), "who was there before is counted as before");
        // When their buckets are full again they are forgotten, and others have room.
        let later = 36_000_000 + SEARCH_PAUSE_US;
        assert!(buckets.take(flood, hourly, later).is_ok());
        assert_eq!(buckets.callers.lock().unwrap().full_at_us.len(), 2, "the new one, and number 7");
    }
}

#[test]
fn an_ipv6_network_is_one_stranger() {
    let same = |left: &str, right: &str| network_of(left.parse().unwrap()) == network_of(right.parse().unwrap());
    assert!(same("2001:db8::1", "2001:db8::ffff:1") && same("::ffff:198.51.100.1", "198.51.100.1"));
    assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1") && !same("198.51.100.1", "198.51.100.2"));
}
