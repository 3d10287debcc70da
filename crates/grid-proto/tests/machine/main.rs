//! The rules of protocol sections 6 to 9, one by one, against a machine whose peer is written out by hand.

mod abuse;
mod alive;
mod credits;
mod deadlines;
mod ends;
mod late;
mod limits;
mod pings;
mod queued;
mod refusals;
mod requests;
mod rows_calls;
mod rows_hostile;
mod rows_links;
mod shares;
mod sizes;
mod slow;
mod stale;
mod streams;
mod tools;
mod urgent;
