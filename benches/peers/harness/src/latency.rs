//! How long operations took: a histogram for each thread, as one for each of many callers would be most of the
//! memory that is measured, and one for all would be fought for.

use std::{
    cell::OnceCell,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

/// Locked by its own thread, and by others only while nobody records.
type Shard = Arc<Mutex<Histogram<u32>>>;

static SHARDS: Mutex<Vec<Shard>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: OnceCell<Shard> = const { OnceCell::new() };
}

/// To a nanosecond, up to a minute, to 3 digits.
fn histogram() -> anyhow::Result<Histogram<u32>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

pub(crate) fn record(took: Duration) -> anyhow::Result<()> {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    OWN.with(|own| {
        let shard = match own.get() {
            Some(shard) => shard,
            None => {
                let shard = Arc::new(Mutex::new(histogram()?));
                let mut shards = SHARDS.lock().unwrap_or_else(PoisonError::into_inner);
                shards.push(Arc::clone(&shard));
                own.get_or_init(|| shard)
            }
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.saturating_record(nanos);
        Ok(())
    })
}

/// Forgets what was recorded.
pub(crate) fn forget() {
    for shard in &*SHARDS.lock().unwrap_or_else(PoisonError::into_inner) {
        shard.lock().unwrap_or_else(PoisonError::into_inner).reset();
    }
}

/// Of all threads together.
pub(crate) fn all() -> anyhow::Result<Histogram<u32>> {
    let mut all = histogram()?;
    for shard in &*SHARDS.lock().unwrap_or_else(PoisonError::into_inner) {
        all.add(&*shard.lock().unwrap_or_else(PoisonError::into_inner))?;
    }
    Ok(all)
}
