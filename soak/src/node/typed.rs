//! Typed requests and streams.

use std::time::Instant;

use grid_typed::{TypedError, TypedReceiver, TypedSender};

use super::{
    caller::{Call, Caller, DEFAULT_DEADLINE, Went},
    handlers::{self as serve, TYPED, TYPED_BOTH, TYPED_OUT, Value},
};
use crate::{pattern, tally::Tally, words::Broken};

impl Caller {
    pub(super) async fn typed(&mut self, call: &mut Call) -> Went {
        match self.rng.range(0..10) {
            0..5 => self.typed_single(call).await,
            5..8 => self.typed_out(call).await,
            _ => self.typed_both(call).await,
        }
    }

    async fn typed_single(&self, call: &mut Call) -> Went {
        let value = serve::value(call.number);
        call.timeout.get_or_insert(DEFAULT_DEADLINE);
        call.begin("typed", &self.tally);
        let mut request = TYPED.call(&call.peer, &value);
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        if call.wait_ready {
            request = request.wait_ready();
        }
        let from = Instant::now();
        let outcome = request.await;
        self.tally.on_time(call.kind, from, call.deadline()).await;
        match outcome {
            Ok(answer) => self
                .value(call, &answer, pattern::derived(call.number, 1))
                .unwrap_or(Went::Well),
            Err(error) => self.typed_error(call, error),
        }
    }

    async fn typed_out(&self, call: &mut Call) -> Went {
        let value = serve::value(call.number);
        call.begin("typed stream out", &self.tally);
        let mut open = TYPED_OUT.open(&call.peer, &value);
        if let Some(timeout) = call.timeout {
            open = open.timeout(timeout);
        }
        if call.wait_ready {
            open = open.wait_ready();
        }
        let stream = match open.await {
            Ok(stream) => stream,
            Err(error) => return self.typed_error(call, error),
        };
        let (_sender, mut receiver) = stream.split();
        let number = call.number;
        self.typed_all(call, &mut receiver, |place| pattern::derived(number, place))
            .await
    }

    async fn typed_both(&self, call: &mut Call) -> Went {
        let value = serve::value(call.number);
        call.begin("typed stream both ways", &self.tally);
        let mut open = TYPED_BOTH.open(&call.peer, &value);
        if let Some(timeout) = call.timeout {
            open = open.timeout(timeout);
        }
        if call.wait_ready {
            open = open.wait_ready();
        }
        let stream = match open.await {
            Ok(stream) => stream,
            Err(error) => return self.typed_error(call, error),
        };
        let (mut sender, mut receiver) = stream.split();
        let cancel = receiver.cancel_handle();
        let number = call.number;
        let sending = send_all(call, &self.tally, &mut sender);
        let receiving = async {
            let wanted = |place| pattern::derived(pattern::derived(number, place), 1);
            let went = self.typed_all(call, &mut receiver, wanted).await;
            if matches!(went, Went::Wrong) {
                cancel.cancel();
            }
            went
        };
        tokio::join!(sending, receiving).1
    }

    async fn typed_all(
        &self,
        call: &Call,
        receiver: &mut TypedReceiver<Value>,
        wanted: impl Fn(u64) -> u64,
    ) -> Went {
        let count = serve::typed_count(call.number);
        let mut place = 0;
        loop {
            let from = Instant::now();
            let next = receiver.recv().await;
            self.tally.on_time(call.kind, from, call.deadline()).await;
            match next {
                Some(Ok(_)) if place == count => {
                    return self.wrong(call, "got one item too many");
                }
                Some(Ok(item)) => {
                    if let Some(wrong) = self.value(call, &item, wanted(place)) {
                        return wrong;
                    }
                    place += 1;
                }
                Some(Err(error)) => return self.typed_error(call, error),
                None if place == count => return Went::Well,
                None => {
                    let what = format!("came to a clean end after {place} of {count} items");
                    return self.told(Broken::LostItem, call, &what);
                }
            }
        }
    }

    fn value(&self, call: &Call, got: &Value, number: u64) -> Option<Went> {
        if *got != serve::value(number) {
            return Some(self.wrong(call, "got a wrong value"));
        }
        self.tally.checked(got.data.len());
        None
    }

    fn typed_error(&self, call: &Call, error: TypedError) -> Went {
        match error {
            TypedError::Call(error) => Went::Failed(error),
            other => match other.as_call().cloned() {
                Some(error) => Went::Failed(error),
                None => self.wrong(call, &format!("failed by {other:?}")),
            },
        }
    }
}

/// Sends all values; why it failed is told by the receiving half.
async fn send_all(call: &Call, tally: &Tally, sender: &mut TypedSender<Value>) {
    for place in 0..serve::typed_count(call.number) {
        let item = serve::value(pattern::derived(call.number, place));
        let from = Instant::now();
        let sent = sender.send(&item).await;
        tally.on_time(call.kind, from, call.deadline()).await;
        if sent.is_err() {
            return;
        }
    }
    sender.finish();
}
