//! Prints the table of `benches/side_by_side.sh`.

use std::collections::BTreeMap;
use std::path::Path;

/// The runs of one measurement.
#[derive(Default)]
struct Row {
    unit: String,
    target: String,
    ours: Vec<f64>,
    other: Vec<f64>,
    ratios: Vec<f64>,
}

/// Prints the medians of what was measured, in the order in which it was first measured. Each
/// line of the file is one run: the name, the unit, the target, our figure, and the other figure
/// if it is a pair, separated by tabs. The ratio is that of our figure to the other one, in each
/// pair.
pub fn print(file: &Path) {
    let text = std::fs::read_to_string(file).expect("a readable file");
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut order = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [what, unit, target, ours, ref other @ ..] = fields[..] else {
            panic!("not a run: {line}");
        };
        let row = rows.entry(what).or_default();
        if row.ours.is_empty() {
            order.push(what);
        }
        row.unit = unit.to_owned();
        row.target = target.to_owned();
        let number = |text: &str| -> f64 { text.parse().unwrap_or_else(|_| panic!("{line}")) };
        row.ours.push(number(ours));
        if let Some(other) = other.first() {
            row.other.push(number(other));
            row.ratios.push(number(ours) / number(other));
        }
    }
    println!("| what | unit | ours | other | ratio | target |");
    println!("|---|---|---:|---:|---:|---|");
    for what in order {
        let row = rows.remove(what).unwrap_or_default();
        println!(
            "| {what} | {} | {} | {} | {} | {} |",
            row.unit,
            median(row.ours),
            median(row.other),
            median(row.ratios),
            row.target
        );
    }
}

/// Formats the median with three digits, or with all digits before the point.
fn median(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match values.get(values.len() / 2) {
        Some(median) if *median >= 100.0 => format!("{median:.0}"),
        Some(median) if *median >= 10.0 => format!("{median:.1}"),
        Some(median) => format!("{median:.2}"),
        None => String::new(),
    }
}
