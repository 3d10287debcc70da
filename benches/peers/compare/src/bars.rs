//! What must be reached, and where we want to go.

use std::fmt::Write as _;

use crate::{
    peers::{
        GRID, GRID_LIBRARY, GRID_SINK, GRID_TYPED, PING_PONG, RAW_MUX, TARPC, TONIC, TONIC_DIRECT,
        WEBSOCKET, WEBSOCKET_AT_ONCE,
    },
    point::{Flavor, Point, Run, Spread, What},
    results::Results,
    table::ranged,
};

use Flavor::{Ct, Mt};

/// A ratio of ours to another's, or a figure of ours.
struct Bar {
    what: &'static str,
    point: Point,
    mine: &'static str,
    /// None for a figure that stands alone.
    other: Option<&'static str>,
    of: Figure,
    limit: Limit,
    goal: Option<f64>,
}

#[derive(Clone, Copy)]
enum Figure {
    Of(fn(&Run) -> Option<f64>),
    /// Of those for each operation on the calling and on the handling side.
    Allocations(fn((f64, f64)) -> f64),
}

#[derive(Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

fn rate(run: &Run) -> Option<f64> {
    Some(run.rate)
}

fn p50(run: &Run) -> Option<f64> {
    Some(run.latency_ns?.p50)
}

fn cpu(run: &Run) -> Option<f64> {
    Some(run.caller.cpu_us? + run.handler.cpu_us?)
}

fn bars() -> Vec<Bar> {
    let rates = |what, point, other, least, goal| Bar {
        what,
        point,
        mine: GRID,
        other: Some(other),
        of: Figure::Of(rate),
        limit: Limit::AtLeast(least),
        goal: Some(goal),
    };
    let streams = |what, point, other, least, goal| Bar {
        mine: GRID_LIBRARY,
        ..rates(what, point, other, least, goal)
    };
    // Either as quick as it can be had.
    let sinks = |point, least, goal| Bar {
        mine: GRID_SINK,
        ..rates(
            "through sinks, against tonic without channels",
            point,
            TONIC_DIRECT,
            least,
            goal,
        )
    };
    let mut bars = vec![
        rates("against tarpc", Point::echo(Mt, 512, 64), TARPC, 3.5, 5.0),
        rates("against tarpc", Point::echo(Mt, 512, 256), TARPC, 5.0, 6.5),
        rates("against tarpc", Point::echo(Ct, 512, 64), TARPC, 2.7, 3.5),
        rates("against tarpc", Point::echo(Ct, 512, 256), TARPC, 3.0, 4.0),
    ];
    for flavor in [Mt, Ct] {
        for callers in [64, 256] {
            bars.push(rates(
                "against tonic",
                Point::echo(flavor, 512, callers),
                TONIC,
                12.0,
                20.0,
            ));
        }
    }
    for flavor in [Mt, Ct] {
        for callers in [16, 64, 256] {
            let point = Point::echo(flavor, 512, callers);
            bars.push(rates(
                "against the smallest mux",
                point,
                RAW_MUX,
                0.65,
                0.85,
            ));
        }
    }
    for callers in [64, 256] {
        let point = |flavor| Point::echo(flavor, 512, callers);
        for (what, other) in [
            (
                "against tokio-tungstenite, written at once",
                WEBSOCKET_AT_ONCE,
            ),
            (
                "against tokio-tungstenite, which waits as the smallest mux does",
                WEBSOCKET,
            ),
        ] {
            bars.push(rates(what, point(Mt), other, 2.5, 3.5));
            bars.push(rates(what, point(Ct), other, 1.8, 2.2));
        }
    }
    for flavor in [Mt, Ct] {
        bars.push(Bar {
            what: "p50 against TCP without a mux",
            of: Figure::Of(p50),
            limit: Limit::AtMost(1.3),
            ..rates("", Point::echo(flavor, 512, 1), PING_PONG, 1.0, 1.1)
        });
    }
    for (flavor, most) in [(Mt, 5.0), (Ct, 2.8)] {
        let point = Point::echo(flavor, 512, 64);
        bars.push(Bar {
            what: "processor µs an operation, both sides",
            other: None,
            of: Figure::Of(cpu),
            limit: Limit::AtMost(most),
            goal: None,
            ..rates("", point, RAW_MUX, 1.0, 1.0)
        });
        bars.push(Bar {
            what: "processor time against the smallest mux",
            of: Figure::Of(cpu),
            limit: Limit::AtMost(1.5),
            ..rates("", point, RAW_MUX, 1.0, 1.2)
        });
    }
    for flavor in [Mt, Ct] {
        for callers in [16, 64, 256] {
            let point = Point::echo(flavor, 65_536, callers);
            bars.push(rates("against tarpc", point, TARPC, 0.9, 1.2));
            bars.push(rates("against the smallest mux", point, RAW_MUX, 0.6, 0.85));
        }
    }
    let sides: [(&str, fn((f64, f64)) -> f64, f64); 2] = [
        ("allocations an operation, calling side", |both| both.0, 0.0),
        (
            "allocations an operation, handling side",
            |both| both.1,
            1.0,
        ),
    ];
    for flavor in [Mt, Ct] {
        for (what, side, goal) in sides {
            let point = Point::echo(flavor, 512, 64);
            bars.push(Bar {
                mine: GRID_LIBRARY,
                other: None,
                of: Figure::Allocations(side),
                limit: Limit::AtMost(1.0),
                ..rates(what, point, RAW_MUX, 1.0, goal)
            });
        }
    }
    for flavor in [Mt, Ct] {
        for callers in [1, 64, 256] {
            bars.push(Bar {
                mine: GRID_TYPED,
                ..rates(
                    "structs of five fields against bytes",
                    Point::echo(flavor, 512, callers),
                    GRID_LIBRARY,
                    0.85,
                    0.92,
                )
            });
        }
    }
    for (flavor, least, goal) in [(Mt, 0.9, 1.2), (Ct, 1.2, 1.6)] {
        let point = Point::stream(What::Items, flavor, 1, 512);
        bars.push(streams("against tonic", point, TONIC, least, goal));
        bars.push(sinks(point, least, goal));
    }
    for flavor in [Mt, Ct] {
        for what in [What::Items, What::EchoItems] {
            let point = Point::stream(what, flavor, 64, 100);
            bars.push(streams("against tonic", point, TONIC, 1.3, 1.7));
            bars.push(sinks(point, 1.3, 1.7));
            for capacity in [100, 1] {
                let point = Point::stream(what, flavor, 1, capacity);
                bars.push(streams(
                    "against the smallest mux",
                    point,
                    RAW_MUX,
                    0.7,
                    0.85,
                ));
            }
        }
    }
    bars
}

