//! The plots: rates by the number of callers, for a light and a dark page.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

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
    lines: [RGBColor; 11],
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
            RGBColor(110, 119, 129),
            RGBColor(31, 35, 40),
            RGBColor(9, 105, 218),
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
            RGBColor(158, 66, 86),
            RGBColor(210, 168, 255),
            RGBColor(139, 148, 158),
            RGBColor(230, 237, 243),
            RGBColor(121, 192, 255),
            RGBColor(86, 211, 100),
            RGBColor(255, 166, 87),
            RGBColor(227, 179, 65),
            RGBColor(86, 212, 221),
        ],
    },
];

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
    let peers = PEERS.iter().enumerate();
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

fn chart(
    title: &str,
    lines: &[Line],
    page: &Page,
    path: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let most = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.1))
        .fold(1.0, f64::max);
    let text = |size: u32| ("sans-serif", size).into_font().color(&page.ink);
    let area = SVGBackend::new(path, (860, 480)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, text(18))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..(CALLERS.len() - 1) as f64 + 1.6, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(page.faint)
        .axis_style(page.faint)
        .label_style(text(13))
        .x_labels(CALLERS.len() + 1)
        .x_label_formatter(&|x| {
            let whole = x.fract() == 0.0;
            let callers = CALLERS.get(*x as usize).filter(|_| whole);
            callers.map_or_else(String::new, ToString::to_string)
        })
        .x_desc("callers at once")
        .draw()?;
    for (line, colour) in lines
        .iter()
        .filter_map(|line| Some((line, *page.lines.get(line.colour)?)))
    {
        let (name, points) = (line.name, &line.points);
        if points.is_empty() {
            continue;
        }
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
