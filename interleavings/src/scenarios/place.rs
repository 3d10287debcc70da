//! The place of the newest candidate: nobody is lost, and who waits is woken.

use loom::{future::block_on, thread};

use super::place::Place;
use crate::{explore::{Explored, explore, explore_to}, sync::Arc};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("the taker gets the newest in the end", newest),
    ("two offer at once and each is taken or returned", two_offer),
    ("a closed place keeps nothing", closed),
];

fn newest() -> Explored {
    explore(|| {
        let place = Arc::new(Place::new());
        let offers = {
            let place = place.clone();
            thread::spawn(move || {
                assert_eq!(place.put(1), None);
                place.put(2)
            })
        };
        let first = block_on(place.take());
        if first == 1 {
            assert_eq!(block_on(place.take()), 2);
            assert_eq!(offers.join().unwrap(), None);
        } else {
            assert_eq!(offers.join().unwrap(), Some(1), "the older one is given back");
        }
    })
}

/// Within three preemptions.
fn two_offer() -> Explored {
    explore_to(3, || {
        let place = Arc::new(Place::new());
        let offers = [1, 2].map(|thing| {
            let place = place.clone();
            thread::spawn(move || place.put(thing))
        });
        let mut seen = vec![block_on(place.take())];
        for offer in offers {
            seen.extend(offer.join().unwrap());
        }
        seen.extend(place.try_take());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    })
}

fn closed() -> Explored {
    explore(|| {
        let place = Arc::new(Place::new());
        let offer = {
            let place = place.clone();
            thread::spawn(move || place.put(1))
        };
        let left = place.close();
        let returned = offer.join().unwrap();
        assert_eq!(left.or(returned), Some(1), "nobody holds it");
        assert_eq!((place.put(2), place.try_take()), (Some(2), None));
    })
}
