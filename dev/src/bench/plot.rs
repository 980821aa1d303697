//! Throughput over the number of clients, as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::scenario::Scenario;
use super::summary::Row;
use super::target::Kind;

const PANEL: (u32, u32) = (560, 360);

/// Draws one panel for each scenario, with a line for each target.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(rows: &[Row], file: &Path) -> Result<()> {
    let mut scenarios: Vec<Scenario> = rows.iter().map(|row| row.scenario).collect();
    scenarios.dedup();
    let across = scenarios.len().clamp(1, 2);
    let down = scenarios.len().div_ceil(across).max(1);
    let size = (PANEL.0 * across as u32, PANEL.1 * down as u32);
    let area = SVGBackend::new(file, size).into_drawing_area();
    let problem = |error: &dyn std::fmt::Display| anyhow!("drawing {}: {error}", file.display());
    area.fill(&WHITE).map_err(|error| problem(&error))?;
    for (panel, scenario) in area.split_evenly((down, across)).iter().zip(&scenarios) {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.scenario == *scenario).collect();
        draw_panel(panel, *scenario, &rows).map_err(|error| problem(&error))?;
    }
    area.present().map_err(|error| problem(&error))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel(
    area: &Area<'_>,
    scenario: Scenario,
    rows: &[&Row],
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    // One place for each number of clients, however far apart they are.
    let mut clients: Vec<usize> = rows.iter().map(|row| row.clients).collect();
    clients.sort_unstable();
    clients.dedup();
    let last = (clients.len() as i32 - 1).max(1);
    let most = rows.iter().map(|row| row.medians.throughput).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: requests/s over clients", scenario.name()), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0..last, 0.0..most * 1.15)?;
    let name = |place: &i32| clients.get(*place as usize).map_or_else(String::new, usize::to_string);
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .x_labels(clients.len())
        .x_label_formatter(&name)
        .y_label_formatter(&whole)
        .light_line_style(WHITE)
        .draw()?;
    for (kind, colour) in Kind::ALL.into_iter().zip([&RED, &BLUE, &GREEN, &MAGENTA]) {
        let of_kind = rows.iter().filter(|row| row.target == kind);
        let place = |row: &&&Row| clients.partition_point(|clients| *clients < row.clients) as i32;
        let mut points: Vec<(i32, f64)> = of_kind.map(|row| (place(&row), row.medians.throughput)).collect();
        points.sort_by_key(|point| point.0);
        if points.is_empty() {
            continue;
        }
        let line = LineSeries::new(points.clone(), colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        chart.draw_series(line)?.label(kind.name()).legend(legend);
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::summary::tests::row;

    #[test]
    fn every_scenario_has_a_panel_and_every_target_a_line() {
        let rows = [
            row(Scenario::Place, 1, Kind::Service, 50.0),
            row(Scenario::Place, 16, Kind::Service, 400.0),
            row(Scenario::Place, 1, Kind::A, 100.0),
            row(Scenario::Read, 1, Kind::Service, 900.0),
            row(Scenario::Life, 1, Kind::Service, 90.0),
        ];
        let file = std::env::temp_dir().join(format!("order-service-plot-{}.svg", std::process::id()));
        draw(&rows, &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        for word in ["place", "read", "life", "service"] {
            assert!(text.contains(word), "{word}");
        }
        assert!(text.matches("<polyline").count() > 4);
    }
}
