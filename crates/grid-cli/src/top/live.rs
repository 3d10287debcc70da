//! The live table: drawn anew in place until somebody quits.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{MissedTickBehavior, interval},
};

use super::{
    frame::Frame,
    keys::{Key, Keys},
    screen::Screen,
    source::Source,
};
use crate::{failure::Failure, signal::Signals, status::Status};

/// How often the time is told that a node is silent.
const REDRAW: Duration = Duration::from_secs(1);

type Answer = Result<Status, Failure>;

/// Shows the table. A node that can't be reached at first is a failure; one that goes later is not.
pub(super) async fn run(
    source: &mut Source,
    every: Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut frame = Frame::new(signals.cut(source.fetch()).await?);
    let mut screen = Screen::enter()?;
    let mut keys = Keys::read();
    let (sender, answers) = mpsc::channel(1);
    let outcome = tokio::select! {
        outcome = show(&mut frame, &mut screen, &mut keys, answers, signals) => outcome,
        never = ask(source, every, sender) => match never {},
    };
    keys.stop().await;
    outcome
}

/// Asks the node once each interval, whether it answers or not.
async fn ask(source: &mut Source, every: Duration, answers: Sender<Answer>) -> Infallible {
    let mut pace = interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is over at once, and was asked already.
    pace.tick().await;
    loop {
        pace.tick().await;
        let answer = source.fetch().await;
        // Who shows it ends this by dropping it.
        let _ = answers.send(answer).await;
    }
}

async fn show(
    frame: &mut Frame,
    screen: &mut Screen,
    keys: &mut Keys,
    mut answers: Receiver<Answer>,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut clock = interval(REDRAW);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (width, height) = screen.size();
        screen.draw(&frame.lines(width, height, Instant::now()))?;
        tokio::select! {
            key = keys.next() => match key {
                Ok(Key::Quit) => return Ok(()),
                Ok(Key::Move(by)) => frame.scroll(by),
                Ok(Key::Redraw) => {}
                Err(error) => {
                    return Err(Failure::failed(format!("keys can't be read: {error}")));
                }
            },
            answer = answers.recv() => match answer {
                Some(Ok(status)) => frame.answered(status),
                Some(Err(failure)) => frame.failed(&failure, Instant::now()),
                None => return Ok(()),
            },
            _ = clock.tick(), if frame.is_in_trouble() => {}
            _ = signals.next() => return Ok(()),
        }
    }
}