/// The bars whose points were measured.
pub(crate) fn render(results: &Results) -> String {
    let mut text = String::from(
        "### Bars\n\n| what | measured | bar | goal | |\n| --- | ---: | ---: | ---: | --- |\n",
    );
    let mut missed = 0;
    for bar in bars() {
        let Some(measured) = bar.measure(results) else {
            continue;
        };
        let median = measured.median;
        let limit = match bar.limit {
            Limit::AtLeast(least) => format!("≥ {least}"),
            Limit::AtMost(most) => format!("≤ {most}"),
        };
        let reached = |wanted: f64| match bar.limit {
            Limit::AtLeast(_) => median >= wanted,
            Limit::AtMost(_) => median <= wanted,
        };
        let (Limit::AtLeast(least) | Limit::AtMost(least)) = bar.limit;
        let came = match (reached(least), bar.goal) {
            (false, _) => "**missed**",
            (true, Some(goal)) if reached(goal) => "goal",
            (true, _) => "met",
        };
        missed += u32::from(!reached(least));
        let goal = bar.goal.map_or_else(String::new, |goal| goal.to_string());
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {}: {} | {} | {limit} | {goal} | {} |",
            bar.point,
            bar.what,
            ranged(Some(measured), 1.0),
            came,
        );
    }
    let _ = writeln!(
        text,
        "\n{missed} missed. Not measured here: instructions, idle connections and streams, nodes in \
         one process, remotes that nobody reaches."
    );
    text
}

impl Bar {
    /// None where it was not measured.
    fn measure(&self, results: &Results) -> Option<Spread> {
        let mine = results.get(self.mine, self.point)?;
        match (self.of, self.other) {
            (Figure::Of(of), Some(other)) => mine.ratios(results.get(other, self.point)?, of),
            (Figure::Of(of), None) => mine.spread(of),
            // Counted once: they hardly vary. To a hundredth: a buffer that grows once in some thousand operations is none of
            // an operation's.
            (Figure::Allocations(of), _) => {
                let rounded = |both| (of(both) * 100.0).round() / 100.0;
                Spread::of(mine.allocations().map(rounded))
            }
        }
    }
}
