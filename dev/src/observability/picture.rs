//! Panels of the dashboard as a picture, for people who have no Grafana at hand.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// The panels that are drawn, by their titles.
pub const PANELS: &[&str] = &[
    "Placed and failed, per second",
    "Orders by status",
    "Duration of placing an order",
    "Share of server errors (5xx)",
    "Calls per second, by call and outcome",
    "Duration of calls, 95 of 100",
    "Waiting notifications",
    "Orders with events that wait, by sink",
    "Oldest due event, by sink",
    "Duration of statements, 95 of 100",
];

const SIZE: (u32, u32) = (560, 320);
const ACROSS: usize = 2;
/// Nobody tells more of them apart: those that are highest are drawn.
const LINES: usize = 8;
const COLOURS: [RGBColor; LINES] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(23, 160, 180),
    RGBColor(140, 86, 75),
    RGBColor(90, 90, 90),
];

/// A panel with its lines: names, and values over seconds.
pub struct Panel<'a> {
    /// The title.
    pub title: &'a str,
    /// The lines.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawingError = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// Draws them.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(panels: &[Panel<'_>], file: &Path) -> Result<()> {
    let down = panels.len().div_ceil(ACROSS).max(1);
    let size = (SIZE.0 * ACROSS as u32, SIZE.1 * down as u32);
    let area = SVGBackend::new(file, size).into_drawing_area();
    let problem = |error: &dyn std::fmt::Display| anyhow!("drawing {}: {error}", file.display());
    area.fill(&WHITE).map_err(|error| problem(&error))?;
    for (area, panel) in area.split_evenly((down, ACROSS)).iter().zip(panels) {
        draw_panel(area, panel).map_err(|error| problem(&error))?;
    }
    area.present().map_err(|error| problem(&error))
}

fn draw_panel(area: &Area<'_>, panel: &Panel<'_>) -> Result<(), DrawingError> {
    let mut lines: Vec<&(String, Vec<(f64, f64)>)> = panel.lines.iter().collect();
    let height = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    lines.retain(|(_, points)| !points.is_empty());
    lines.sort_by(|(_, a), (_, b)| height(b).total_cmp(&height(a)));
    // What never happened is left out beside what did.
    if lines.first().is_some_and(|(_, points)| height(points) > 0.0) {
        lines.retain(|(_, points)| height(points) > 0.0);
    }
    lines.truncate(LINES);
    let most = lines.first().map_or(0.0, |(_, points)| height(points));
    let top = if most > 0.0 { most * 1.2 } else { 1.0 };
    let end = lines.iter().filter_map(|(_, points)| points.last()).map(|point| point.0).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(56)
        // Beside the lines, where the names are.
        .build_cartesian_2d(0.0..end * 1.8, 0.0..top)?;
    let digits = if top < 0.1 { 3 } else { usize::from(top < 10.0) + usize::from(top < 2.0) };
    chart
        .configure_mesh()
        .x_labels(8)
        .x_label_formatter(&|seconds| {
            if *seconds <= end { format!("{seconds:.0} s") } else { String::new() }
        })
        .y_label_formatter(&|value| format!("{value:.digits$}"))
        .light_line_style(WHITE)
        .draw()?;
    for ((name, points), colour) in lines.into_iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2));
        chart.draw_series(line)?.label(name.as_str()).legend(legend);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 11))
        .border_style(RGBColor(200, 200, 200))
        .background_style(WHITE)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_panel_and_every_line_is_in_the_picture() {
        let line = |name: &str, values: [f64; 2]| (name.to_owned(), vec![(0.0, values[0]), (1.0, values[1])]);
        let panels = [
            Panel { title: "What sells", lines: vec![line("placed", [1.0, 2.0]), line("lost", [0.0, 0.0])] },
            Panel { title: "What fails", lines: vec![line("failed", [0.0, 0.0])] },
            Panel { title: "Nothing", lines: vec![("none".to_owned(), vec![])] },
        ];
        let file = std::env::temp_dir().join(format!("order-service-panels-{}.svg", std::process::id()));
        draw(&panels, &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        for word in ["What sells", "placed", "What fails", "failed", "Nothing"] {
            assert!(text.contains(word), "{word}");
        }
        assert!(!text.contains("lost"), "beside what happened it tells nothing");
    }
}
