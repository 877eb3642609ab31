//! Tests of `throttle`: outcomes and times in, admissions out.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn error(class: Class) -> SinkError {
    SinkError::new(class, "http_503", "answered 503")
}

fn breaker(failures: u32) -> ThrottlePolicy {
    ThrottlePolicy {
        breaker: Some(BreakerPolicy {
            failures,
            open: Duration::from_secs(5),
        }),
        ..ThrottlePolicy::plain(4)
    }
}

#[test]
fn the_breaker_opens_after_failures_in_a_row_and_a_success_between_starts_the_count_anew() {
    let mut throttle = Throttle::new(breaker(3));
    for _ in 0..2 {
        assert_eq!(throttle.failed(&error(Class::Transient), NOW), None);
    }
    throttle.succeeded();
    for _ in 0..2 {
        assert_eq!(throttle.failed(&error(Class::Transient), NOW), None);
        assert!(throttle.admit(0, NOW));
    }
    let halt = throttle.failed(&error(Class::Transient), NOW);
    assert_eq!(halt, Some(Halt::Breaker));
    assert!(!throttle.admit(0, NOW + 4_999));
    assert_eq!(throttle.wake_at_ms(NOW), Some(NOW + 5_000));
}

#[test]
fn an_open_breaker_lets_one_probe_through_when_its_time_is_over() {
    let mut throttle = Throttle::new(breaker(1));
    throttle.failed(&error(Class::Transient), NOW);
    let later = NOW + 5_000;
    assert!(throttle.admit(0, later));
    assert!(!throttle.admit(1, later), "one at a time");
    throttle.succeeded();
    assert!(throttle.admit(3, later), "closed again");
}

#[test]
fn each_failed_probe_doubles_the_time_up_to_five_minutes() {
    let mut throttle = Throttle::new(breaker(1));
    let mut now = NOW;
    let mut times = Vec::new();
    for _ in 0..9 {
        assert!(throttle.admit(0, now));
        throttle.failed(&error(Class::Transient), now);
        let until = throttle.halted_until_ms().unwrap();
        times.push((until - now) / 1000);
        now = until;
    }
    assert_eq!(times, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn attempts_that_were_under_way_when_the_breaker_opened_do_not_prolong_it() {
    let mut throttle = Throttle::new(breaker(2));
    for _ in 0..10 {
        throttle.failed(&error(Class::Transient), NOW);
    }
    assert_eq!(throttle.halted_until_ms(), Some(NOW + 5_000));
}

#[test]
fn a_destination_that_refuses_a_message_is_well() {
    let mut throttle = Throttle::new(breaker(2));
    throttle.failed(&error(Class::Transient), NOW);
    throttle.failed(&error(Class::Permanent), NOW);
    assert_eq!(throttle.failed(&error(Class::Transient), NOW), None);
}

#[test]
fn gone_and_an_operators_pause_last_until_somebody_resumes() {
    let mut throttle = Throttle::new(breaker(2));
    let halt = throttle.failed(&error(Class::Gone), NOW);
    assert_eq!(halt, Some(Halt::Gone));
    let years = NOW + 1_000_000_000_000;
    assert!(!throttle.admit(0, years));
    assert_eq!(throttle.wake_at_ms(NOW), None);
    throttle.pause();
    assert_eq!(throttle.halted(years), Some(Halt::Operator));
    throttle.failed(&error(Class::Configuration), NOW);
    assert_eq!(throttle.halted(years), Some(Halt::Operator), "outranked");
    throttle.resume();
    assert!(throttle.admit(0, NOW));
    assert!(!throttle.admit(1, NOW), "probes first");
}

#[test]
fn strain_halves_the_adaptive_limit_once_a_second_and_successes_raise_it_by_one_a_round() {
    let mut throttle = Throttle::new(ThrottlePolicy {
        adaptive: true,
        ..ThrottlePolicy::plain(16)
    });
    for _ in 0..5 {
        throttle.failed(&error(Class::Transient), NOW);
    }
    assert_eq!(throttle.limit(), 8, "one accident");
    throttle.failed(&error(Class::Transient), NOW + 1_000);
    assert_eq!(throttle.limit(), 4);
    for _ in 0..5 {
        throttle.succeeded();
    }
    assert_eq!(throttle.limit(), 5);
    for _ in 0..1_000 {
        throttle.succeeded();
    }
    assert_eq!(throttle.limit(), 16, "no more than the concurrency");
    for second in 2..20 {
        throttle.failed(&error(Class::Transient), NOW + second * 1_000);
    }
    assert_eq!(throttle.limit(), 1, "no less than one");
}

#[test]
fn the_rate_lets_a_burst_through_and_then_one_each_period() {
    let mut throttle = Throttle::new(ThrottlePolicy {
        rate: Some(RatePolicy {
            period: Duration::from_millis(100),
            burst: NonZeroU32::new(3).unwrap(),
        }),
        ..ThrottlePolicy::plain(100)
    });
    let mut started = Vec::new();
    for now in NOW..NOW + 400 {
        while throttle.admit(0, now) {
            started.push(now - NOW);
        }
    }
    let (burst, rest) = started.split_at(3);
    assert_eq!(burst, [0, 0, 0]);
    assert_eq!(rest.len(), 3, "{rest:?}");
    for (number, at) in (1..).zip(rest) {
        assert!((number * 100..number * 100 + 3).contains(at), "{rest:?}");
    }
}

#[test]
fn a_throttle_asks_to_be_woken_when_its_rate_has_room_again() {
    let mut throttle = Throttle::new(ThrottlePolicy {
        rate: Some(RatePolicy {
            period: Duration::from_secs(1),
            burst: NonZeroU32::MIN,
        }),
        ..ThrottlePolicy::plain(100)
    });
    assert!(throttle.admit(0, NOW));
    assert!(!throttle.admit(0, NOW));
    let wake = throttle.wake_at_ms(NOW).unwrap();
    assert!((NOW + 1_000..NOW + 1_003).contains(&wake));
    assert!(throttle.admit(0, wake));
}
