//! The plots: rates by the number of callers, for a light and a dark page.

use std::path::Path;

use anyhow::anyhow;
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    peers::PEERS,
    point::{Flavor, Point},
    results::Results,
};

/// The colours of a page.
struct Page {
    name: &'static str,
    ink: RGBColor,
    faint: RGBColor,
    lines: [RGBColor; 13],
}

/// Of as many hues as there are programs, legible on either ground.
const PAGES: [Page; 2] = [
    Page {
        name: "light",
        ink: RGBColor(31, 35, 40),
        faint: RGBColor(209, 217, 224),
        lines: [
            RGBColor(207, 34, 46),
            RGBColor(191, 57, 137),
            RGBColor(255, 141, 161),
            RGBColor(130, 80, 223),
            RGBColor(87, 96, 106),
            RGBColor(140, 149, 159),
            RGBColor(31, 35, 40),
            RGBColor(9, 105, 218),
            RGBColor(84, 174, 255),
            RGBColor(26, 127, 55),
            RGBColor(188, 76, 0),
            RGBColor(154, 103, 0),
            RGBColor(27, 124, 131),
        ],
    },
    Page {
        name: "dark",
        ink: RGBColor(230, 237, 243),
        faint: RGBColor(61, 68, 77),
        lines: [
            RGBColor(255, 123, 114),
            RGBColor(247, 120, 186),
            RGBColor(200, 98, 120),
            RGBColor(210, 168, 255),
            RGBColor(176, 186, 196),
            RGBColor(110, 118, 129),
            RGBColor(230, 237, 243),
            RGBColor(121, 192, 255),
            RGBColor(56, 139, 253),
            RGBColor(86, 211, 100),
            RGBColor(255, 166, 87),
            RGBColor(227, 179, 65),
            RGBColor(86, 212, 221),
        ],
    },
];

/// Left of where it stands.
const BESIDE: Pos = Pos {
    h_pos: HPos::Right,
    v_pos: VPos::Center,
};

const CALLERS: [usize; 5] = [1, 2, 16, 64, 256];

/// A file for each size, flavor and page where there is something to show; returns their names.
pub(crate) fn draw(results: &Results, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for (size, shown) in [(512, "512 B"), (65_536, "64 KiB")] {
        for flavor in [Flavor::Mt, Flavor::Ct] {
            let lines = lines(results, flavor, size);
            if lines.iter().all(|line| line.points.is_empty()) {
                continue;
            }
            let title = format!("Thousand requests of {shown} a second, {}", flavor.long());
            for page in &PAGES {
                let file = format!("peers-{}-{size}-{}.svg", flavor.name(), page.name);
                let path = folder.join(&file);
                chart(&title, &lines, page, &path)
                    .map_err(|error| anyhow!("{}: {error}", path.display()))?;
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// What one program reached, by the number of callers.
struct Line {
    name: &'static str,
    /// Of the colours of a page.
    colour: usize,
    points: Vec<(f64, f64)>,
}

fn lines(results: &Results, flavor: Flavor, size: usize) -> Vec<Line> {
    let peers = PEERS.iter().filter(|peer| !peer.only_streams).enumerate();
    peers
        .map(|(colour, peer)| {
            let points = CALLERS.iter().enumerate().filter_map(|(index, &callers)| {
                let cell = results.get(peer.name, Point::echo(flavor, size, callers))?;
                Some((index as f64, cell.rate()?.median / 1e3))
            });
            Line {
                name: peer.name,
                colour,
                points: points.collect(),
            }
        })
        .collect()
}

/// Round numbers from one end to the other.
fn ticks(least: f64, most: f64) -> impl Iterator<Item = f64> {
    let decades = (least.log10().floor() as i32)..=(most.log10().ceil() as i32);
    let round = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade)));
    round.filter(move |tick| (least..=most).contains(tick))
}

/// Rates on a logarithmic axis: the least and the most differ by a hundred times.
fn chart(
    title: &str,
    lines: &[Line],
    page: &Page,
    path: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let rates = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.1)
    };
    let least = rates().fold(f64::INFINITY, f64::min) / 1.2;
    let most = rates().fold(0.0, f64::max) * 1.2;
    let measured = |index: usize| {
        let at = |point: &(f64, f64)| point.0 == index as f64;
        lines.iter().any(|line| line.points.iter().any(at))
    };
    let text = |size: u32| ("sans-serif", size).into_font().color(&page.ink);
    let end = (CALLERS.len() - 1) as f64;
    let area = SVGBackend::new(path, (920, 480)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, text(18))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.1..end + 1.7, (least..most).log_scale())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(page.faint)
        .label_style(text(13))
        .x_labels(2 * CALLERS.len())
        .x_label_formatter(&|x| {
            let whole = x.fract() == 0.0 && *x >= 0.0 && measured(*x as usize);
            let callers = CALLERS.get(*x as usize).filter(|_| whole);
            callers.map_or_else(String::new, ToString::to_string)
        })
        .y_label_formatter(&|_| String::new())
        .x_desc("callers at once")
        .draw()?;
    for tick in ticks(least, most) {
        chart.draw_series(LineSeries::new([(-0.1, tick), (end, tick)], page.faint))?;
        chart.plotting_area().draw(
            &(EmptyElement::at((-0.1, tick))
                + Text::new(tick.to_string(), (-8, 0), text(13).pos(BESIDE))),
        )?;
    }
    // The legend has the order in which they end.
    let last = |line: &Line| {
        line.points
            .last()
            .map_or(0.0, |point| point.0 * 1e9 + point.1)
    };
    let mut lines: Vec<&Line> = lines
        .iter()
        .filter(|line| !line.points.is_empty())
        .collect();
    lines.sort_by(|one, other| last(other).total_cmp(&last(one)));
    for line in lines {
        let Some(&colour) = page.lines.get(line.colour) else {
            continue;
        };
        let (name, points) = (line.name, &line.points);
        let width = if name.starts_with("grid") { 3 } else { 2 };
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))?
            .label(name)
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width))
            });
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(text(12))
        .border_style(TRANSPARENT)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            ticks(3.0, 600.0).collect::<Vec<_>>(),
            [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        );
        assert_eq!(ticks(3.0, 4.0).count(), 0);
    }
}
