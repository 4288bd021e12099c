//! Tickets open a door once.

use crate::site::{START_MS, Site};
use futures_util::future::join_all;

on_both! {
    a_ticket_is_taken_once,
    of_many_who_take_a_ticket_at_once_one_gets_it,
    an_ended_ticket_is_refused_and_gone,
    tickets_are_stored_by_their_hash_only,
    ended_tickets_are_forgotten_in_any_number,
}

async fn a_ticket_is_taken_once(site: &Site) {
    let (one, two) = (site.open().await, site.open().await);
    one.issue_ticket("secret", "{\"person\":7}".into(), START_MS + 30_000).await.unwrap();
    assert_eq!(two.redeem_ticket("other").await.unwrap(), None);
    assert_eq!(two.redeem_ticket("secret").await.unwrap(), Some("{\"person\":7}".into()));
    assert_eq!(two.redeem_ticket("secret").await.unwrap(), None);
    assert_eq!(one.redeem_ticket("secret").await.unwrap(), None);
}

async fn of_many_who_take_a_ticket_at_once_one_gets_it(site: &Site) {
    let nodes = [site.open().await, site.open().await];
    for round in 0..10 {
        let ticket = format!("secret {round}");
        nodes[0].issue_ticket(&ticket, "7".into(), START_MS + 30_000).await.unwrap();
        let taken = join_all((0..20).map(|place| nodes[place % 2].redeem_ticket(&ticket))).await;
        assert_eq!(taken.into_iter().filter_map(Result::unwrap).collect::<Vec<_>>(), ["7"]);
    }
}

async fn an_ended_ticket_is_refused_and_gone(site: &Site) {
    let journal = site.open().await;
    journal.issue_ticket("secret", "7".into(), START_MS + 30_000).await.unwrap();
    site.clock.advance_ms(30_000);
    assert_eq!(journal.redeem_ticket("secret").await.unwrap(), None);
    // Even should the clock run back: it was used up.
    site.clock.advance_ms(-10_000);
    assert_eq!(journal.redeem_ticket("secret").await.unwrap(), None);
}

async fn tickets_are_stored_by_their_hash_only(site: &Site) {
    let journal = site.open().await;
    journal.issue_ticket("secret", "7".into(), START_MS).await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM ticket WHERE hash LIKE '%secret%' OR length(hash) <> 64").await, 0);
}

async fn ended_tickets_are_forgotten_in_any_number(site: &Site) {
    let journal = site.open().await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)";
    let ended = format!("INSERT INTO ticket {numbers} SELECT 'ticket ' || i, '7', {START_MS} - 1 FROM n");
    site.raw(&ended).await;
    journal.issue_ticket("still good", "7".into(), START_MS + 1).await.unwrap();
    journal.forget_expired().await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM ticket").await, 1);
}
