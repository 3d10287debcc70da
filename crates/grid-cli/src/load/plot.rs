//! The plot: latency by percentile above, the rate over time below, in one SVG.

use std::{f64::consts::LOG10_2, fmt::Display};

use hdrhistogram::Histogram;
use plotters::{coord::Shift, prelude::*};

use super::{
    axis::Axis,
    engine::Ran,
    report::Report,
    text::{manner, quantiles, rate, subject, time},
};
use crate::{failure::Failure, table};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 860;
const HEAD: u32 = 96;
const LATENCY: u32 = 420;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const GRID: RGBColor = RGBColor(226, 232, 240);
const FIRST: RGBColor = RGBColor(29, 78, 216);
const SECOND: RGBColor = RGBColor(217, 119, 6);
/// The percentiles that are named, with how many nines each has.
const NAMED: [(f64, &str); 8] = [
    (0.0, "0 %"),
    (LOG10_2, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
    (6.0, "99.9999 %"),
];
/// Points of a curve for each nine.
const STEPS: u32 = 50;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A curve through points.
type Curve = Vec<(f64, f64)>;

/// Draws the plot of a report.
pub(super) fn draw(report: &Report, ran: &Ran) -> Result<String, Failure> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
    draw_on(&root, report, ran)
        .map_err(|error| Failure::failed(format!("the plot can't be drawn: {error}")))?;
    drop(root);
    Ok(svg)
}

fn draw_on(root: &Area<'_>, report: &Report, ran: &Ran) -> Drawn {
    root.fill(&WHITE)?;
    let (head, charts) = root.split_vertically(HEAD);
    let (latency, over_time) = charts.split_vertically(LATENCY);
    titles(&head, report)?;
    draw_latency(&latency, ran)?;
    draw_rate(&over_time, report)?;
    root.present()?;
    Ok(())
}

fn font(size: i32, color: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&color)
}

fn titles(area: &Area<'_>, report: &Report) -> Drawn {
    let title = format!("grid load {}", subject(report));
    let outcome = format!(
        "{} operations, {} a second; latency {}",
        table::count(report.operations),
        rate(report.rate),
        quantiles(report.latency_ns.as_ref())
    );
    for (text, top, style) in [
        (title, 14, font(26, INK)),
        (manner(report), 46, font(18, FAINT)),
        (outcome, 70, font(18, FAINT)),
    ] {
        area.draw(&Text::new(text, (24, top), style))?;
    }
    Ok(())
}

/// Latency by percentile: to the right a nine more at each step, upwards by powers of ten.
fn draw_latency(area: &Area<'_>, ran: &Ran) -> Drawn {
    let (latency, service) = (&ran.tally.latency, &ran.tally.service);
    let mut curves = vec![("latency", FIRST, by_percentile(latency))];
    if !service.is_empty() {
        curves = vec![
            (
                "from when an operation was due",
                FIRST,
                by_percentile(latency),
            ),
            ("from when it was begun", SECOND, by_percentile(service)),
        ];
    }
    let ys = || {
        curves
            .iter()
            .flat_map(|(_, _, curve)| curve.iter().map(|(_, y)| *y))
    };
    let bounds = (ys().fold(f64::MAX, f64::min), ys().fold(0.0, f64::max));
    let (bottom, top) = if bounds.0 <= bounds.1 {
        bounds
    } else {
        (3.0, 6.0)
    };
    let (bottom, top) = (bottom - 0.1, top + 0.1);
    let right = nines(latency.len());
    let xs: Vec<f64> = NAMED
        .iter()
        .map(|(x, _)| *x)
        .take_while(|x| *x <= right)
        .collect();
    let mut chart = ChartBuilder::on(area)
        .caption("Latency by percentile", font(20, INK))
        .margin(16)
        .margin_right(48)
        .x_label_area_size(36)
        .y_label_area_size(84)
        .build_cartesian_2d(
            Axis::new(0.0..right, xs),
            Axis::new(bottom..top, decades(bottom, top)),
        )?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT)
        .label_style(font(16, INK))
        .x_label_formatter(&|x| named(*x))
        .y_label_formatter(&|y| time(10_f64.powf(*y).round() as u64))
        .draw()?;
    let legend = curves.len() > 1;
    for (name, color, curve) in curves {
        let drawn = chart.draw_series(LineSeries::new(curve, color.stroke_width(2)))?;
        if legend {
            drawn.label(name).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2))
            });
        }
    }
    if legend {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(font(16, INK))
            .background_style(WHITE)
            .border_style(GRID)
            .draw()?;
    }
    Ok(())
}

fn draw_rate(area: &Area<'_>, report: &Report) -> Drawn {
    let curve = over_time(&report.rate_over_time, report.elapsed_s);
    let most = curve.iter().map(|(_, y)| *y).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Operations a second over time", font(20, INK))
        .margin(16)
        .margin_right(48)
        .x_label_area_size(52)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..report.elapsed_s.max(0.001), 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT)
        .label_style(font(16, INK))
        .x_desc("seconds")
        .axis_desc_style(font(16, FAINT))
        .x_label_formatter(&number)
        .y_label_formatter(&|y| thousands(*y))
        .draw()?;
    chart.draw_series(LineSeries::new(curve, FIRST.stroke_width(2)))?;
    Ok(())
}

