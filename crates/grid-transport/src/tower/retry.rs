//! Which calls may be made again, and when.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use ::tower::retry::Policy;

use super::Call;
use crate::error::CallError;

/// A policy for tower's retry layer: makes a call again where it is certain that its handler has not run
/// ([`CallError::is_retryable`]), and only so often. What may have been executed is never repeated.
///
/// It looks through the errors of layers between it and [`PeerService`](super::PeerService), as far as they tell their
/// source. Where a timeout layer stands inside, its error says nothing of whether the handler ran, so that is not retried.
#[derive(Clone, Debug)]
pub struct Retries {
    left: usize,
    pause: Duration,
}

impl Retries {
    /// So many attempts after the first, 50 ms apart, and with each twice as far.
    #[must_use]
    pub fn new(times: usize) -> Self {
        Self {
            left: times,
            pause: Duration::from_millis(50),
        }
    }

    /// The time before the first of them. Each is shortened at random, by up to a half, so that callers which fail together
    /// don't come again together.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl<T, E: AsCallError> Policy<Call, T, E> for Retries {
    type Future = Pause;

    fn retry(&mut self, _: &mut Call, result: &mut Result<T, E>) -> Option<Pause> {
        let error = result.as_ref().err()?.as_call_error()?;
        if !error.is_retryable() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause.mul_f64(1.0 - rand::random::<f64>() / 2.0);
        self.pause = self.pause.saturating_mul(2);
        // tidy: sleep: the pause before the next attempt is the point
        Some(Pause(Box::pin(tokio::time::sleep(pause))))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// The time before the next attempt.
#[derive(Debug)]
pub struct Pause(Pin<Box<tokio::time::Sleep>>);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// An error that may be that of a call.
pub trait AsCallError {
    /// The call's error, where it is one or stands behind it.
    fn as_call_error(&self) -> Option<&CallError>;
}

impl AsCallError for CallError {
    fn as_call_error(&self) -> Option<&CallError> {
        Some(self)
    }
}

impl AsCallError for Box<dyn Error + Send + Sync> {
    fn as_call_error(&self) -> Option<&CallError> {
        let mut error: &(dyn Error + 'static) = &**self;
        loop {
            if let Some(error) = error.downcast_ref() {
                return Some(error);
            }
            error = error.source()?;
        }
    }
}