/// How many nines so many operations can tell of; at least one, at most those that are named.
fn nines(operations: u64) -> f64 {
    (operations as f64).log10().clamp(1.0, 6.0)
}

/// Latencies, by powers of ten of nanoseconds, at each part of a nine.
fn by_percentile(histogram: &Histogram<u64>) -> Curve {
    if histogram.is_empty() {
        return Vec::new();
    }
    let right = nines(histogram.len());
    let steps = (right * f64::from(STEPS)).ceil() as u32;
    let at = |step: u32| {
        let x = (f64::from(step) / f64::from(STEPS)).min(right);
        let quantile = 1.0 - 10_f64.powf(-x);
        let nanos = match step {
            0 => histogram.min(),
            // The last operation is the slowest.
            _ if step == steps => histogram.max(),
            _ => histogram.value_at_quantile(quantile),
        };
        (x, (nanos.max(1) as f64).log10())
    };
    (0..=steps).map(at).collect()
}

/// Where lines go: at every power of ten, and at its double and its fivefold where there is room.
fn decades(bottom: f64, top: f64) -> Vec<f64> {
    let factors: &[f64] = if top - bottom > 4.0 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let powers = (bottom.floor() as i32)..=(top.ceil() as i32);
    powers
        .flat_map(|power| {
            factors
                .iter()
                .map(move |factor| f64::from(power) + factor.log10())
        })
        .filter(|y| (bottom..=top).contains(y))
        .collect()
}

/// The rate of each second, as steps; the last may be shorter.
fn over_time(seconds: &[(u64, u64)], elapsed: f64) -> Curve {
    let mut curve = Vec::with_capacity(2 * seconds.len());
    for (second, count) in seconds {
        let from = *second as f64;
        let to = (from + 1.0).min(elapsed);
        // A rate over a blink is noise; what has come in it belongs to the second before.
        if to - from < 0.1 && !curve.is_empty() {
            continue;
        }
        let rate = *count as f64 / (to - from).max(1e-3);
        curve.extend([(from, rate), (to, rate)]);
    }
    curve
}

fn named(x: f64) -> String {
    let name = NAMED.iter().find(|(at, _)| (at - x).abs() < 1e-6);
    name.map_or_else(String::new, |(_, name)| (*name).to_owned())
}

fn number(value: &impl Display) -> String {
    value.to_string()
}

fn thousands(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        table::count(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::tests::{ran, report},
        *,
    };

    fn tags(svg: &str, name: &str) -> usize {
        svg.matches(&format!("<{name} ")).count()
    }

    #[test]
    fn both_charts_are_drawn() {
        let svg = draw(&report(None), &ran(None)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for text in [
            "Latency by percentile",
            "Operations a second over time",
            "echo to http://b:1",
            "64 at a time",
            "50 %",
            "90 %",
            "2.00 ms",
            "seconds",
        ] {
            assert!(svg.contains(text), "{text:?} is not in it");
        }
        // What is opened is closed.
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert!(tags(&svg, "polyline") >= 2, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_schedule_has_two_curves_with_their_names() {
        let svg = draw(&report(Some(4.0)), &ran(Some(8))).unwrap();
        for text in ["from when an operation was due", "from when it was begun"] {
            assert!(svg.contains(text), "{text:?} is not in it");
        }
    }

    #[test]
    fn nothing_can_be_drawn_too() {
        let mut ran = ran(None);
        ran.tally.latency.reset();
        let mut report = report(None);
        report.rate_over_time.clear();
        report.elapsed_s = 0.0;
        let svg = draw(&report, &ran).unwrap();
        assert!(svg.contains("Latency by percentile") && !svg.contains("NaN"));
    }

    #[test]
    fn curves_go_from_the_least_to_the_most() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in 1..=1000 {
            histogram.record(value * 1000).unwrap();
        }
        let curve = by_percentile(&histogram);
        let (first, last) = (curve.first().unwrap(), curve.last().unwrap());
        assert_eq!((first.0, last.0), (0.0, 3.0));
        assert!((first.1 - 3.0).abs() < 0.01 && (last.1 - 6.0).abs() < 0.01);
        assert!(curve.is_sorted_by(|one, other| one.1 <= other.1));
        assert_eq!(decades(3.0, 4.0).len(), 4);
    }

    #[test]
    fn a_blink_is_no_second() {
        let curve = over_time(&[(0, 100), (1, 50), (2, 1)], 2.01);
        assert_eq!(
            curve,
            [(0.0, 100.0), (1.0, 100.0), (1.0, 50.0), (2.0, 50.0)]
        );
        assert_eq!(over_time(&[(0, 10)], 0.5), [(0.0, 20.0), (0.5, 20.0)]);
        assert!(over_time(&[], 0.0).is_empty());
    }
}
